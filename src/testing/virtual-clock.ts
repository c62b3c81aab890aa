/** A clock that stands still until it is told to go on. */
import type { Clock, Timer } from "../base/clock.ts";

export interface VirtualClock extends Clock {
  /**
   * Moves time on, instant by instant: what has been begun is carried through first, then what falls due fires in order,
   * each at its own instant with all that it sets off. Resolves when everything that is due by then has run. While
   * nobody is at work and nothing is due, now or later, time has moved before this returns, so that callers who look at
   * once see it.
   */
  advance(ms: number): Promise<void>;
  /** Runs what has been deferred, without moving time. Resolves when nothing is left to do at this instant. */
  settle(): Promise<void>;
  /** Instant of the next timer, if any. */
  readonly nextAtMs: number | undefined;
}

interface Alarm {
  readonly atMs: number;
  readonly order: number;
  readonly fire: () => void;
}

/** Rounds of promise callbacks after which nothing that only waits for promises is left over. */
const PROMISE_ROUNDS = 50;

export function createVirtualClock(startMs = 0): VirtualClock {
  return new ManualClock(startMs);
}

class ManualClock implements VirtualClock {
  #nowMs: number;
  readonly #startMs: number;
  #order = 0;
  #atWork = 0;
  /** Steps follow one another, also those of callers who don't wait. */
  #steps: Promise<void> = Promise.resolve();
  #stepping = 0;
  readonly #alarms = new Set<Alarm>();
  #deferred: (() => void)[] = [];

  constructor(startMs: number) {
    this.#nowMs = startMs;
    this.#startMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs - this.#startMs;
  }

  timer(delayMs: number, fire: () => void): Timer {
    this.#order += 1;
    const alarm = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order, fire };
    this.#alarms.add(alarm);
    return { cancel: () => this.#alarms.delete(alarm) };
  }

  defer(fire: () => void): void {
    this.#deferred.push(fire);
  }

  atWork(): () => void {
    this.#atWork += 1;
    return () => {
      this.#atWork -= 1;
    };
  }

  get nextAtMs(): number | undefined {
    return this.#next()?.atMs;
  }

  advance(ms: number): Promise<void> {
    const isIdle = this.#alarms.size + this.#deferred.length + this.#atWork + this.#stepping === 0;
    if (isIdle) this.#nowMs += ms;
    this.#stepping += 1;
    const step = this.#steps
      .then(() => this.#step(isIdle ? 0 : ms))
      .finally(() => {
        this.#stepping -= 1;
      });
    this.#steps = step.catch(() => {});
    return step;
  }

  async #step(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await this.settle();
    for (let next = this.#next(); next !== undefined && next.atMs <= untilMs; next = this.#next()) {
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      this.#fireDue();
      await this.settle();
    }
    this.#nowMs = untilMs;
  }

  async settle(): Promise<void> {
    for (let round = 0; round < PROMISE_ROUNDS; round++) {
      const deferred = this.#deferred;
      this.#deferred = [];
      for (const fire of deferred) fire();
      if (deferred.length > 0) round = 0;
      await Promise.resolve();
    }
  }

  #fireDue(): void {
    for (let next = this.#next(); next !== undefined && next.atMs <= this.#nowMs; next = this.#next()) {
      this.#alarms.delete(next);
      next.fire();
    }
  }

  #next(): Alarm | undefined {
    let next: Alarm | undefined;
    for (const alarm of this.#alarms) {
      if (next === undefined || alarm.atMs < next.atMs || (alarm.atMs === next.atMs && alarm.order < next.order)) {
        next = alarm;
      }
    }
    return next;
  }
}
