/** The pools of a run and who works in them. Drawn anew for each seed. */
import type { PoolOptionsInput } from "../../engine/options/pool.ts";
import { STRATEGIES, type Strategy } from "../../policies/balancer/strategies.ts";
import type { Dice } from "./dice.ts";

export const TYPES = ["general", "research", "ingest"] as const;
export const SKILLS = ["gpu", "browser"] as const;

/** All but the one that has an order of its own. */
const STRATEGIES_IN_ORDER = STRATEGIES.filter((name) => name !== "score") as [Strategy, ...Strategy[]];

export interface RemotePlan {
  readonly name: string;
  readonly capabilities: readonly string[];
  readonly concurrency: number;
}

export interface PoolPlan {
  readonly options: PoolOptionsInput & { readonly id: string };
  /** Names of its function agents. */
  readonly functions: readonly string[];
  readonly remotes: readonly RemotePlan[];
  /** Taken by the file at every start; others are made once, by a caller. */
  readonly ofFile: boolean;
}

type AgentPlan = NonNullable<PoolOptionsInput["agents"]>[number];

export function drawPools(dice: Dice): readonly [PoolPlan, ...PoolPlan[]] {
  const first = drawPool(dice, "p0", dice.pick(["functions", "children", "remotes", "mixed"]));
  if (dice.chance(0.5)) return [first];
  return [first, drawPool(dice, "p1", dice.pick(["functions", "remotes", "mixed"]))];
}

function drawPool(dice: Dice, id: string, staff: "functions" | "children" | "remotes" | "mixed"): PoolPlan {
  const functions: string[] = [];
  const agents: AgentPlan[] = [];
  const remotes: RemotePlan[] = [];
  /** Somebody of every pool can do everything, so that every task can end. */
  const capabilities = (first: boolean): string[] =>
    first ? ["*"] : dice.pick([[], ["*"], ["research"], ["gpu"], ["ingest", "browser"]]);
  if (staff === "functions" || staff === "mixed") {
    for (let n = dice.between(1, 3); n > 0; n--) {
      const name = `f${functions.length}`;
      agents.push({
        kind: "function",
        name,
        capabilities: capabilities(functions.length === 0),
        concurrency: dice.between(1, 2),
      });
      functions.push(name);
    }
  }
  if (staff === "children") {
    // The program is only looked up: a scripted driver stands in for the process.
    const program = process.execPath;
    agents.push({ kind: "daemon", count: dice.between(1, 3), capabilities: ["*"], daemon: { program, basePort: 0 } });
    if (dice.chance(0.5)) agents.push({ kind: "command", name: "shell", concurrency: dice.between(1, 2), program });
  }
  if (staff === "remotes" || staff === "mixed") {
    for (let n = dice.between(1, 3); n > 0; n--) {
      const name = `r${remotes.length}`;
      remotes.push({ name, capabilities: capabilities(remotes.length === 0), concurrency: dice.between(1, 2) });
    }
  }
  const ofFile = staff !== "remotes" || dice.chance(0.5);
  return { options: { id, agents, ...drawRules(dice) }, functions, remotes, ofFile };
}

function drawRules(dice: Dice): Omit<PoolOptionsInput, "id" | "agents"> {
  const ttlMs = dice.pick([900, 2_000, 5_000]);
  const timeoutMs = dice.pick([undefined, 700, 2_500]);
  return {
    strategy: dice.pick(STRATEGIES_IN_ORDER),
    size: { min: 1, default: 2, max: 8 },
    queue: {
      limit: dice.pick([0, 1, 4, 12, 1_000]),
      blockedLimit: dice.pick([1, 5, 1_000]),
      delayedLimit: dice.pick([0, 3, 1_000]),
    },
    breaker: dice.pick<false | object>([false, { openMs: 300, permitMs: 2_000, consecutive: 2 }, {}]),
    ageing: dice.pick<false | { stepMs: number }>([false, { stepMs: 300 }, { stepMs: 3_000 }]),
    retry: {
      maxAttempts: dice.between(1, 4),
      failover: dice.pick(["immediate", "backoff"]),
      refundLimit: dice.between(0, 3),
      backoff: { baseMs: dice.between(0, 300), factor: 2, capMs: 1_000, jitter: dice.pick(["full", "equal", "none"]) },
    },
    lease: { ttlMs, renewMs: Math.floor(ttlMs / 3) },
    ...(timeoutMs !== undefined && { timeoutMs }),
    stopMs: dice.between(0, 300),
    abandonMs: dice.between(500, 3_000),
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
