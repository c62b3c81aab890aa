/** Which agents a pool's options ask for, by name. */
import { asAgentId } from "../base/ids.ts";
import type { Entropy } from "../base/random.ts";
import type { AgentIdentity, Isolation } from "../core/agent.ts";
import type { PoolOptions } from "../core/pool.ts";
import { identityOf } from "../core/template.ts";

/** In the order of `agents`, numbered from 0. */
export function rollOf(options: PoolOptions, entropy: Entropy): AgentIdentity[] {
  const roll: AgentIdentity[] = [];
  for (const [entry, { count }] of options.agents.entries()) {
    for (let n = 0; n < count; n++) {
      const ordinal = roll.length;
      const id = asAgentId(entropy.uuid());
      roll.push({ ...identityOf(options, entry, ordinal), id, ordinal, isolation: isolationOf({}, entropy) });
    }
  }
  return roll;
}

/** Ids of its own, those that it brings among them. */
export function isolationOf(
  { contextWindowId, toolSessionId, memoryHandleId }: { [field in keyof Isolation]?: string | undefined },
  entropy: Entropy,
): Isolation {
  return {
    contextWindowId: contextWindowId ?? entropy.uuid(),
    toolSessionId: toolSessionId ?? entropy.uuid(),
    memoryHandleId: memoryHandleId ?? entropy.uuid(),
  };
}
