/** Everything that falls due at some instant, in order. Entries are checked when they come up, never removed before. */

import { Heap } from "../base/heap.ts";
import type { AgentId, PoolId, TaskId } from "../base/ids.ts";

export type DueEntry =
  | { readonly kind: "overflow"; readonly atMs: number; readonly pool: PoolId; readonly holdId: number }
  | { readonly kind: "lease"; readonly atMs: number; readonly taskId: TaskId; readonly fence: number }
  | { readonly kind: "timeout"; readonly atMs: number; readonly taskId: TaskId; readonly fence: number }
  | {
      readonly kind: "held";
      readonly atMs: number;
      readonly agentId: AgentId;
      readonly fence: number;
      readonly giveUp: boolean;
    }
  | { readonly kind: "deadline"; readonly atMs: number; readonly taskId: TaskId }
  | { readonly kind: "near"; readonly atMs: number; readonly taskId: TaskId }
  | { readonly kind: "awaited"; readonly atMs: number; readonly taskId: TaskId }
  | { readonly kind: "wake"; readonly atMs: number; readonly taskId: TaskId }
  | { readonly kind: "budget"; readonly atMs: number; readonly pool: PoolId }
  | {
      readonly kind: "stuck";
      readonly atMs: number;
      readonly agentId: AgentId;
      readonly fence: number;
      /** The run's start. */
      readonly sinceMs: number;
    }
  | { readonly kind: "rested"; readonly atMs: number; readonly agentId: AgentId }
  | { readonly kind: "recheck"; readonly atMs: number; readonly agentId: AgentId }
  | { readonly kind: "retry_agent"; readonly atMs: number; readonly agentId: AgentId }
  | { readonly kind: "replace"; readonly atMs: number; readonly agentId: AgentId }
  | { readonly kind: "silent"; readonly atMs: number; readonly agentId: AgentId }
  | { readonly kind: "leave"; readonly atMs: number; readonly agentId: AgentId }
  | { readonly kind: "gone"; readonly atMs: number; readonly agentId: AgentId }
  | { readonly kind: "claim"; readonly atMs: number; readonly agentId: AgentId; readonly claimId: number }
  | { readonly kind: "review"; readonly atMs: number; readonly pool: PoolId }
  | { readonly kind: "spend"; readonly atMs: number; readonly pool: PoolId; readonly tenant: string }
  | { readonly kind: "budget_spent"; readonly atMs: number; readonly taskId: TaskId; readonly fence: number }
  | { readonly kind: "autoscale"; readonly atMs: number; readonly pool: PoolId }
  | { readonly kind: "schedule"; readonly atMs: number; readonly scheduleId: string };

/** Below this many entries nobody looks for dead ones. */
const COMPACT_FROM = 1_024;

export class Due {
  readonly #heap = new Heap<DueEntry>((a, b) => a.atMs < b.atMs);
  #liveAtLast = 0;

  get size(): number {
    return this.#heap.size;
  }

  add(entry: DueEntry): void {
    this.#heap.push(entry);
  }

  /** Earliest instant at which something may be due. */
  get nextAtMs(): number | undefined {
    return this.#heap.peek()?.atMs;
  }

  /** Takes the next entry that is due at `nowMs`. */
  take(nowMs: number): DueEntry | undefined {
    const next = this.#heap.peek();
    if (next === undefined || next.atMs > nowMs) return undefined;
    return this.#heap.pop();
  }

  /** Lets go of entries that can no longer matter, once they may be half of all: constant cost per entry. */
  compact(isLive: (entry: DueEntry) => boolean): void {
    if (this.#heap.size < COMPACT_FROM || this.#heap.size < 2 * this.#liveAtLast) return;
    this.#heap.keep(isLive);
    this.#liveAtLast = this.#heap.size;
  }
}
