/** A clock that stands still until it is told to go on. */
import type { Clock, Timer } from "../base/clock.ts";

export interface VirtualClock extends Clock {
  /**
   * Moves time on and fires what falls due, in order, each at its own instant. Resolves when everything that was set
   * off by it has run, also what is due by then only because of that.
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

  get nextAtMs(): number | undefined {
    return this.#next()?.atMs;
  }

  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    // What is there already fires before this returns, so that callers who don't wait see it too.
    this.#fireUntil(untilMs);
    await this.settle();
    while ((this.#next()?.atMs ?? Number.POSITIVE_INFINITY) <= untilMs) {
      this.#fireUntil(untilMs);
      await this.settle();
    }
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

  #fireUntil(untilMs: number): void {
    for (let next = this.#next(); next !== undefined && next.atMs <= untilMs; next = this.#next()) {
      this.#alarms.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.fire();
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
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
