import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  acquire,
  admitsAtMs,
  type Breaker,
  type BreakerOutcome,
  LAPSED_LIMIT,
  NEW_BREAKER,
  oldestPermit,
  type Permit,
  probe,
  reset,
  retract,
  ripen,
  type Step,
  settle,
  stateOf,
  type Transition,
} from "./breaker.ts";
import { BREAKER_DEFAULTS, type BreakerOptions, LONGEST_RETRY_AFTER_MS } from "./options.ts";

const SUCCEEDED: BreakerOutcome = { name: "succeeded" };
const FAILED: BreakerOutcome = { name: "failed" };
const IGNORED: BreakerOutcome = { name: "ignored" };

/** Holds a breaker, a time and all transitions, so that a case says only what happens. */
class Bench {
  breaker: Breaker = NEW_BREAKER;
  nowMs = 1_000;
  draw = 0.5;
  readonly options: BreakerOptions;
  readonly transitions: Transition[] = [];

  constructor(options: Partial<BreakerOptions> = {}) {
    this.options = { ...BREAKER_DEFAULTS, jitter: "none", ...options };
  }

  get state(): string {
    return stateOf(this.breaker, this.nowMs);
  }

  take(step: Step): void {
    this.breaker = step.breaker;
    if (step.transition) this.transitions.push(step.transition);
  }

  acquire(): Permit | undefined {
    const acquired = acquire(this.breaker, this.nowMs, this.options);
    this.take(acquired);
    return acquired.permit;
  }

  permit(): Permit {
    const permit = this.acquire();
    if (permit === undefined) throw new Error("a call should be let through here");
    return permit;
  }

  settle(permit: Permit, outcome: BreakerOutcome): void {
    const random = { next: () => this.draw };
    this.take(settle(this.breaker, permit, outcome, { nowMs: this.nowMs, random, options: this.options }));
  }

  /** S is a call that succeeds, F one that fails, I one that is ignored; one after the other. */
  calls(outcomes: string): this {
    for (const letter of outcomes) {
      this.settle(this.permit(), { F: FAILED, I: IGNORED }[letter] ?? SUCCEEDED);
    }
    return this;
  }

  advance(ms: number): this {
    this.nowMs += ms;
    return this;
  }

  get untilMs(): number | undefined {
    return this.breaker.name === "open" ? this.breaker.untilMs : undefined;
  }
}

/** Open since 1,000 for 5,000 ms. */
const opened = (options: Partial<BreakerOptions> = {}): Bench =>
  new Bench({ ratio: null, ...options }).calls("F".repeat(options.consecutive ?? 5));

const halfOpened = (options: Partial<BreakerOptions> = {}): Bench => opened(options).advance(options.openMs ?? 5_000);

