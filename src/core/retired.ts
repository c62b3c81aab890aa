/** What is known of settled tasks that leave the store, and of the keys that outlive them. */
import type { PoolId, TaskId } from "../base/ids.ts";
import type { FinalStatus } from "./task.ts";

/** A settled task as the store counts it. */
export interface OldTask {
  readonly num: number;
  readonly id: TaskId;
  readonly status: FinalStatus;
  readonly settledAtMs: number;
  /** Of body and result. */
  readonly bytes: number;
  readonly idempotencyKey?: string | undefined;
  readonly bodyHash?: string | undefined;
}

/** What is left of a task whose idempotency key outlives it. */
export interface KeyRecord {
  readonly key: string;
  readonly id: TaskId;
  readonly bodyHash: string | undefined;
  readonly status: FinalStatus;
  readonly settledAtMs: number;
}

/** A day: whoever does not know what became of a request asks again sooner. */
export const KEY_KEPT_MS = 24 * 3_600_000;

/** The key of a task that was settled then still names it. */
export function isKeyKept(settledAtMs: number, nowMs: number): boolean {
  return nowMs < settledAtMs + KEY_KEPT_MS;
}

/** Bytes of a settled task, as retention counts them. */
export function retainedBytes(facts: {
  readonly spec: { readonly bodySize: number };
  readonly settlement: { readonly resultBytes?: number | undefined };
}): number {
  return facts.spec.bodySize + (facts.settlement.resultBytes ?? 0);
}

/** So many of those that went last are remembered at least, and twice as many at most. */
export const RETIRED_KEPT = 10_000;

/** Numbers of tasks that left the store lately: a look-up that began before may still call them known. */
export class Retired {
  #latest = new Set<number>();
  #before = new Set<number>();

  has(num: number): boolean {
    return this.#latest.has(num) || this.#before.has(num);
  }

  add(num: number): void {
    this.#latest.add(num);
    if (this.#latest.size < RETIRED_KEPT) return;
    this.#before = this.#latest;
    this.#latest = new Set();
  }
}

export type RetiredEvent = {
  readonly type: "tasks.retired";
  readonly pool: PoolId;
  readonly tasks: readonly { readonly num: number; readonly id: TaskId }[];
  /** Keys that stay without their tasks. */
  readonly keys: readonly KeyRecord[];
  /** Keys of tasks that were settled before go as well. */
  readonly keysBeforeMs: number;
};
