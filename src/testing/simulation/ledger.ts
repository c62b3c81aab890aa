/**
 * The callers' own books: what they asked, what they were told, what they may rely upon. Knows nothing of the engine
 * but its answers.
 */
import type { AttemptTask } from "../../agents/agent.ts";
import type { TaskView } from "../../engine/view.ts";
import type { Books } from "./books.ts";

export interface LedgerTools {
  readonly audit: Books;
  readonly violate: (message: string) => void;
}

/** A task that a caller was told is kept. */
export interface Entry {
  readonly id: string;
  readonly pool: string;
  readonly prompt: string;
  /** The status it was told to have ended with, by life. */
  readonly told: Map<number, string>;
  /** Lives whose cancellation was acknowledged. */
  readonly cancelled: Set<number>;
  /** Replays that were acknowledged. */
  replays: number;
}

const FINAL: readonly string[] = ["completed", "failed", "cancelled"];

export class Ledger {
  readonly entries = new Map<string, Entry>();
  /** Prompts by chosen id, as asked. */
  readonly #asked = new Map<string, string>();
  readonly #keys = new Map<string, string>();
  /** Until when, by the engine's clock, leases of what length were promised to their agents, by fence. */
  readonly #promised = new Map<number, { readonly untilMs: number; readonly leaseMs: number }>();
  /** Ids and keys of requests that were refused for good: nothing of them may be kept. */
  readonly #refused: { readonly id?: string | undefined; readonly key?: string | undefined }[] = [];

  asked(id: string, prompt: string): void {
    this.#asked.set(id, prompt);
  }

  /** The engine said that it keeps the task. */
  acknowledged(
    view: TaskView,
    asked: { prompt: string; key: string | undefined },
    { audit, violate }: LedgerTools,
  ): Entry {
    const { id, pool } = view;
    if (!audit.tasks.has(id)) violate(`task ${id} is stored when it is acknowledged`);
    if (asked.key !== undefined) {
      const known = this.#keys.get(asked.key);
      if (known !== undefined && known !== id) violate(`key ${asked.key} stands for ${known}, not for ${id}`);
      this.#keys.set(asked.key, id);
    }
    const entry = this.entries.get(id) ?? {
      id,
      pool,
      prompt: asked.prompt,
      told: new Map(),
      cancelled: new Set(),
      replays: 0,
    };
    this.entries.set(id, entry);
    this.saw(view, { audit, violate });
    return entry;
  }

  refused(request: { readonly id?: string | undefined; readonly key?: string | undefined }): void {
    if (request.id !== undefined || request.key !== undefined) this.#refused.push(request);
  }

  /** Whatever the engine shows of a task fits to what it showed before. */
  saw(view: TaskView, { audit, violate }: LedgerTools): void {
    const { id, status, replays, attempts } = view;
    const entry = this.entries.get(id);
    if (entry === undefined) return;
    if (view.prompt !== entry.prompt) violate(`task ${id} shows the prompt that was given`);
    if (view.attemptCount > view.maxAttempts) violate(`task ${id} shows at most ${view.maxAttempts} attempts`);
    if (!FINAL.includes(status)) return;
    const told = entry.told.get(replays);
    if (told !== undefined && told !== status) violate(`task ${id} stays ${told}, now it is ${status}`);
    entry.told.set(replays, status);
    const stored = audit.tasks.get(id);
    const isOlder = stored !== undefined && stored.replays > replays;
    if (!isOlder && stored?.status !== status) violate(`task ${id} is stored as ${status} when it is told so`);
    if (status !== "completed") return;
    const last = attempts[attempts.length - 1];
    const result = view.result as { task?: string; fence?: number } | undefined;
    if (result?.task !== id || result.fence !== last?.fence) violate(`task ${id} shows the result of its last attempt`);
  }

  cancelled(view: TaskView, tools: LedgerTools): void {
    if (view.status !== "cancelled") tools.violate(`task ${view.id} is ${view.status} after its cancellation`);
    this.entries.get(view.id)?.cancelled.add(view.replays);
    this.saw(view, tools);
  }

  /** An agent's report was answered well: it is stored. */
  reported(
    { taskId, fence, outcome }: { taskId: string; fence: number; outcome: string },
    { audit, violate }: LedgerTools,
  ): void {
    const attempt = audit.tasks.get(taskId)?.attempts.get(fence);
    if (attempt?.outcome !== outcome)
      violate(`report ${outcome} of ${taskId} under ${fence} is stored, ${attempt?.outcome} is`);
  }

  /** A heartbeat that named these was answered: they are leased until then. */
  promised(fences: readonly number[], promise: { readonly untilMs: number; readonly leaseMs: number }): void {
    for (const fence of fences) this.#promised.set(fence, promise);
  }

  /** An engine begins in another process: the clock of the one before may have been ahead, from now a whole lease counts. */
  clockBegins(nowMs: number): void {
    for (const [fence, { untilMs, leaseMs }] of this.#promised) {
      this.#promised.set(fence, { untilMs: Math.min(untilMs, nowMs + leaseMs), leaseMs });
    }
  }

  /** The lease has run out: not before the time that its agent was told. */
  expired(fence: number, atMs: number, { violate }: LedgerTools): void {
    const untilMs = this.#promised.get(fence)?.untilMs ?? 0;
    if (atMs < untilMs) violate(`lease ${fence} is not over ${untilMs - atMs} ms before the time that was promised`);
  }

  /** An attempt begins to work: its lease is stored, and what it was given is what was asked. */
  began(
    task: Pick<AttemptTask, "fence" | "prompt" | "context"> & { readonly id: string },
    { audit, violate }: LedgerTools,
  ): void {
    const { id, fence } = task;
    const stored = audit.tasks.get(id);
    if (stored === undefined || stored.fence < fence)
      violate(`the lease ${fence} of task ${id} is stored before it begins`);
    if (stored === undefined) return;
    const prompt = this.entries.get(id)?.prompt ?? this.#asked.get(id);
    if (prompt !== undefined && task.prompt !== prompt) violate(`task ${id} is run with the prompt that was given`);
    const results = task.context.dependencies as Record<string, { task?: string } | undefined> | undefined;
    for (const dependency of stored.spec.dependencies) {
      const other = audit.tasks.get(dependency);
      if (other?.status !== "completed") continue;
      if (results?.[dependency]?.task !== dependency) violate(`task ${id} is given the result of ${dependency}`);
    }
  }

  /** Everything that must hold once all is over. `view` is undefined for a task that was not found. */
  checkEnd(entry: Entry, view: TaskView | undefined, tools: LedgerTools): void {
    const { id } = entry;
    if (view === undefined) {
      tools.violate(`acknowledged task ${id} is found`);
      return;
    }
    if (!FINAL.includes(view.status)) tools.violate(`acknowledged task ${id} ends, it is ${view.status}`);
    if (view.replays < entry.replays) tools.violate(`task ${id} was replayed ${entry.replays} times`);
    if (entry.cancelled.has(view.replays) && view.status !== "cancelled") {
      tools.violate(`task ${id} stays cancelled, it is ${view.status}`);
    }
    this.saw(view, tools);
  }

  checkRefused({ audit, violate }: LedgerTools): void {
    for (const { id, key } of this.#refused) {
      if (id !== undefined && audit.tasks.has(id)) violate(`refused task ${id} is not stored`);
      if (key !== undefined && audit.keys.has(key)) violate(`nothing is stored for the refused key ${key}`);
    }
  }
}
