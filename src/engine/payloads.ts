/** Bodies of open tasks and results not yet stored, in memory: the hot ones at hand, the rest in the store. */
import type { TaskId } from "../base/ids.ts";
import type { TaskBody, TaskSpec } from "../core/task.ts";
import type { SettledRow } from "../stores/store.ts";

/** UTF-16 units kept; beyond, the oldest bodies are read from the store when they are needed. */
const CACHE_LIMIT = 64 * 1_048_576;

const sizeOf = (body: TaskBody): number => (body.prompt?.length ?? 0) + (body.rest?.length ?? 0);

export class Payloads {
  readonly #offered = new Map<TaskSpec, TaskBody>();
  readonly #bodies = new Map<TaskId, TaskBody>();
  readonly #replays = new Map<TaskId, TaskBody>();
  readonly #results = new Map<number, string>();
  #held = 0;

  /**
   * The body of a task that asks to be admitted, until it is or `withdraw`. By the spec itself: another may ask under
   * the same id.
   */
  offer(spec: TaskSpec, body: TaskBody): void {
    this.#offered.set(spec, body);
  }

  offered(spec: TaskSpec): TaskBody | undefined {
    return this.#offered.get(spec);
  }

  /** It does not ask any more. */
  withdraw(spec: TaskSpec): void {
    this.#offered.delete(spec);
  }

  /** The body of a dead letter that asks for a new life, until `takeReplay`. */
  offerReplay(id: TaskId, body: TaskBody): void {
    this.#replays.set(id, body);
  }

  takeReplay(id: TaskId): TaskBody | undefined {
    const body = this.#replays.get(id);
    this.#replays.delete(id);
    return body;
  }

  /** The task was admitted: its body is being given to the store. */
  admit(spec: TaskSpec): TaskBody {
    const body = this.#offered.get(spec) ?? {};
    this.#offered.delete(spec);
    this.drop(spec.id);
    this.#bodies.set(spec.id, body);
    this.#held += sizeOf(body);
    return body;
  }

  body(id: TaskId): TaskBody | undefined {
    return this.#bodies.get(id);
  }

  drop(id: TaskId): void {
    const body = this.#bodies.get(id);
    if (body === undefined) return;
    this.#bodies.delete(id);
    this.#held -= sizeOf(body);
  }

  /** Lets go of the oldest. Called after a commit, when the store has all of them. */
  trim(): void {
    for (const id of this.#bodies.keys()) {
      if (this.#held <= CACHE_LIMIT) return;
      this.drop(id);
    }
  }

  /** The result that a report brings, until its commit. The first report of an attempt counts. */
  keepResult(fence: number, result: string): void {
    if (!this.#results.has(fence)) this.#results.set(fence, result);
  }

  takeResult(fence: number): string | undefined {
    const result = this.#results.get(fence);
    this.#results.delete(fence);
    return result;
  }

  /**
   * The engine's term is over: the store has all bodies. Of the results, those of reports that will be told again stay,
   * also when the commit that was not confirmed had taken them already.
   */
  endTerm(taken: readonly SettledRow[], retoldFences: ReadonlySet<number>): void {
    this.#bodies.clear();
    this.#held = 0;
    for (const { facts, result } of taken) if (result !== undefined) this.keepResult(facts.lastFence, result);
    for (const fence of this.#results.keys()) if (!retoldFences.has(fence)) this.#results.delete(fence);
  }
}
