/** What may go wrong in a run, how often, and how often it did. Each seed turns on some of it. */
import { below, type Random } from "../../base/random.ts";

/** Each with the largest share of the occasions at which it happens. */
export const FAULTS = {
  // Attempts.
  is_slow: 0.3,
  blames_agent: 0.4,
  blames_task: 0.15,
  blames_unknown: 0.3,
  blames_dependency: 0.15,
  blames_gate: 0.5,
  says_not_retryable: 0.3,
  throttles: 0.3,
  hangs: 0.15,
  ignores_stop: 0.15,
  returns_nonsense: 0.1,
  // Children.
  dies: 0.2,
  does_not_start: 0.3,
  fails_probe: 0.3,
  is_stopped: 0.1,
  // Remote agents and the way to them.
  falls_silent: 0.1,
  does_not_name: 0.1,
  forgets: 0.08,
  gives_back: 0.2,
  reports_twice: 0.3,
  request_lost: 0.1,
  reply_lost: 0.1,
  claim_breaks: 0.2,
  // Callers.
  cancels: 0.3,
  replays: 0.8,
  repeats: 0.4,
  changes_body: 0.2,
  batches: 0.4,
  depends: 0.5,
  names_unknown: 0.1,
  makes_cycle: 0.1,
  comes_late: 0.5,
  sets_deadline: 0.4,
  sets_budget: 0.15,
  names_tenant: 0.5,
  escalates: 0.5,
  delays: 0.4,
  names_fairness: 0.6,
  names_affinity: 0.5,
  takes_pill: 0.1,
  takes_bomb: 0.03,
  discards: 0.3,
  edits_replay: 0.3,
  deletes_pool: 0.03,
  // Operators; the shares are of their looks.
  pauses: 0.2,
  drains: 0.1,
  closes_gate: 0.4,
  fails_agent: 0.2,
  drains_agent: 0.2,
  restarts_agent: 0.2,
  shares_ids: 0.2,
  resets_breakers: 0.2,
  releases_payload: 0.3,
  shrinks_pool: 0.2,
  schedules: 0.4,
  // The engine's process, its clock and its store; the shares are of commits or of half seconds.
  killed_before_commit: 0.01,
  killed_after_commit: 0.01,
  killed_serving: 0.3,
  killed: 0.03,
  stopped: 0.03,
  held_up: 0.04,
  suspended: 0.03,
  wall_jumps: 0.05,
  commit_refused: 0.01,
  commit_unknown: 0.015,
  commit_slow: 1,
} as const satisfies Record<string, number>;

export type Fault = keyof typeof FAULTS;

export const FAULT_NAMES = Object.keys(FAULTS) as readonly Fault[];

export class Dice {
  readonly random: Random;
  readonly counts = new Map<Fault, number>();
  readonly #shares: ReadonlyMap<Fault, number>;
  /** Nothing goes wrong any more. */
  calm = false;

  constructor(random: Random) {
    this.random = random;
    const shares = new Map<Fault, number>();
    for (const fault of FAULT_NAMES) {
      const on = random.next() < 0.5;
      const share = random.next() * FAULTS[fault];
      if (on) shares.set(fault, share);
    }
    this.#shares = shares;
  }

  /** Its share in this run; 0 when it is off. */
  share(fault: Fault): number {
    return this.#shares.get(fault) ?? 0;
  }

  /** Draws whether it happens now. */
  happens(fault: Fault): boolean {
    const drawn = this.random.next();
    if (this.calm || drawn >= this.share(fault)) return false;
    this.count(fault);
    return true;
  }

  count(fault: Fault, by = 1): void {
    if (by > 0) this.counts.set(fault, (this.counts.get(fault) ?? 0) + by);
  }

  chance(share: number): boolean {
    return this.random.next() < share;
  }

  pick<T>(options: readonly [T, ...T[]]): T {
    return options[below(this.random, options.length)] as T;
  }

  /** An integer from `min` to `max`. */
  between(min: number, max: number): number {
    return min + below(this.random, max - min + 1);
  }
}
