/** Pools grow and shrink, by an operator's word and by that of their options. */
import { z } from "zod";
import { checkNewcomers } from "../agents/preflight.ts";
import { invalid } from "../base/errors.ts";
import type { Agent, AgentIdentity } from "../core/agent.ts";
import type { Command } from "../core/command.ts";
import type { PoolOptions } from "../core/pool.ts";
import { freeOrdinals, sizedAgents, sizedEntry, wantedSize } from "../core/size.ts";
import type { NamespaceState } from "../core/state.ts";
import { identityOf } from "../core/template.ts";
import { existingPool, type Frame } from "./frame.ts";
import { parseWith } from "./options/parse.ts";
import { isolationOf } from "./roll.ts";
import type { Scaled } from "./troupe.ts";

const size = z.int().min(1).max(10_000);

/** To `target` agents, or by `add` more: one of both. */
export const scaleSchema = z.strictObject({ target: size.optional(), add: size.optional() });

/**
 * Changes a pool's size. Answers once it is decided: new agents come up and old ones finish in their own time.
 *
 * @param capped - take what there is room for, instead of refusing; `add` is `size.default` unless said
 * @throws PoolError `invalid` outside 1 to `size.max`, for a fixed pool, a missing program or a port that is taken
 */
export async function scalePool(
  { state, loop, crew }: Pick<Frame, "state" | "loop" | "crew">,
  id: string,
  input: unknown,
  { capped = false } = {},
): Promise<Scaled> {
  const pool = existingPool(state, id);
  const parsed = parseWith(scaleSchema, input);
  const { target, add = capped ? pool.options.size.default : undefined } = parsed;
  if ((target === undefined) === (add === undefined)) throw invalid("target", "expected either target or add");
  const { target: wanted, size } = wantedSize(state, pool, { target, add, capped });
  const entry = sizedEntry(pool.options);
  const template = pool.options.agents[entry];
  if (template !== undefined && wanted > size) {
    const ordinals = freeOrdinals(state, pool, wanted - size);
    await Promise.all(ordinals.map((ordinal) => crew.gone(pool.id, ordinal)));
    await checkNewcomers(template, { path: `agents[${entry}]`, ordinals });
  }
  const reply = await loop.ask({ type: "scale", pool: pool.id, target, add, capped });
  if (reply.type !== "scaled") throw new TypeError("scaling is answered by the size");
  return { size: reply.size, agentIds: reply.agentIds };
}

/**
 * What brings those that `size` drives in step with new options: the number stays as it is while the options want the same
 * to begin with as before, and stay allowed.
 *
 * @param remain - told of each that stays as it is
 */
export function followSize(
  state: NamespaceState,
  options: PoolOptions,
  { newcomer, remain }: { newcomer: Pick<Frame, "entropy">; remain: (agent: Agent) => void },
): Command[] {
  const pool = existingPool(state, options.id);
  const entry = sizedEntry(options);
  const known = sizedAgents(state, pool);
  const target = targetFor(state, options);
  if (target === undefined) return [];
  const commands: Command[] = [];
  for (const agent of known) {
    const { id, name, ordinal } = agent.identity;
    const words = { ...identityOf(options, entry, ordinal), name };
    if (sameWork(agent.identity, words)) {
      commands.push({ type: "place_agent", agentId: id, entry });
      remain(agent);
      continue;
    }
    commands.push({ type: "remove_agent", agentId: id });
    commands.push({
      type: "add_agent",
      agent: { ...words, id, isolation: isolationOf({}, newcomer.entropy) },
      ordinal,
    });
  }
  return [...commands, { type: "scale", pool: pool.id, target, by: "options" }];
}

/** How many agents a pool is to have under new options; undefined when `size` drives none. */
export function targetFor(state: NamespaceState, options: PoolOptions): number | undefined {
  if (sizedEntry(options) === -1) return undefined;
  const pool = existingPool(state, options.id);
  const { min, max, default: start } = options.size;
  const { length } = sizedAgents(state, pool);
  return pool.options.size.default === start ? Math.min(max, Math.max(min, length)) : start;
}

/** The same agent for all that matters to its work. */
export function sameWork(a: Work, b: Work): boolean {
  return key(a) === key(b);
}

type Work = Pick<AgentIdentity, "kind" | "capabilities" | "concurrency" | "weight" | "priority" | "metadata" | "rate">;

function key({ kind, capabilities, concurrency, weight, priority, metadata, rate }: Work): string {
  return JSON.stringify([kind, capabilities, concurrency, weight, priority, metadata, rate]);
}
