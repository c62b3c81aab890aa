/** What becomes of dead letters: replayed, with changes or without, or discarded. */
import { asTaskId, type TaskId } from "../base/ids.ts";
import type { Frame } from "./frame.ts";
import { parseWith } from "./options/parse.ts";
import { type EditInput, editSchema } from "./options/task.ts";
import { editedTask, payloadFingerprint } from "./submission.ts";
import type { TaskView } from "./view.ts";

export class LetterDesk {
  readonly #frame: Frame;
  /** What is being done with each. */
  readonly #letters = new Map<TaskId, Promise<void>>();

  constructor(frame: Frame) {
    this.#frame = frame;
  }

  /** A dead letter begins a new life; what `edit` names is changed. */
  async replay(id: string, edit?: EditInput): Promise<TaskView> {
    const taskId = asTaskId(id);
    const changes = edit === undefined ? undefined : parseWith(editSchema, edit, "edit");
    return this.#letter(taskId, async () => {
      const { loop, store, reader } = this.#frame;
      const entry = await store.entry(taskId);
      const before = entry === undefined ? undefined : { spec: entry.facts.spec, body: entry.body };
      const after = before === undefined || changes === undefined ? before : editedTask(before, changes);
      const fingerprint = before === undefined ? undefined : payloadFingerprint(before.spec, before.body);
      const shown = await loop.stubs.lookUp([taskId], [], (known) => {
        const edited = changes === undefined ? undefined : after?.spec;
        const payload = { body: after?.body, fingerprint, fingerprintOf: payloadFingerprint };
        return loop.askThen({ type: "replay", taskId, known, edited, ...payload }, () =>
          reader.openNow(taskId, after?.body),
        );
      });
      return shown ?? (await reader.task(taskId));
    });
  }

  /** The dead letter loses its mark. */
  async discard(id: string): Promise<TaskView> {
    const taskId = asTaskId(id);
    return this.#letter(taskId, async () => {
      const { loop, reader } = this.#frame;
      await loop.stubs.lookUp([taskId], [], (known) => loop.ask({ type: "discard", taskId, known }));
      return reader.task(taskId);
    });
  }

  /** One after another for one dead letter, so that what one has stored is what the next one looks up. */
  async #letter<T>(id: TaskId, act: () => Promise<T>): Promise<T> {
    const before = this.#letters.get(id);
    const turn = (async () => {
      await before;
      await this.#frame.loop.stored();
      return act();
    })();
    const over = turn.then(
      () => {},
      () => {},
    );
    this.#letters.set(id, over);
    try {
      return await turn;
    } finally {
      if (this.#letters.get(id) === over) this.#letters.delete(id);
    }
  }
}
