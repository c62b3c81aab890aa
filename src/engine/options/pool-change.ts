/** Changes of a pool that is there: its options, but for who it is and how its agents are started. */
import type { z } from "zod";
import type { PoolOptions } from "../../core/pool.ts";
import { checkAgents, isProcess, type Limits } from "./agent.ts";
import { parseWith } from "./parse.ts";
import { poolSchema, resolvePool } from "./pool.ts";
import { merge } from "./presets.ts";
import { resolveSize } from "./size.ts";

const { types, serving, keyConcurrency, timeoutMs, stuckMs, spend, tenantSpend } = poolSchema.shape;

/** Null takes back what has no default. */
export const poolChangeSchema = poolSchema
  .omit({ id: true, preset: true, agents: true, daemon: true, restart: true, probe: true })
  .extend({
    types: types.nullable(),
    serving: serving.nullable(),
    keyConcurrency: keyConcurrency.nullable(),
    timeoutMs: timeoutMs.nullable(),
    stuckMs: stuckMs.nullable(),
    spend: spend.nullable(),
    tenantSpend: tenantSpend.nullable(),
  });

export type PoolChangeInput = z.input<typeof poolChangeSchema>;

/**
 * The pool's options with a change over them.
 *
 * @throws PoolError `invalid` with the path of the first problem
 */
export function resolvePoolChange(current: PoolOptions, input: unknown, limits: Limits): PoolOptions {
  const { size: changedSize, ...change } = parseWith(poolChangeSchema, input);
  const { id, preset, agents, restart, probe, size, ...words } = current;
  const merged = Object.entries(merge(words, change)).filter(([, value]) => value !== null);
  const resolved = resolvePool(Object.fromEntries(merged), () => id, limits);
  const most = agents.some(({ sized, kind }) => sized && isProcess(kind)) ? limits.maxProcesses : undefined;
  const newSize = resolveSize(changedSize, { preset: size, most: most ?? Number.POSITIVE_INFINITY });
  const newAgents = agents.map((agent) => (agent.sized ? { ...agent, count: newSize.default } : agent));
  checkAgents(newAgents, { max: newSize.max, limits });
  return { ...resolved, preset, agents: newAgents, restart, probe, size: newSize };
}
