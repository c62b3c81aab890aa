/** Waiting for a faster agent, when that is expected to end sooner than starting on the one that is free. */
import type { Candidate, Choice } from "./balancer.ts";
import { expectedMs } from "./peak-ewma.ts";

/** An agent that could serve the task and is at work. */
export interface Busy extends Candidate {
  /** Since when its oldest attempt runs. Epoch milliseconds. */
  readonly sinceMs: number;
}

/** Every waiting task delays those behind it too: it counts as so many. */
export const CROWD = 2;

/**
 * How long the wait for a faster agent is expected to be, or undefined when the free one is to be taken: the last of
 * the waiting tasks would not end sooner by waiting, or nothing is known of the free one.
 *
 * An attempt that runs for longer than its agent usually takes makes the agent as slow as that: nobody waits for one
 * that hangs.
 *
 * @param waiting - tasks that wait for an agent, this one included
 * @returns milliseconds until the decision may change without anything happening, above 0
 */
export function holdBackMs(
  free: Candidate,
  busy: Iterable<Busy>,
  { waiting, nowMs, halfLifeMs }: { readonly waiting: number } & Pick<Choice, "nowMs" | "halfLifeMs">,
): number | undefined {
  // Of an agent never tried nothing is expected: then nobody is faster.
  const ownMs = expectedMs(free, { nowMs, halfLifeMs });
  let slots = 0;
  let perMs = 0;
  for (const agent of busy) {
    if (agent.measure.samples === 0) continue;
    const takesMs = Math.max(expectedMs(agent, { nowMs, halfLifeMs }), nowMs - agent.sinceMs);
    if (takesMs >= ownMs) continue;
    slots += agent.capacity;
    perMs += agent.capacity / takesMs;
  }
  if (slots === 0) return undefined;
  const startMs = waiting / perMs;
  const takesMs = slots / perMs;
  return CROWD * startMs + takesMs < ownMs ? startMs : undefined;
}
