/**
 * How the last attempts of an agent ended: what its breaker and its passive health look back on.
 *
 * Each value stays as it is; one more outcome makes a new one. Yet nothing is copied for it: the values are views of
 * one growing log, so that an outcome costs the same however many are looked back on.
 */

export interface PastOutcome {
  readonly atMs: number;
  readonly failed: boolean;
}

/** How far back one looks. */
export interface Reach {
  /** Outcomes, at least 1. */
  readonly window: number;
  /** Older ones are forgotten. Milliseconds. */
  readonly maxAgeMs: number;
}

/** Written at its end only, by the newest view of it. */
interface Log {
  readonly instants: number[];
  readonly fails: boolean[];
}

/** Places before the first that is still looked at, at which the log begins anew. */
const SLACK = 64;

export class Outcomes implements Iterable<PastOutcome> {
  readonly #log: Log;
  readonly #from: number;
  readonly #to: number;
  readonly failures: number;
  /** Failures since the last success. */
  readonly inARow: number;

  private constructor(log: Log, view: { from: number; to: number; failures: number; inARow: number }) {
    this.#log = log;
    this.#from = view.from;
    this.#to = view.to;
    this.failures = view.failures;
    this.inARow = view.inARow;
  }

  /** Without any. */
  static none(): Outcomes {
    return new Outcomes({ instants: [], fails: [] }, { from: 0, to: 0, failures: 0, inARow: 0 });
  }

  get length(): number {
    return this.#to - this.#from;
  }

  get oldestAtMs(): number | undefined {
    return this.length === 0 ? undefined : this.#log.instants[this.#from];
  }

  /** Places that are kept for it, those that nobody looks at any more included. */
  get placesHeld(): number {
    return this.#log.instants.length;
  }

  /** With one more, and without those that are out of reach then. */
  with({ atMs, failed }: PastOutcome, { window, maxAgeMs }: Reach): Outcomes {
    const from = this.#firstWithin(atMs, { maxAgeMs, keep: window - 1 });
    const log = this.#writable(from);
    const begin = log === this.#log ? from : 0;
    log.instants.push(atMs);
    log.fails.push(failed);
    const failures = this.failures - this.#failuresBefore(from) + (failed ? 1 : 0);
    const inARow = failed ? Math.min(this.inARow, this.#to - from) + 1 : 0;
    return new Outcomes(log, { from: begin, to: log.instants.length, failures, inARow });
  }

  /** Without what is too old by now; itself when nothing is. */
  within(nowMs: number, maxAgeMs: number): Outcomes {
    const from = this.#firstWithin(nowMs, { maxAgeMs, keep: this.length });
    if (from === this.#from) return this;
    const failures = this.failures - this.#failuresBefore(from);
    const inARow = Math.min(this.inARow, this.#to - from);
    return new Outcomes(this.#log, { from, to: this.#to, failures, inARow });
  }

  /** Without the first failure at that instant; itself when there is none. */
  withoutFailure(failedAtMs: number): Outcomes {
    const all = [...this];
    const at = all.findIndex(({ atMs, failed }) => failed && atMs === failedAtMs);
    if (at === -1) return this;
    const inARow = all.length - at <= this.inARow ? this.inARow - 1 : this.inARow;
    const kept = all.toSpliced(at, 1);
    const log: Log = { instants: kept.map(({ atMs }) => atMs), fails: kept.map(({ failed }) => failed) };
    return new Outcomes(log, { from: 0, to: kept.length, failures: this.failures - 1, inARow });
  }

  *[Symbol.iterator](): Iterator<PastOutcome> {
    const { instants, fails } = this.#log;
    for (let at = this.#from; at < this.#to; at++) yield { atMs: instants[at] as number, failed: fails[at] === true };
  }

  /** Place of the first that is not too old, leaving at most `keep`. */
  #firstWithin(nowMs: number, { maxAgeMs, keep }: { maxAgeMs: number; keep: number }): number {
    const { instants } = this.#log;
    let at = Math.max(this.#from, this.#to - keep);
    while (at < this.#to && nowMs - (instants[at] as number) > maxAgeMs) at += 1;
    return at;
  }

  #failuresBefore(end: number): number {
    let failures = 0;
    for (let at = this.#from; at < end; at++) if (this.#log.fails[at]) failures += 1;
    return failures;
  }

  /** The log itself for its newest view, unless most of it has been left behind; else what is looked at, by itself. */
  #writable(from: number): Log {
    const { instants, fails } = this.#log;
    if (this.#to === instants.length && this !== NO_OUTCOMES && from < SLACK + this.length) return this.#log;
    return { instants: instants.slice(from, this.#to), fails: fails.slice(from, this.#to) };
  }
}

/** What everybody begins with. Not a static field of the class: as compiled, it would be made before the class is. */
export const NO_OUTCOMES = Outcomes.none();