describe("while closed", () => {
  test("S1-11: the fifth failure in a row opens it, the fourth does not", () => {
    const bench = new Bench({ ratio: null });
    expect(bench.calls("FFFF").state).toBe("closed");
    expect(bench.calls("F").state).toBe("open");
    expect(bench.transitions).toEqual([{ from: "closed", to: "open", reason: "consecutive", atMs: 1_000 }]);
  });

  test("S1-11: a success begins the count of failures in a row anew", () => {
    expect(new Bench({ ratio: null }).calls("FFFFSFFFF").state).toBe("closed");
    expect(new Bench({ ratio: null }).calls("FFFFSFFFFF").state).toBe("open");
  });

  test("an ignored outcome neither counts nor ends a row of failures", () => {
    expect(new Bench({ ratio: null }).calls("FFFFIIIIII").state).toBe("closed");
    expect(new Bench({ ratio: null }).calls("FFFFIIIF").state).toBe("open");
    expect(new Bench({ consecutive: 9 }).calls("FFIIII").state).toBe("closed");
  });

  test("one failure is enough where consecutive is 1", () => {
    expect(new Bench({ consecutive: 1 }).calls("F").state).toBe("open");
  });

  test("the share opens it at the bound, and not below", () => {
    expect(new Bench({ consecutive: 99, ratio: 0.5, minimum: 6 }).calls("FSFSSF").state).toBe("open");
    expect(new Bench({ consecutive: 99, ratio: 0.51, minimum: 6 }).calls("FSFSSF").state).toBe("closed");
    const [transition] = new Bench({ consecutive: 99 }).calls("SFSFF").transitions;
    expect(transition).toEqual({ from: "closed", to: "open", reason: "ratio", atMs: 1_000 });
  });

  test("S1-B01: fewer outcomes than the minimum say nothing about a share", () => {
    expect(new Bench({ consecutive: 99, minimum: 5 }).calls("FFFF").state).toBe("closed");
    expect(new Bench({ consecutive: 99, minimum: 5 }).calls("FFFFF").state).toBe("open");
  });

  test("with ratio null only failures in a row open it", () => {
    expect(new Bench({ ratio: null }).calls("FFFFS".repeat(20)).state).toBe("closed");
  });

  test("the share is taken of the last outcomes only", () => {
    const options = { consecutive: 99, window: 4, minimum: 4, ratio: 0.75 };
    expect(new Bench(options).calls("SSSSSSSSFSFF").state).toBe("open");
    expect(new Bench(options).calls("FFSSSFF").state).toBe("closed");
  });

  test("a success does not open it, even where it makes up the minimum", () => {
    const bench = new Bench({ consecutive: 99, minimum: 5 }).calls("FFFFS");
    expect(bench.state).toBe("closed");
    expect(bench.calls("F").state).toBe("open");
  });

  test("an outcome counts up to its last millisecond, and not after it", () => {
    const options = { consecutive: 99, minimum: 5, maxAgeMs: 1_000 };
    expect(new Bench(options).calls("FFFF").advance(1_000).calls("F").state).toBe("open");
    expect(new Bench(options).calls("FFFF").advance(1_001).calls("F").state).toBe("closed");
  });

  test("outcomes expire by age also while nothing happens: one failure after an idle hour does not open it", () => {
    const bench = new Bench({ consecutive: 99, window: 1_000, ratio: 0.5, minimum: 5, maxAgeMs: 10_000 });
    bench.calls("S".repeat(20)).calls("F".repeat(19)).advance(3_600_000);
    expect(bench.calls("F").state).toBe("closed");
    expect(bench.breaker).toMatchObject({ outcomes: { length: 1, failures: 1 } });
  });

  test("failures in a row count however long ago they were", () => {
    const bench = new Bench({ ratio: null });
    for (let i = 0; i < 5; i++) bench.calls("F").advance(3_600_000);
    expect(bench.transitions).toMatchObject([{ to: "open", reason: "consecutive" }]);
  });

  test("any number of calls is let through, at once", () => {
    const bench = new Bench();
    expect(admitsAtMs(bench.breaker, bench.nowMs, bench.options)).toBe(1_000);
    const permits = Array.from({ length: 1_000 }, () => bench.acquire());
    expect(permits.every((permit) => permit !== undefined)).toBe(true);
  });

  test("it keeps no more outcomes than the share looks back on", () => {
    const { breaker } = new Bench({ window: 3 }).calls("S".repeat(50));
    expect(breaker).toMatchObject({ outcomes: { length: 3 } });
  });
});

