/** The pools of a run and who works in them. Drawn anew for each seed. */
import type { PoolOptionsInput } from "../../engine/options/pool.ts";
import type { Dice } from "./dice.ts";
import { drawAutoscale, drawRules } from "./rules.ts";

export const TYPES = ["general", "research", "ingest", "simple_qa"] as const;
export const SKILLS = ["gpu", "browser"] as const;
interface GatePlan {
  readonly name: string;
  readonly holds: readonly string[];
}

/** What the gates of every run hold. */
const INDEX: GatePlan = { name: "index", holds: ["research"] };
const INTAKE: GatePlan = { name: "intake", holds: ["ingest", "simple_qa"] };
export const GATES = [INDEX, INTAKE] as const;
/** What kills whoever runs it, and what kills the engine. */
export const PILLS = ["pill a", "pill b"] as const;
export const BOMB = "bomb";

export interface RemotePlan {
  readonly name: string;
  readonly capabilities: readonly string[];
  readonly concurrency: number;
  /** Types that it asks for by its claims; undefined = any. */
  readonly types?: readonly string[] | undefined;
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
        // The first may always be chosen, whatever the strategy.
        weight: functions.length === 0 ? 1 : dice.between(0, 3),
        priority: dice.between(0, 2),
        ...(dice.chance(0.15) && { rate: { requestsPerMinute: dice.between(20, 60), key: dice.pick(["one", name]) } }),
      });
      functions.push(name);
    }
  }
  if (staff === "children") {
    // The program is only looked up: a scripted driver stands in for the process.
    const program = process.execPath;
    const concurrency = dice.between(1, 2);
    const daemon: AgentPlan = { kind: "daemon", capabilities: ["*"], concurrency, daemon: { program, basePort: 0 } };
    // Without a count `size` drives them.
    agents.push(dice.chance(0.5) ? daemon : { ...daemon, count: dice.between(1, 3) });
    if (dice.chance(0.5)) agents.push({ kind: "command", name: "shell", concurrency: dice.between(1, 2), program });
  }
  if (staff === "remotes" || staff === "mixed") {
    for (let n = dice.between(1, 3); n > 0; n--) {
      const name = `r${remotes.length}`;
      const isFirst = remotes.length === 0;
      const types = isFirst || dice.chance(0.8) ? undefined : dice.pick([["general"], ["research", "ingest"]]);
      remotes.push({ name, capabilities: capabilities(isFirst), concurrency: dice.between(1, 2), types });
    }
  }
  const ofFile = staff !== "remotes" || dice.chance(0.5);
  const isSized = agents.some(({ name, count }) => name === undefined && count === undefined);
  const autoscale = isSized && dice.chance(0.6) && drawAutoscale(dice);
  return { options: { id, agents, ...drawRules(dice), autoscale }, functions, remotes, ofFile };
}
