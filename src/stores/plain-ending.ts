/** How most tasks end: an agent has done them, and nobody has said more about it. What is left to tell are a few numbers. */
import type { Attempt, Settlement } from "../core/task.ts";

export const PLAIN = { status: "completed", deadLettered: false } as const satisfies Partial<Settlement>;

/** With the attempt that the task ended with. */
export function isPlainEnding(settlement: Settlement, attempt: Attempt): boolean {
  return (
    settlement.status === PLAIN.status &&
    settlement.deadLettered === PLAIN.deadLettered &&
    settlement.error === undefined &&
    settlement.usage === undefined &&
    settlement.progress === undefined &&
    attempt.outcome === "succeeded" &&
    attempt.endedAtMs === settlement.settledAtMs &&
    attempt.blame === undefined &&
    attempt.error === undefined &&
    attempt.usage === undefined
  );
}

export function plainSettlement({
  settledAtMs,
  resultBytes,
}: Pick<Settlement, "settledAtMs" | "resultBytes">): Settlement {
  return {
    status: PLAIN.status,
    error: undefined,
    resultBytes,
    usage: undefined,
    settledAtMs,
    deadLettered: PLAIN.deadLettered,
  };
}

export function plainAttempt(told: Omit<Attempt, "outcome" | "blame" | "error" | "usage">): Attempt {
  return { ...told, outcome: "succeeded", blame: undefined, error: undefined, usage: undefined };
}