describe("while open", () => {
  test("no call is let through until its time is over, then it is half-open by the time alone", () => {
    const bench = opened();
    expect(bench.advance(4_999).state).toBe("open");
    expect(bench.acquire()).toBeUndefined();
    expect(admitsAtMs(bench.breaker, bench.nowMs, bench.options)).toBe(6_000);
    expect(bench.advance(1).state).toBe("half_open");
    expect(admitsAtMs(bench.breaker, bench.nowMs, bench.options)).toBe(6_000);
    expect(bench.acquire()).toBeDefined();
  });

  test("S1-12: the change to half-open is made when it is looked at, and is announced", () => {
    const bench = opened().advance(60_000);
    bench.take(ripen(bench.breaker, bench.nowMs));
    expect(bench.transitions.at(-1)).toEqual({ from: "open", to: "half_open", reason: "time", atMs: 61_000 });
    expect(ripen(bench.breaker, bench.nowMs).transition).toBeUndefined();
  });

  test("ripening early changes nothing", () => {
    const bench = opened().advance(4_999);
    expect(ripen(bench.breaker, bench.nowMs)).toEqual({ breaker: bench.breaker });
  });

  test("S1-B11: a failure reported late does not prolong it", () => {
    const bench = new Bench({ ratio: null });
    const slow = bench.permit();
    bench.calls("FFFFF").advance(4_000);
    const before = bench.breaker;
    bench.settle(slow, { name: "failed", retryAfterMs: 60_000 });
    expect(bench.breaker).toBe(before);
    expect(bench.advance(1_000).state).toBe("half_open");
  });

  test("S1-14: a success reported while open does nothing", () => {
    const bench = new Bench({ ratio: null });
    const slow = bench.permit();
    bench.calls("FFFFF");
    bench.settle(slow, SUCCEEDED);
    expect(bench.state).toBe("open");
  });

  test("simultaneous failures open it once", () => {
    const bench = new Bench({ ratio: null });
    const permits = Array.from({ length: 50 }, () => bench.permit());
    for (const permit of permits) bench.settle(permit, FAILED);
    expect(bench.transitions).toHaveLength(1);
    expect(bench.breaker).toMatchObject({ name: "open", times: 1, untilMs: 6_000 });
  });

  test("each opening lasts longer, up to the cap", () => {
    const bench = new Bench({ ratio: null, openMs: 1_000, factor: 3, capMs: 8_000 }).calls("FFFFF");
    const lasted: number[] = [];
    for (let i = 0; i < 4; i++) {
      lasted.push((bench.untilMs ?? 0) - bench.nowMs);
      bench.advance(lasted[i] ?? 0).calls("F");
    }
    expect(lasted).toEqual([1_000, 3_000, 8_000, 8_000]);
    expect(bench.breaker.times).toBe(5);
  });

  test("equal jitter draws from half of the open time to all of it, full from nothing", () => {
    const untilMs = (jitter: "equal" | "full", draw: number): number | undefined => {
      const bench = new Bench({ jitter, openMs: 4_000 });
      bench.draw = draw;
      return bench.calls("FFFFF").untilMs;
    };
    expect([untilMs("equal", 0), untilMs("equal", 0.5), untilMs("equal", 0.9999)]).toEqual([3_000, 4_000, 4_999]);
    expect([untilMs("full", 0), untilMs("full", 0.5)]).toEqual([1_000, 3_000]);
  });

  test("a longer Retry-After of the failure that opens it counts, a shorter one does not, neither does no number", () => {
    const untilMs = (retryAfterMs: number): number | undefined => {
      const bench = new Bench({ ratio: null }).calls("FFFF");
      bench.settle(bench.permit(), { name: "failed", retryAfterMs });
      return bench.untilMs;
    };
    expect(untilMs(5_001)).toBe(6_001);
    expect(untilMs(400_000)).toBe(401_000);
    expect(untilMs(4_999)).toBe(6_000);
    expect(untilMs(Number.NaN)).toBe(6_000);
    expect(untilMs(Number.POSITIVE_INFINITY)).toBe(1_000 + LONGEST_RETRY_AFTER_MS);
  });
});

