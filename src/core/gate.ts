/** A gate: what some types of task depend upon. While it is closed, the types that it holds wait and all else flows. */

/** Where the engine asks whether the dependency is there. Any 2xx says yes. */
export interface GateProbe {
  readonly url: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** Durable. */
export interface Gate {
  readonly name: string;
  /** Types that wait while it is closed. Without duplicates. */
  readonly holds: readonly string[];
  /** False = closed. */
  readonly available: boolean;
  /** Why it was closed; empty while it is open. */
  readonly reason: string;
  readonly probe?: GateProbe | undefined;
  readonly changedAtMs: number;
}

/** Gates of one namespace. */
export const GATE_LIMIT = 1_000;
