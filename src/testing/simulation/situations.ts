/** Named situations that a run of many seeds must have met: a test that never was there has shown nothing about it. */

export const SITUATIONS = [
  // Retry and blame.
  "another agent took over after a failure",
  "backoff, as nobody else could serve",
  "an agent that had failed a task got it again",
  "a task was exhausted",
  "a failure of the task itself was final",
  "a refund beyond the limit was charged",
  "an agent rested after throttling",
  // Leases and reports.
  "a lease expired",
  "an attempt timed out",
  "a late report was refused",
  "a settling report was repeated",
  "an attempt was given back as never named",
  "an attempt was given back as the claim's reply broke",
  "a remote attempt outlived its engine",
  "a lease outlived a standstill longer than itself",
  "a slot was abandoned",
  // Agents.
  "an agent died with work on it",
  "an agent was quarantined",
  "a quarantined agent came back",
  "an agent was unhealthy by its probes",
  "a silent agent was taken for dead",
  "a remote agent took its own name over",
  // Admission.
  "the queue was full",
  "the blocked limit was reached",
  "the delayed limit was reached",
  "a full queue took what could start at once",
  "returns took the queue above its limit",
  "a key was answered with the known task",
  "a key came with another body",
  "an unknown outcome was cleared up by its key",
  "an unknown outcome turned out as not kept",
  "unknown dependencies were refused",
  "a cycle was refused",
  "a batch was taken in part",
  // Order.
  "an older task of lower priority went first",
  "a preferred agent was chosen",
  // Ends.
  "a task was cancelled while it ran",
  "a cancelled task's success came too late",
  "a deadline passed while it waited",
  "a deadline passed while it ran",
  "a failure cascaded to a dependent",
  "a failure cascaded over two steps",
  "a task ran although a dependency had failed",
  "a dead letter was replayed",
  "a replayed task succeeded",
  "a pool was deleted with open tasks",
  // The engine.
  "the engine died before a commit",
  "the engine died after a commit",
  "the engine died with attempts of its own",
  "the engine stopped in order",
  "the engine gave back its attempts as it stopped",
  "a commit was refused",
  "an unknown commit was kept",
  "an unknown commit was not kept",
  "an attempt outlived the engine's term",
] as const;

export type Situation = (typeof SITUATIONS)[number];

export type Reach = (situation: Situation) => void;
