/** The rules of a simulated pool. Drawn anew for each seed; every number is small, so that bounds are met. */
import type { PoolOptionsInput } from "../../engine/options/pool.ts";
import { STRATEGIES } from "../../policies/balancer/strategies.ts";
import type { Dice } from "./dice.ts";

export function drawRules(dice: Dice): Omit<PoolOptionsInput, "id" | "agents"> {
  const ttlMs = dice.pick([900, 2_000, 5_000]);
  const timeoutMs = dice.pick([undefined, 700, 2_500]);
  return {
    strategy: dice.pick(STRATEGIES),
    holdBack: dice.chance(0.25),
    size: { min: 1, default: 2, max: 8 },
    queue: {
      limit: dice.pick([0, 1, 4, 12, 1_000]),
      blockedLimit: dice.pick([1, 5, 1_000]),
      delayedLimit: dice.pick([0, 3, 1_000]),
      gatedLimit: dice.pick([0, 2, 1_000]),
      overflow: dice.pick(["reject", "reject", "wait"]),
      maxWaitMs: dice.pick([0, 200, 1_500]),
    },
    ageing: dice.pick<false | { stepMs: number }>([false, { stepMs: 300 }, { stepMs: 3_000 }]),
    ...(dice.chance(0.2) && { serving: dice.pick([{}, { critical: 1, low: 3 }]) }),
    ...(dice.chance(0.25) && { keyConcurrency: dice.between(1, 2) }),
    retry: {
      maxAttempts: dice.between(1, 5),
      failover: dice.pick(["immediate", "backoff"]),
      refundLimit: dice.between(0, 3),
      backoff: { baseMs: dice.between(0, 300), factor: 2, capMs: 1_000, jitter: dice.pick(["full", "equal", "none"]) },
      budget: dice.pick<false | object>([false, false, { ratio: 0.2, windowMs: 1_500, floor: dice.between(1, 3) }]),
    },
    lease: { ttlMs, renewMs: Math.floor(ttlMs / 3) },
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(dice.chance(0.3) && { stuckMs: dice.between(300, 1_500), onStuck: dice.pick(["mark", "restart"]) }),
    ...(dice.chance(0.15) && { spend: { wallMs: dice.between(200, 1_500), perMs: dice.between(300, 1_500) } }),
    ...(dice.chance(0.2) && { tenantSpend: { wallMs: dice.between(50, 800), perMs: dice.between(300, 1_500) } }),
    forwardReferencesMs: dice.pick([0, 0, 300, 1_500]),
    onUnhealthy: dice.pick(["trial", "trial", "replace"]),
    stopMs: dice.between(0, 300),
    abandonMs: dice.between(500, 3_000),
    poisonLimit: dice.between(0, 3),
    deadLetters: { limit: dice.pick([2, 1_000, 1_000]) },
    breaker: drawBreaker(dice),
    health: drawHealth(dice),
    restart: {
      delayMs: dice.between(0, 300),
      factor: 2,
      capMs: 1_000,
      max: dice.between(0, 4),
      windowMs: 4_000,
      stableMs: 8_000,
      quarantineMs: 2_000,
    },
    probe: { intervalMs: 300, timeoutMs: 100, fall: dice.between(1, 3), rise: dice.between(1, 2) },
  };
}

function drawBreaker(dice: Dice): PoolOptionsInput["breaker"] {
  if (dice.chance(0.35)) return false;
  const window = dice.between(2, 6);
  return {
    consecutive: dice.between(1, 4),
    ratio: dice.pick([null, 0.5, 0.8]),
    window,
    minimum: dice.between(2, window),
    maxAgeMs: dice.pick([300, 1_500, 300_000]),
    openMs: dice.between(0, 800),
    factor: 2,
    capMs: 3_000,
    jitter: dice.pick(["equal", "none"]),
    permits: dice.between(1, 2),
    permitMs: dice.pick([500, 2_000]),
    successes: dice.between(1, 3),
    probeHalfOpens: dice.chance(0.3),
  };
}

function drawHealth(dice: Dice): PoolOptionsInput["health"] {
  if (dice.chance(0.3)) return false;
  const window = dice.between(3, 8);
  return {
    window,
    minimum: dice.between(2, window),
    maxAgeMs: dice.pick([1_000, 5_000]),
    degraded: 0.3,
    unhealthy: 0.7,
    ...(dice.chance(0.5) && { consecutive: dice.between(2, window) }),
  };
}

export function drawAutoscale(dice: Dice): Exclude<PoolOptionsInput["autoscale"], false | undefined> {
  return {
    targetWaitMs: dice.between(50, 500),
    cooldownMs: dice.between(300, 2_000),
    ...(dice.chance(0.3) && { targetPerAgent: dice.between(1, 3) }),
  };
}
