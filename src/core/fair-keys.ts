/**
 * The fairness keys of one pool: whose turn it is among those that wait, and how many tasks of each run. Tasks without
 * a key share one. A key's lanes are few: one for each kind of work and priority that it has waiting.
 */
import { PRIORITIES, type Priority } from "./task.ts";

/** Stands for the key of tasks that name none. */
const SHARED = "";

/** `L` is what stands in the queue for it: lanes. */
export class FairKey<L> {
  readonly name: string;
  /** Tasks that run. */
  running = 0;
  /** Lanes that hold tasks of it. */
  readonly lanes = new Set<L>();
  /** Per priority: the smallest is next. */
  readonly turns: Record<Priority, number> = { 1: 0, 2: 0, 3: 0, 4: 0 };
  readonly waiting: Record<Priority, number> = { 1: 0, 2: 0, 3: 0, 4: 0 };

  constructor(name: string) {
    this.name = name;
  }

  /** That of tasks without a key. */
  get isShared(): boolean {
    return this.name === SHARED;
  }
}

/** How many of the wanted tasks of a key may start besides those that it was asked for before. */
export type KeyRooms = (key: Pick<FairKey<unknown>, "name" | "running">, wanted: number) => number;

export class FairKeys<L> {
  readonly #keys = new Map<string, FairKey<L>>();
  readonly #shared = new FairKey<L>(SHARED);
  /** Tasks of one key that may run at a time. */
  #concurrency = Number.POSITIVE_INFINITY;
  #turn = 0;
  /** Some task has named a key: until then there are no turns to take. */
  used = false;

  get size(): number {
    return this.#keys.size;
  }

  of(name: string | undefined): FairKey<L> {
    if (name === undefined) return this.#shared;
    let key = this.#keys.get(name);
    if (key === undefined) {
      key = new FairKey<L>(name);
      this.#keys.set(name, key);
    }
    return key;
  }

  /** One that nobody has used is as good as new. */
  find(name: string | undefined): Pick<FairKey<L>, "name" | "running"> {
    if (name === undefined) return this.#shared;
    return this.#keys.get(name) ?? { name, running: 0 };
  }

  *all(): Iterable<FairKey<L>> {
    yield this.#shared;
    yield* this.#keys.values();
  }

  limit(concurrency: number | undefined): void {
    this.#concurrency = concurrency ?? Number.POSITIVE_INFINITY;
  }

  /** As many of its tasks run as may. */
  isFull(key: Pick<FairKey<L>, "running">): boolean {
    return key.running >= this.#concurrency;
  }

  /** A task of it waits; the first one puts the key at the end of the round. */
  joined(key: FairKey<L>, priority: Priority): void {
    key.waiting[priority] += 1;
    if (key.waiting[priority] === 1) this.goesLast(key, priority);
  }

  left(key: FairKey<L>, priority: Priority): void {
    key.waiting[priority] -= 1;
  }

  goesLast(key: FairKey<L>, priority: Priority): void {
    this.#turn += 1;
    key.turns[priority] = this.#turn;
  }

  /** Lets go of a key that has nothing any more. */
  drop(key: FairKey<L>): void {
    if (key === this.#shared || key.running > 0 || key.lanes.size > 0) return;
    if (PRIORITIES.every((priority) => key.waiting[priority] === 0)) this.#keys.delete(key.name);
  }

  /** Counts down how many more tasks of each key may start. */
  rooms(): KeyRooms {
    if (this.#concurrency === Number.POSITIVE_INFINITY) return (_, wanted) => wanted;
    const left = new Map<string, number>();
    return ({ name, running }, wanted) => {
      const room = left.get(name) ?? Math.max(0, this.#concurrency - running);
      const taken = Math.min(room, wanted);
      left.set(name, room - taken);
      return taken;
    };
  }
}
