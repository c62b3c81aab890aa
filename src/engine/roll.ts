/** Which agents a pool's options ask for, by name. */
import { asAgentId } from "../base/ids.ts";
import type { Entropy } from "../base/random.ts";
import type { AgentIdentity, Isolation } from "../core/agent.ts";
import type { AgentTemplate, PoolOptions } from "../core/pool.ts";

export type NewAgent = Omit<AgentIdentity, "ordinal">;

/** In the order of `agents`; daemon i is called `daemon_i`. */
export function rollOf(options: PoolOptions, entropy: Entropy): NewAgent[] {
  const roll: NewAgent[] = [];
  for (const template of options.agents) {
    for (let n = 0; n < template.count; n++) {
      const name = template.name ?? nameOf(options, template, roll.length);
      roll.push({
        id: asAgentId(entropy.uuid()),
        pool: options.id,
        name,
        kind: template.kind,
        capabilities: template.capabilities,
        concurrency: template.concurrency,
        weight: template.weight,
        priority: template.priority,
        metadata: template.metadata,
        rate: template.rate,
        isolation: isolationOf({}, entropy),
      });
    }
  }
  return roll;
}

function nameOf({ id, preset }: PoolOptions, { kind }: AgentTemplate, number: number): string {
  if (preset === "trio") return `${id}-worker-${number}`;
  return kind === "daemon" ? `daemon_${number}` : `${id}-${kind}-${number}`;
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