describe("while half-open", () => {
  test("S1-B10: exactly `permits` calls are let through: 1,000 at once get 1", () => {
    const bench = halfOpened();
    const permits = Array.from({ length: 1_000 }, () => bench.acquire()).filter((permit) => permit !== undefined);
    expect(permits).toHaveLength(1);
  });

  test("S1-B10: 1,000 at once get 3 where 3 are allowed, and one more for each that ends", () => {
    const bench = halfOpened({ permits: 3, successes: 9 });
    const permits = Array.from({ length: 1_000 }, () => bench.acquire()).filter((permit) => permit !== undefined);
    expect(permits).toHaveLength(3);
    bench.settle(permits[1] as Permit, SUCCEEDED);
    expect(bench.acquire()).toBeDefined();
    expect(bench.acquire()).toBeUndefined();
  });

  test("S1-13: two successes close it, one does not", () => {
    const bench = halfOpened().calls("S");
    expect(bench.state).toBe("half_open");
    expect(bench.calls("S").state).toBe("closed");
    expect(bench.transitions.at(-1)).toEqual({ from: "half_open", to: "closed", reason: "successes", atMs: 6_000 });
  });

  test("S1-B14: how many successes close it is an option", () => {
    expect(halfOpened({ successes: 1 }).calls("S").state).toBe("closed");
    expect(halfOpened({ successes: 4 }).calls("SSS").state).toBe("half_open");
    expect(halfOpened({ successes: 4 }).calls("SSSS").state).toBe("closed");
  });

  test("S1-13: one failure opens it again, also after a success, for longer", () => {
    const bench = halfOpened().calls("SF");
    expect(bench.breaker).toMatchObject({ name: "open", times: 2, untilMs: 16_000, reason: "permit_failed" });
    expect(bench.transitions.at(-1)).toEqual({ from: "half_open", to: "open", reason: "permit_failed", atMs: 6_000 });
  });

  test("the next half-open generation counts its successes from 0", () => {
    expect(halfOpened().calls("SF").advance(10_000).calls("S").state).toBe("half_open");
  });

  test("an ignored outcome gives the permit back and counts neither way", () => {
    const bench = halfOpened();
    for (let i = 0; i < 10; i++) bench.settle(bench.permit(), IGNORED);
    expect(bench.state).toBe("half_open");
    expect(bench.calls("SS").state).toBe("closed");
  });

  test("after closing, failures are counted from 0", () => {
    expect(halfOpened().calls("SSFFFF").state).toBe("closed");
    expect(halfOpened({ ratio: 0.5, minimum: 6 }).calls("SSFFFF").state).toBe("closed");
  });

  test("a success of a call begun before it opened does not close it", () => {
    const bench = new Bench({ ratio: null, successes: 1 });
    const slow = bench.permit();
    bench.calls("FFFFF").advance(5_000);
    const trial = bench.permit();
    bench.settle(slow, SUCCEEDED);
    expect(bench.state).toBe("half_open");
    bench.settle(trial, FAILED);
    expect(bench.state).toBe("open");
  });

  test("a failure of a call begun before it opened does not open it again", () => {
    const bench = new Bench({ ratio: null });
    const slow = bench.permit();
    bench.calls("FFFFF").advance(5_000);
    bench.permit();
    bench.settle(slow, FAILED);
    expect(bench.state).toBe("half_open");
  });

  test("an outcome of an earlier half-open generation counts neither way", () => {
    const bench = halfOpened({ permits: 2, successes: 1 });
    const [first, second] = [bench.permit(), bench.permit()];
    bench.settle(first, FAILED);
    bench.advance(10_000).permit();
    bench.settle(second, SUCCEEDED);
    expect(bench.state).toBe("half_open");
    bench.settle(second, FAILED);
    expect(bench.state).toBe("half_open");
  });

  test("an outcome of a half-open generation does not count after it has closed", () => {
    const bench = halfOpened({ permits: 2, successes: 1, consecutive: 1 });
    const [first, second] = [bench.permit(), bench.permit()];
    bench.settle(first, SUCCEEDED);
    bench.settle(second, FAILED);
    expect(bench.state).toBe("closed");
  });

  test("a permit counts once", () => {
    const bench = halfOpened();
    const permit = bench.permit();
    bench.settle(permit, SUCCEEDED);
    bench.settle(permit, SUCCEEDED);
    expect(bench.state).toBe("half_open");
    bench.settle(permit, FAILED);
    expect(bench.state).toBe("half_open");
  });

  test("a hung call does not block it for ever: after permitMs its permit is handed out again, not before", () => {
    const bench = halfOpened();
    bench.permit();
    expect(admitsAtMs(bench.breaker, bench.nowMs, bench.options)).toBe(66_000);
    expect(bench.advance(59_999).acquire()).toBeUndefined();
    expect(bench.advance(1).acquire()).toBeDefined();
    expect(bench.acquire()).toBeUndefined();
    expect(bench.state).toBe("half_open");
  });

  test("the outcome of a call whose permit was handed out again still counts in the same generation", () => {
    const late = (outcome: BreakerOutcome): string => {
      const bench = halfOpened({ successes: 1 });
      const hung = bench.permit();
      bench.advance(60_000).permit();
      bench.settle(hung, outcome);
      return bench.state;
    };
    expect(late(SUCCEEDED)).toBe("closed");
    expect(late(FAILED)).toBe("open");
  });

  test("a late outcome does not give back the permit of another", () => {
    const bench = halfOpened();
    const hung = bench.permit();
    bench.advance(60_000).permit();
    bench.settle(hung, IGNORED);
    expect(bench.acquire()).toBeUndefined();
  });

  test("permits whose time is over are remembered up to a limit, the latest first", () => {
    const bench = halfOpened({ successes: 1 });
    const first = bench.permit();
    bench.advance(60_000);
    const second = bench.permit();
    for (let i = 0; i < LAPSED_LIMIT; i++) bench.advance(60_000).permit();
    expect(bench.breaker).toMatchObject({ leases: { length: LAPSED_LIMIT + 1 } });
    bench.settle(first, SUCCEEDED);
    expect(bench.state).toBe("half_open");
    bench.settle(second, SUCCEEDED);
    expect(bench.state).toBe("closed");
  });

  test("the oldest permit that is not settled can be had again", () => {
    const bench = halfOpened({ permits: 2 });
    expect(oldestPermit(bench.breaker)).toBeUndefined();
    const [first, second] = [bench.permit(), bench.permit()];
    expect(oldestPermit(bench.breaker)).toEqual(first);
    bench.settle(first, IGNORED);
    expect(oldestPermit(bench.breaker)).toEqual(second);
    expect(oldestPermit(NEW_BREAKER)).toBeUndefined();
    expect(oldestPermit(opened().breaker)).toBeUndefined();
  });

  test("with fewer permits allowed than are out it waits until enough of them have ended", () => {
    const bench = halfOpened({ permits: 2 });
    bench.permit();
    bench.advance(10_000).permit();
    expect(admitsAtMs(bench.breaker, bench.nowMs, { ...bench.options, permits: 1 })).toBe(76_000);
    expect(admitsAtMs(bench.breaker, bench.nowMs, bench.options)).toBe(66_000);
    expect(admitsAtMs(bench.breaker, bench.nowMs, { ...bench.options, permits: 3 })).toBe(16_000);
  });
});

