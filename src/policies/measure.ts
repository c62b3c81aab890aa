/**
 * What the attempts that ended say of an agent: how long it takes, how often it fails. Learned from zero by every
 * engine, in the order of the events, with + − × ÷ only, so that the same events give the same figures everywhere.
 */
import { powerOfHalf } from "./half-life.ts";

/** One agent's figures. Written by `observe` only; balancers read them. Milliseconds, shares in [0, 1]. */
export interface Measure {
  /** Attempts that ended well or by the agent's fault. */
  samples: number;
  /** Decaying mean of success; 1 before the first sample. */
  successRate: number;
  /** Failures per sample; 0 without samples. Exact up to `SHARE_WINDOW` samples, then the older half counts half. */
  errorShare: number;
  /** Decaying mean over successes only; undefined before the first. */
  successMs: number | undefined;
  /** Decaying mean in which a failure counts as what it costs; 0 without samples. */
  latencyMs: number;
  /** As `latencyMs`, but quick to rise, and halved with every half-life that passes after `costAtMs`. */
  costMs: number;
  costAtMs: number;
  /** `latencyMs` by type of task, of the types seen last. */
  readonly typeLatencyMs: Map<string, number>;
  /** What `errorShare` is made of. */
  recent: { samples: number; failures: number };
}

export const newMeasure = (): Measure => ({
  samples: 0,
  successRate: 1,
  errorShare: 0,
  successMs: undefined,
  latencyMs: 0,
  costMs: 0,
  costAtMs: 0,
  typeLatencyMs: new Map(),
  recent: { samples: 0, failures: 0 },
});

/** An attempt that ended well, or by the agent's fault. */
export interface Sample {
  readonly type: string;
  readonly succeeded: boolean;
  readonly tookMs: number;
  readonly endedAtMs: number;
}

/** Weight of a new sample in every decaying mean. */
export const EWMA_SHARE = 0.1;
/** Weight of a sample above the cost so far: a turn for the worse shows after one or two attempts. */
export const PEAK_SHARE = 0.5;
/** A failure costs at least so many medians of the pool, so that failing fast attracts nobody. */
export const FAILURE_MEDIANS = 10;
/** What a failure costs at least while the pool has no median yet. Milliseconds. */
export const FAILURE_FLOOR_MS = 1_000;
/** Samples after which the counts of the failure share are halved. */
export const SHARE_WINDOW = 200;
/** Types an agent is known by; the one learned first goes. */
export const TYPES_KEPT = 256;

/** Adds a sample to the agent's figures. `pool` holds the latencies before this sample. */
export function observe(measure: Measure, sample: Sample, pool: PoolLatency): void {
  const { succeeded, tookMs, type } = sample;
  const chargedMs = succeeded ? tookMs : Math.max(tookMs, pool.failureMs);
  const first = measure.samples === 0;
  measure.samples += 1;
  measure.successRate = toward(measure.successRate, succeeded ? 1 : 0, EWMA_SHARE);
  measure.latencyMs = first ? chargedMs : toward(measure.latencyMs, chargedMs, EWMA_SHARE);
  if (succeeded) {
    measure.successMs = measure.successMs === undefined ? tookMs : toward(measure.successMs, tookMs, EWMA_SHARE);
  }
  observeCost(measure, { chargedMs, first, atMs: sample.endedAtMs }, pool.halfLifeMs);
  observeShare(measure, succeeded);
  observeType(measure.typeLatencyMs, type, chargedMs);
}

const toward = (mean: number, sample: number, share: number): number => mean + (sample - mean) * share;

function observeCost(
  measure: Measure,
  { chargedMs, first, atMs }: { chargedMs: number; first: boolean; atMs: number },
  halfLifeMs: number,
): void {
  const before = costAt(measure, atMs, halfLifeMs);
  const share = chargedMs > before ? PEAK_SHARE : EWMA_SHARE;
  measure.costMs = first ? chargedMs : toward(before, chargedMs, share);
  measure.costAtMs = atMs;
}

function observeShare(measure: Measure, succeeded: boolean): void {
  const { recent } = measure;
  recent.samples += 1;
  if (!succeeded) recent.failures += 1;
  measure.errorShare = recent.failures / recent.samples;
  if (recent.samples < SHARE_WINDOW) return;
  recent.samples /= 2;
  recent.failures /= 2;
}

function observeType(types: Map<string, number>, type: string, chargedMs: number): void {
  const known = types.get(type);
  if (known === undefined && types.size >= TYPES_KEPT) {
    for (const oldest of types.keys()) {
      types.delete(oldest);
      break;
    }
  }
  types.set(type, known === undefined ? chargedMs : toward(known, chargedMs, EWMA_SHARE));
}

/**
 * The cost at an instant. What is not measured again is forgotten bit by bit: an agent that was slow is tried again
 * some day, also where others are always free.
 */
export function costAt(measure: Measure, nowMs: number, halfLifeMs: number): number {
  return nowMs <= measure.costAtMs
    ? measure.costMs
    : measure.costMs * powerOfHalf((nowMs - measure.costAtMs) / halfLifeMs);
}

/** Successes the median of a pool is taken from. Odd, so that there is a middle. */
export const MEDIAN_WINDOW = 63;
/** A slow agent is forgotten no faster than this. Milliseconds. */
export const HALF_LIFE_FLOOR_MS = 30_000;
/** Nor faster than within so many medians: a pool of long tasks must not try it with every other one. */
export const HALF_LIFE_MEDIANS = 100;

/** How long the attempts of a pool take: the middle of the last successes. */
export class PoolLatency {
  readonly #ring = new Float64Array(MEDIAN_WINDOW);
  readonly #sorted = new Float64Array(MEDIAN_WINDOW);
  #next = 0;
  #size = 0;
  /** How long until half of a cost is forgotten. Milliseconds. */
  halfLifeMs = HALF_LIFE_FLOOR_MS;
  /** What a failure is charged as, at least. Milliseconds. */
  failureMs = FAILURE_FLOOR_MS;

  /** Upper middle of the last successes; undefined before the first. */
  get medianMs(): number | undefined {
    return this.#size === 0 ? undefined : this.#sorted[this.#size >> 1];
  }

  /** A success took so long. */
  add(tookMs: number): void {
    this.#place(tookMs, this.#hole());
    this.#ring[this.#next] = tookMs;
    this.#next = (this.#next + 1) % MEDIAN_WINDOW;
    const medianMs = this.medianMs ?? 0;
    this.halfLifeMs = Math.max(HALF_LIFE_FLOOR_MS, HALF_LIFE_MEDIANS * medianMs);
    this.failureMs = FAILURE_MEDIANS * medianMs;
  }

  /** A place among the sorted: a new one, or the one of the oldest. */
  #hole(): number {
    if (this.#size < MEDIAN_WINDOW) {
      this.#size += 1;
      return this.#size - 1;
    }
    const oldest = this.#ring[this.#next] as number;
    let low = 0;
    for (let high = this.#size - 1; low < high; ) {
      const middle = (low + high) >> 1;
      if ((this.#sorted[middle] as number) < oldest) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Moves the hole to where the value belongs. */
  #place(value: number, hole: number): void {
    const sorted = this.#sorted;
    let at = hole;
    for (; at > 0 && (sorted[at - 1] as number) > value; at--) sorted[at] = sorted[at - 1] as number;
    for (; at < this.#size - 1 && (sorted[at + 1] as number) < value; at++) sorted[at] = sorted[at + 1] as number;
    sorted[at] = value;
  }
}
