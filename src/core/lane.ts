/**
 * A lane: tasks of one priority and one fairness key that the very same agents may run, in the order they are to be
 * served.
 *
 * Most arrive in order and stand in a plain row; those that keep an earlier place (retries, releases) stand in a small
 * heap beside it, and replays, which go before all others, in another. A task that has left is stepped over when its
 * turn comes.
 */
import { Heap } from "../base/heap.ts";
import type { AgentId } from "../base/ids.ts";
import type { FairKey } from "./fair-keys.ts";
import { isSenior, precedes } from "./order.ts";
import type { Group } from "./seats.ts";
import type { ServiceClass } from "./service-class.ts";
import type { Priority, Task } from "./task.ts";

/** A kind of work that waits in the pool, or has. */
export interface WorkClass extends ServiceClass {
  /** A closed gate holds its type: nobody is offered its tasks. */
  held: boolean;
  /** Tasks that wait in its lanes. */
  size: number;
  /** Who may serve it: few, and walked for every choice. */
  groups: readonly Group[];
  readonly lanes: Map<string, Lane>;
  /** By priority, the lanes of tasks that ask for nothing else; most tasks are of these. */
  readonly plain: (Lane | undefined)[];
}

export class Lane {
  readonly key: string;
  readonly serviceClass: WorkClass;
  readonly priority: Priority;
  readonly fairKey: FairKey<Lane>;
  /** Whose money they spend; undefined for tasks that name nobody. */
  readonly tenant: string | undefined;
  /** Agents that failed these tasks. Undefined for tasks that nobody failed. */
  readonly excluded: ReadonlySet<AgentId> | undefined;
  /** A backoff is behind them: the excluded may serve when nobody else could. */
  readonly again: boolean;
  /** They have survived a kill: only an agent that is empty may run them. */
  readonly alone: boolean;
  /** They ran at too many deaths of the engine: nothing else of this host may run beside them. */
  readonly quiet: boolean;
  /** Somebody who is not excluded could serve. Kept by the matcher for lanes with exclusions. */
  couldOthers = true;
  /** Grows whenever another task comes to the head; heads in the groups' heaps name it. */
  version = 0;
  /** Passed over for the rest of this match: everybody free is excluded. */
  aside = false;
  /** Undefined before the head: whoever has left is let go at once. */
  #row: (Task | undefined)[] = [];
  #rowHead = 0;
  #early = new Heap<Task>(precedes);
  #replays = new Heap<Task>(precedes);
  #size = 0;

  constructor(
    key: string,
    serviceClass: WorkClass,
    options: {
      priority: Priority;
      fairKey: FairKey<Lane>;
      tenant?: string | undefined;
      excluded: ReadonlySet<AgentId> | undefined;
      again: boolean;
      alone: boolean;
      quiet: boolean;
    },
  ) {
    this.key = key;
    this.serviceClass = serviceClass;
    this.priority = options.priority;
    this.fairKey = options.fairKey;
    this.tenant = options.tenant;
    this.excluded = options.excluded;
    this.again = options.again;
    this.alone = options.alone;
    this.quiet = options.quiet;
  }

  /** Tasks that stand here. */
  get size(): number {
    return this.#size;
  }

  /** Agents that do not get these tasks: those that failed them, until nobody else could serve after a backoff. */
  get excludedNow(): ReadonlySet<AgentId> | undefined {
    return this.again && !this.couldOthers ? undefined : this.excluded;
  }

  push(task: Task): void {
    task.lane = this;
    this.#size += 1;
    const last = this.#row[this.#row.length - 1];
    if (task.first) this.#replays.push(task);
    else if (last === undefined || this.#row.length === this.#rowHead || precedes(last, task)) this.#row.push(task);
    else this.#early.push(task);
  }

  /** The task leaves, from wherever it stands. */
  leave(task: Task): void {
    task.lane = undefined;
    this.#size -= 1;
    const held = this.#row.length - this.#rowHead + this.#early.size + this.#replays.size;
    if (held > 2 * this.#size + 64) this.#compact();
  }

  head(): Task | undefined {
    this.#skipGone();
    return this.#replays.peek() ?? this.#front();
  }

  /** The one that has waited longest: what is behind the replays may be older. */
  oldest(): Task | undefined {
    this.#skipGone();
    const replay = this.#replays.peek();
    const front = this.#front();
    if (replay === undefined || front === undefined) return replay ?? front;
    return isSenior(replay, front) ? replay : front;
  }

  /** The first of those that are no replays. */
  #front(): Task | undefined {
    const row = this.#row[this.#rowHead];
    const early = this.#early.peek();
    if (row === undefined || early === undefined) return row ?? early;
    return precedes(early, row) ? early : row;
  }

  /**
   * Tasks for which `holds` is true, in no order. It must hold for all that precede one for which it holds: then only
   * these, those that have left, and their neighbours are looked at.
   */
  *where(holds: (task: Task) => boolean): Iterable<Task> {
    this.#skipGone();
    for (const task of this.#replays.where(holds)) if (task.lane === this) yield task;
    for (let at = this.#rowHead; at < this.#row.length; at++) {
      const task = this.#row[at] as Task;
      if (!holds(task)) break;
      if (task.lane === this) yield task;
    }
    for (const task of this.#early.where(holds)) if (task.lane === this) yield task;
  }

  #skipGone(): void {
    while (this.#replays.size > 0 && this.#replays.peek()?.lane !== this) this.#replays.pop();
    while (this.#early.size > 0 && this.#early.peek()?.lane !== this) this.#early.pop();
    while (this.#rowHead < this.#row.length && this.#row[this.#rowHead]?.lane !== this) {
      this.#row[this.#rowHead] = undefined;
      this.#rowHead += 1;
    }
    this.#trim();
  }

  /** Gives back the room of those that left, a half at a time. */
  #trim(): void {
    if (this.#rowHead === this.#row.length) {
      this.#row = [];
      this.#rowHead = 0;
    } else if (this.#rowHead > 1_024 && this.#rowHead * 2 > this.#row.length) {
      this.#row = this.#row.slice(this.#rowHead);
      this.#rowHead = 0;
    }
  }

  #compact(): void {
    this.#row = this.#row.slice(this.#rowHead).filter((task) => task?.lane === this);
    this.#rowHead = 0;
    this.#early = this.#present(this.#early);
    this.#replays = this.#present(this.#replays);
  }

  #present(tasks: Heap<Task>): Heap<Task> {
    const present = new Heap<Task>(precedes);
    for (let task = tasks.pop(); task !== undefined; task = tasks.pop()) if (task.lane === this) present.push(task);
    return present;
  }
}