describe("over its life", () => {
  test("earlier openings are forgotten after it stayed closed for maxAgeMs, and not a moment before", () => {
    const again = (closedForMs: number): number =>
      halfOpened({ maxAgeMs: 10_000 }).calls("SS").advance(closedForMs).calls("FFFFF").breaker.times;
    expect(again(9_999)).toBe(2);
    expect(again(10_000)).toBe(1);
  });

  test("a spell closed counts from the last closing", () => {
    const bench = halfOpened({ maxAgeMs: 10_000 }).calls("SS").advance(9_000).calls("FFFFF");
    bench.advance(10_000).calls("SS").advance(9_999);
    expect(bench.calls("FFFFF").breaker.times).toBe(3);
  });

  test("S1-14: a reset closes it and forgets counts, openings and calls under way", () => {
    const bench = halfOpened().calls("F");
    bench.take(reset(bench.breaker, bench.nowMs));
    expect(bench.transitions.at(-1)).toEqual({ from: "open", to: "closed", reason: "reset", atMs: 6_000 });
    expect(bench.calls("FFFF").state).toBe("closed");
    expect(bench.calls("F").breaker).toMatchObject({ name: "open", times: 1 });
  });

  test("a reset while closed forgets too, and announces nothing", () => {
    const bench = new Bench({ ratio: null }).calls("FFF");
    const slow = bench.permit();
    bench.take(reset(bench.breaker, bench.nowMs));
    expect(bench.transitions).toEqual([]);
    bench.calls("FFFF");
    bench.settle(slow, FAILED);
    expect(bench.state).toBe("closed");
  });

  test("a good probe ends the open time early only where that is asked for, and never closes", () => {
    const asked = opened({ probeHalfOpens: true });
    asked.take(probe(asked.breaker, asked.nowMs, asked.options));
    expect(asked.transitions.at(-1)).toEqual({ from: "open", to: "half_open", reason: "probe", atMs: 1_000 });
    for (let i = 0; i < 5; i++) asked.take(probe(asked.breaker, asked.nowMs, asked.options));
    expect(asked.state).toBe("half_open");
    expect(asked.transitions).toHaveLength(2);
    const silent = opened();
    expect(probe(silent.breaker, silent.nowMs, silent.options)).toEqual({ breaker: silent.breaker });
  });

  test("a probe after the open time is over finds it half-open by the time, asked for or not", () => {
    for (const probeHalfOpens of [true, false]) {
      const bench = halfOpened({ probeHalfOpens });
      bench.take(probe(bench.breaker, bench.nowMs, bench.options));
      expect(bench.transitions.at(-1)).toMatchObject({ to: "half_open", reason: "time" });
    }
  });

  test("a probe of a closed breaker changes nothing", () => {
    const bench = new Bench({ probeHalfOpens: true }).calls("FF");
    expect(probe(bench.breaker, bench.nowMs, bench.options)).toEqual({ breaker: bench.breaker });
  });
});

