/** One pass of the core: its time, its randomness, and what it has recorded and requested so far. */
import type { TaskId } from "../base/ids.ts";
import type { Random } from "../base/random.ts";
import { apply } from "./apply/apply.ts";
import type { Effect } from "./effect.ts";
import { type DurableEvent, type Event, isDurable, isNotice, type Notice } from "./event.ts";
import type { Admitted } from "./record.ts";
import type { NamespaceState } from "./state.ts";
import type { Task } from "./task.ts";

function taskOf(event: DurableEvent): TaskId | undefined {
  if (event.type === "task.submitted") return event.spec.id;
  if (event.type === "task.replayed") return event.facts.spec.id;
  return (event as { readonly taskId?: TaskId }).taskId;
}

export class Turn {
  readonly nowMs: number;
  readonly random: Random;
  /** In the order they happened. */
  readonly durable: DurableEvent[] = [];
  /** The durable ones and, among them, the volatile ones that are worth telling. */
  readonly told: (DurableEvent | Notice)[] = [];
  readonly effects: Effect[] = [];
  /** What was admitted, with what only its agent reads. */
  readonly admitted: Admitted[] = [];
  /** Tasks that were found to be poison: the engine quarantines what they consist of before the commit. */
  readonly poisoned: TaskId[] = [];
  /** Tasks that durable events of this turn touched, each once. */
  readonly touched: Task[] = [];
  readonly #state: NamespaceState;
  readonly #number: number;

  constructor(state: NamespaceState, nowMs: number, random: Random) {
    this.#state = state;
    state.turns += 1;
    this.#number = state.turns;
    this.nowMs = nowMs;
    this.random = random;
  }

  /** Something happened: it is applied at once, so that the next decision sees it. */
  record(event: Event): void {
    apply(this.#state, event, this.nowMs);
    if (!isDurable(event)) {
      if (isNotice(event)) this.told.push(event);
      return;
    }
    this.told.push(event);
    this.durable.push(event);
    const taskId = taskOf(event);
    const task = taskId === undefined ? undefined : this.#state.tasks.get(taskId);
    if (task === undefined || task.touchedIn === this.#number) return;
    task.touchedIn = this.#number;
    this.touched.push(task);
  }

  request(effect: Effect): void {
    this.effects.push(effect);
  }
}
