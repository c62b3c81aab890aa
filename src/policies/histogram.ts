/** Durations counted in fixed buckets: constant work and memory per sample, quantiles within one sixteenth. */

/** Buckets between a power of two and the next. Up to twice as many milliseconds are counted exactly. */
const STEPS = 16;
/** 2^36 ms is above two years; what is longer counts as that. */
const LONGEST_MS = 2 ** 36 - 1;

export class Histogram {
  readonly #counts: number[] = [];
  #count = 0;
  #sumMs = 0;
  #maxMs = 0;

  get count(): number {
    return this.#count;
  }

  /** Negative durations count as 0. */
  add(durationMs: number): void {
    const ms = Math.max(0, Math.floor(durationMs));
    const place = placeOf(Math.min(ms, LONGEST_MS));
    this.#counts[place] = (this.#counts[place] ?? 0) + 1;
    this.#count += 1;
    this.#sumMs += ms;
    this.#maxMs = Math.max(this.#maxMs, ms);
  }

  /** Null without samples. */
  mean(): number | null {
    return this.#count === 0 ? null : this.#sumMs / this.#count;
  }

  /**
   * The duration that this share of the samples does not exceed: the upper end of its bucket, never above the longest.
   *
   * @param share - in (0, 1]
   * @returns milliseconds; null without samples
   */
  quantile(share: number): number | null {
    if (this.#count === 0) return null;
    const wanted = Math.max(1, Math.ceil(share * this.#count));
    let seen = 0;
    for (const [place, count] of this.#counts.entries()) {
      seen += count ?? 0;
      if (seen >= wanted) return Math.min(upperEnd(place), this.#maxMs);
    }
    return this.#maxMs;
  }
}

/** Number of the bucket: milliseconds themselves while they are few, then `STEPS` per doubling. */
function placeOf(ms: number): number {
  if (ms < STEPS) return ms;
  const power = Math.floor(Math.log2(ms)) - Math.log2(STEPS);
  return power * STEPS + Math.floor(ms / 2 ** power);
}

/** The longest duration of a bucket. */
function upperEnd(place: number): number {
  if (place < 2 * STEPS) return place;
  const power = Math.floor(place / STEPS) - 1;
  return (place - power * STEPS + 1) * 2 ** power - 1;
}