describe("taking a failure back", () => {
  test("a failure that was not the agent's leaves share and row", () => {
    const bench = new Bench().calls("FFF");
    bench.advance(1).calls("F");
    bench.breaker = retract(bench.breaker, bench.breaker.generation, 1_001);
    expect(bench.breaker).toMatchObject({ consecutive: 3, outcomes: { length: 3 } });
    expect(bench.calls("F").state).toBe("closed");
    expect(bench.calls("F").state).toBe("open");
  });

  test("a failure before a success leaves the share only", () => {
    const bench = new Bench().calls("F").advance(1).calls("SFF");
    bench.breaker = retract(bench.breaker, bench.breaker.generation, 1_000);
    expect(bench.breaker).toMatchObject({ consecutive: 2, outcomes: { length: 3 } });
  });

  test("what is not there, or belongs to another generation or state, is not taken back", () => {
    const closed = new Bench().calls("SFF").breaker;
    expect(retract(closed, closed.generation, 999)).toBe(closed);
    expect(retract(closed, closed.generation + 1, 1_000)).toBe(closed);
    const open = opened().breaker;
    expect(retract(open, open.generation, 1_000)).toBe(open);
    const onlyGood = new Bench().calls("S").breaker;
    expect(retract(onlyGood, onlyGood.generation, 1_000)).toBe(onlyGood);
  });
});

/** The rules told once more, without generations or leases: it remembers every call for ever and looks back. */
class Model {
  state: "closed" | "open" | "half_open" = "closed";
  untilMs = 0;
  times = 0;
  closedAtMs: number | undefined;
  /** Begins with every change of state. */
  spell = 0;
  good = 0;
  row = 0;
  past: { atMs: number; failed: boolean }[] = [];
  readonly calls: { spell: number; half: boolean; begunMs: number; settled: boolean }[] = [];
  readonly options: BreakerOptions;

  constructor(options: BreakerOptions) {
    this.options = options;
  }

  #enter(state: "closed" | "open" | "half_open"): void {
    this.state = state;
    this.spell += 1;
    this.good = 0;
    this.row = 0;
    this.past = [];
  }

  #open(nowMs: number): void {
    this.times += 1;
    const { openMs, factor, capMs } = this.options;
    this.untilMs = nowMs + Math.min(capMs, openMs * factor ** (this.times - 1));
    this.#enter("open");
  }

  look(nowMs: number): void {
    if (this.state === "open" && nowMs >= this.untilMs) this.#enter("half_open");
  }

  acquire(nowMs: number): boolean {
    this.look(nowMs);
    if (this.state === "open") return false;
    const half = this.state === "half_open";
    const out = this.calls.filter(
      (call) => call.spell === this.spell && !call.settled && nowMs < call.begunMs + this.options.permitMs,
    );
    if (half && out.length >= this.options.permits) return false;
    this.calls.push({ spell: this.spell, half, begunMs: nowMs, settled: false });
    return true;
  }

  settle(index: number, outcome: string, nowMs: number): void {
    const call = this.calls[index];
    if (call === undefined || call.settled) return;
    call.settled = true;
    if (call.spell !== this.spell || outcome === "ignored") return;
    const failed = outcome === "failed";
    if (call.half) {
      if (failed) this.#open(nowMs);
      else {
        this.good += 1;
        if (this.good === this.options.successes) {
          this.#enter("closed");
          this.closedAtMs = nowMs;
        }
      }
      return;
    }
    this.past.push({ atMs: nowMs, failed });
    this.row = failed ? this.row + 1 : 0;
    const { window, maxAgeMs, minimum, ratio, consecutive } = this.options;
    const seen = this.past.slice(-window).filter(({ atMs }) => atMs >= nowMs - maxAgeMs);
    const bad = seen.filter((one) => one.failed).length;
    const tooMany = ratio !== null && seen.length >= minimum && bad >= ratio * seen.length;
    if (!failed || (this.row < consecutive && !tooMany)) return;
    if (this.closedAtMs === undefined || nowMs - this.closedAtMs >= maxAgeMs) this.times = 0;
    this.#open(nowMs);
  }

  reset(): void {
    this.#enter("closed");
    this.times = 0;
    this.closedAtMs = undefined;
  }

  probe(nowMs: number): void {
    this.look(nowMs);
    if (this.state === "open" && this.options.probeHalfOpens) this.#enter("half_open");
  }
}

