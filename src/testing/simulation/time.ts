/**
 * Time of a simulated world: it stands still until the next thing falls due, whatever that takes in reality.
 *
 * Things of one instant happen in an order that the seed draws. After each of them everything that only waits for
 * promises runs to its end, so that a run depends on nothing but its seed.
 */
import { type Clock, systemClock, type Timer } from "../../base/clock.ts";
import { Heap } from "../../base/heap.ts";
import type { Random } from "../../base/random.ts";

interface Alarm {
  readonly atMs: number;
  readonly tie: number;
  readonly order: number;
  readonly fire: () => void;
  cancelled: boolean;
}

const before = (a: Alarm, b: Alarm): boolean => {
  if (a.atMs !== b.atMs) return a.atMs < b.atMs;
  return a.tie === b.tie ? a.order < b.order : a.tie < b.tie;
};

export class WorldTime implements Clock {
  readonly #random: Random;
  readonly #startMs: number;
  readonly #alarms = new Heap<Alarm>(before);
  #deferred: (() => void)[] = [];
  #nowMs: number;
  #order = 0;

  constructor(random: Random, startMs: number) {
    this.#random = random;
    this.#startMs = startMs;
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs - this.#startMs;
  }

  timer(delayMs: number, fire: () => void): Timer {
    this.#order += 1;
    const atMs = this.#nowMs + Math.max(0, delayMs);
    const alarm = { atMs, tie: this.#random.next(), order: this.#order, fire, cancelled: false };
    this.#alarms.push(alarm);
    return {
      cancel: () => {
        alarm.cancelled = true;
      },
    };
  }

  defer(fire: () => void): void {
    this.#deferred.push(fire);
  }

  /** The next thing that is due happens, with all that it sets off at that instant. False when nothing is left. */
  async step(): Promise<boolean> {
    for (let next = this.#alarms.pop(); next !== undefined; next = this.#alarms.pop()) {
      if (next.cancelled) continue;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.fire();
      await this.settle();
      return true;
    }
    return false;
  }

  /** Lets the world go on until the promise is settled. */
  async during<T>(promise: Promise<T>): Promise<T> {
    const isSettled = watch(promise);
    await promisesRun();
    while (!isSettled() && (await this.step()));
    return promise;
  }

  /** Waits for what only needs promises, or reality. */
  async still<T>(promise: Promise<T>): Promise<T> {
    const isSettled = watch(promise);
    while (!isSettled()) await this.settle();
    return promise;
  }

  /** Runs what has been set off, without moving time. */
  async settle(): Promise<void> {
    await promisesRun();
    while (this.#deferred.length > 0) {
      const deferred = this.#deferred;
      this.#deferred = [];
      for (const fire of deferred) fire();
      await promisesRun();
    }
  }
}

function watch(promise: Promise<unknown>): () => boolean {
  let isSettled = false;
  const settle = (): void => {
    isSettled = true;
  };
  promise.then(settle, settle);
  return () => isSettled;
}

/** Whatever only waits for promises has run, however long the chain. */
export function promisesRun(): Promise<void> {
  return new Promise((resolve) => systemClock.defer(resolve));
}

/** The clock of one process: it ends with it, may stand still while the process is not let run, and may be wrong. */
export class ProcessClock implements Clock {
  readonly #world: WorldTime;
  #dead = false;
  #heldUp: (() => void)[] | undefined;
  #wallErrorMs = 0;
  #suspendedMs = 0;
  /** Passes of the event loop that somebody waited for: each is the beginning of a turn. */
  passes = 0;

  constructor(world: WorldTime) {
    this.#world = world;
  }

  get isHeldUp(): boolean {
    return this.#heldUp !== undefined;
  }

  now(): number {
    return this.#world.now() + this.#wallErrorMs;
  }

  monotonic(): number {
    return this.#world.monotonic() - this.#suspendedMs;
  }

  timer(delayMs: number, fire: () => void): Timer {
    const timer = this.#world.timer(delayMs, () => this.#run(timer, fire));
    return timer;
  }

  defer(fire: () => void): void {
    this.passes += 1;
    this.#world.defer(() => this.#run(undefined, fire));
  }

  /** The process ends: nothing that it waited for comes any more. */
  end(): void {
    this.#dead = true;
    this.#heldUp = undefined;
  }

  /** The wall clock is set. */
  jump(byMs: number): void {
    this.#wallErrorMs += byMs;
  }

  /** The process is not let run for a while; with `suspended` its monotonic clock stands still as well. */
  holdUp(forMs: number, { suspended }: { readonly suspended: boolean }): void {
    if (this.#heldUp !== undefined || this.#dead) return;
    this.#heldUp = [];
    this.#world.timer(forMs, () => {
      const late = this.#heldUp ?? [];
      this.#heldUp = undefined;
      if (suspended) this.#suspendedMs += forMs;
      for (const fire of late) if (!this.#dead) fire();
    });
  }

  #run(timer: Timer | undefined, fire: () => void): void {
    if (this.#dead) return;
    if (this.#heldUp === undefined) {
      fire();
      return;
    }
    let cancelled = false;
    if (timer !== undefined) {
      timer.cancel = () => {
        cancelled = true;
      };
    }
    this.#heldUp.push(() => {
      if (!cancelled) fire();
    });
  }
}
