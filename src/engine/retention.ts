/** Looks after what is settled: has the core let go of what is kept for too long, a bounded number per commit. */
import type { Clock, Timer } from "../base/clock.ts";
import type { PoolId } from "../base/ids.ts";
import { RETIRE_LIMIT } from "../core/retire.ts";
import type { NamespaceState } from "../core/state.ts";
import { RETENTION_DEFAULTS, type RetentionOptions } from "../policies/retention.ts";
import type { SettledRow, Store } from "../stores/store.ts";
import type { LogEvent } from "./engine-options.ts";
import type { Loop } from "./loop.ts";

export interface RetentionParts {
  readonly state: NamespaceState;
  readonly store: Store;
  readonly clock: Clock;
  readonly loop: Pick<Loop, "ask">;
  readonly log: (event: LogEvent) => void;
}

/** How often age is looked at, at most. Milliseconds. */
const LOOK_MS = 60_000;

/** A pool may be above its count by this share before its tasks go, so that not every settlement costs a commit. */
const SLACK = 0.01;

/** Tasks that are asked for at least: the first that stays ends the look. */
const FIRST_LOOK = 16;

export class Retention {
  readonly #parts: RetentionParts;
  readonly #marked = new Set<PoolId>();
  /** How many more may be settled before anybody need look; by the options that this was said of. */
  readonly #rooms = new Map<PoolId, { readonly options: RetentionOptions; left: number }>();
  /** Tasks seen settled, so that those of the time of a look are not forgotten. */
  #seen = 0;
  #passing: Promise<void> | undefined;
  #timer: Timer | undefined;
  #closed = false;

  constructor(parts: RetentionParts) {
    this.#parts = parts;
  }

  /** A turn is over, and these tasks are settled. */
  saw(settled: readonly SettledRow[]): void {
    this.#seen += settled.length;
    for (const { facts } of settled) if (!this.#takeRoom(facts.spec.pool)) this.#marked.add(facts.spec.pool);
    if (this.#marked.size > 0) this.#begin();
  }

  /** False when the pool has to be looked at. */
  #takeRoom(pool: PoolId): boolean {
    const room = this.#rooms.get(pool);
    if (room === undefined || room.left <= 0 || room.options !== this.#optionsOf(pool)) return false;
    room.left -= 1;
    return true;
  }

  /** A pool that is gone is kept as if nobody had said anything. */
  #optionsOf(pool: PoolId): RetentionOptions {
    return this.#parts.state.pools.get(pool)?.options.retention ?? RETENTION_DEFAULTS;
  }

  /** Looks at every pool, deleted ones too, now and every so often: time alone may have made tasks too old. */
  lookLater(): void {
    if (this.#closed) return;
    this.#rooms.clear();
    let everyMs = LOOK_MS;
    for (const { id, options } of this.#parts.state.pools.values()) {
      this.#marked.add(id);
      everyMs = Math.min(everyMs, Math.max(1_000, options.retention.ageMs));
    }
    this.#begin(true);
    this.#timer?.cancel();
    this.#timer = this.#parts.clock.timer(everyMs, () => this.lookLater());
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#passing;
  }

  #begin(byAge = false): void {
    if (this.#closed || this.#passing !== undefined) return;
    this.#passing = this.#pass(byAge)
      .catch((error: unknown) => this.#parts.log({ level: "debug", event: "retention.stopped", error: String(error) }))
      .finally(() => {
        this.#passing = undefined;
        // Somebody may have been settled while the last pass came to its end.
        if (this.#marked.size > 0) this.#begin();
      });
  }

  async #pass(byAge: boolean): Promise<void> {
    if (byAge) for (const pool of await this.#parts.store.settledPools()) this.#marked.add(pool);
    for (const pool of this.#marked) {
      this.#marked.delete(pool);
      await this.#look(pool, byAge);
      if (this.#closed) return;
    }
  }

  async #look(pool: PoolId, byAge: boolean): Promise<void> {
    const options = this.#optionsOf(pool);
    const seen = this.#seen;
    const { count, bytes } = await this.#parts.store.oldest(pool, { skip: 0, limit: 0 });
    const slack = Math.floor(options.count * SLACK);
    const excess = count - options.count;
    const isOver = excess > slack || bytes > (options.bytes ?? Number.POSITIVE_INFINITY);
    if (byAge || isOver) await this.#relieve(pool, Math.max(excess + 1, FIRST_LOOK));
    // Bytes are the store's to count.
    if (options.bytes !== undefined) return;
    this.#rooms.set(pool, { options, left: (isOver ? slack : slack - excess) - (this.#seen - seen) });
  }

  /** Until nothing more may go. What open tasks depend on is passed over. */
  async #relieve(pool: PoolId, expected: number): Promise<void> {
    const { store, loop } = this.#parts;
    let skip = 0;
    for (let left = expected; !this.#closed; left -= RETIRE_LIMIT) {
      const limit = left > 0 ? Math.min(left, RETIRE_LIMIT) : RETIRE_LIMIT;
      const { count, bytes, oldest } = await store.oldest(pool, { skip, limit });
      if (oldest.length === 0) return;
      const reply = await loop.ask({ type: "retire", pool, oldest, kept: { count, bytes } });
      if (reply.type !== "retired") return;
      const isWithinBounds = reply.count + reply.passed < oldest.length;
      if (isWithinBounds || oldest.length < limit) return;
      skip += reply.passed;
    }
  }
}