type Command =
  | { readonly do: "acquire" | "look" | "reset" | "probe" }
  | { readonly do: "advance"; readonly ms: number }
  | { readonly do: "settle"; readonly index: number; readonly outcome: BreakerOutcome["name"] };

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 8, arbitrary: fc.constant<Command>({ do: "acquire" }) },
  { weight: 1, arbitrary: fc.constantFrom<Command>({ do: "look" }, { do: "reset" }, { do: "probe" }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("advance" as const), ms: fc.constantFrom(0, 1, 9, 10, 11, 50) }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant("settle" as const),
      index: fc.nat({ max: 12 }),
      outcome: fc.constantFrom<BreakerOutcome["name"]>(
        "failed",
        "failed",
        "failed",
        "succeeded",
        "succeeded",
        "ignored",
      ),
    }),
  },
);

const options = fc.record({
  consecutive: fc.integer({ min: 1, max: 5 }),
  ratio: fc.constantFrom(null, 0.5, 0.75, 1),
  window: fc.integer({ min: 1, max: 6 }),
  minimum: fc.integer({ min: 1, max: 6 }),
  maxAgeMs: fc.constantFrom(10, 20, 100),
  openMs: fc.constantFrom(0, 1, 10),
  factor: fc.constantFrom(1, 2, 3),
  capMs: fc.constantFrom(5, 40, 1_000),
  permits: fc.integer({ min: 1, max: 3 }),
  permitMs: fc.constantFrom(1, 10, 60),
  successes: fc.integer({ min: 1, max: 3 }),
  probeHalfOpens: fc.boolean(),
});

test("whatever happens in whatever order, it does what a model that remembers everything does", () => {
  const reached = { closed: 0, open: 0, half_open: 0, refused: 0, closedAgain: 0 };
  fc.assert(
    fc.property(options, fc.array(command, { maxLength: 120, size: "max" }), (some, commands) => {
      const bench = new Bench(some);
      const model = new Model(bench.options);
      const permits: Permit[] = [];
      for (const step of commands) {
        const before = bench.breaker;
        switch (step.do) {
          case "acquire": {
            const permit = bench.acquire();
            expect(permit !== undefined).toBe(model.acquire(bench.nowMs));
            if (permit !== undefined) permits.push(permit);
            else reached.refused += 1;
            break;
          }
          case "settle": {
            // The last permits are settled most often; a permit of a closed breaker is settled once, as is asked for.
            const index = permits.length - 1 - step.index;
            const permit = permits[index];
            if (permit === undefined || model.calls[index]?.settled === true) break;
            bench.settle(permit, { name: step.outcome });
            model.settle(index, step.outcome, bench.nowMs);
            break;
          }
          case "advance":
            bench.advance(step.ms);
            break;
          case "look":
            bench.take(ripen(bench.breaker, bench.nowMs));
            model.look(bench.nowMs);
            break;
          case "reset":
            bench.take(reset(bench.breaker, bench.nowMs));
            model.reset();
            break;
          case "probe":
            bench.take(probe(bench.breaker, bench.nowMs, bench.options));
            model.probe(bench.nowMs);
            break;
        }
        expect(bench.breaker.name).toBe(model.state);
        // A generation that came back would let an old outcome count.
        const grown = bench.breaker.generation - before.generation;
        expect(grown).toBeGreaterThanOrEqual(bench.breaker.name === before.name ? 0 : 1);
        if (model.state === "open") expect(bench.untilMs).toBe(model.untilMs);
        reached[model.state] += 1;
      }
      for (const [index, { from, to, reason }] of bench.transitions.entries()) {
        expect(from).toBe(bench.transitions[index - 1]?.to ?? "closed");
        expect(to).not.toBe(from);
        if (reason === "successes") reached.closedAgain += 1;
      }
    }),
    { numRuns: 400 },
  );
  for (const times of Object.values(reached)) expect(times).toBeGreaterThan(0);
});
