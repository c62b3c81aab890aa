/** Ends of attempts as breakers and passive health see them. */
import type { NamespaceState } from "../../core/state.ts";
import type { Attempt } from "../../core/task.ts";
import type { AuditedTask } from "./audited.ts";

export interface Ended {
  readonly fence: number;
  readonly atMs: number;
  readonly good: boolean;
  readonly bad: boolean;
  /** Nothing that comes later takes it back. */
  readonly isSure: boolean;
}

export function endOf({ fence, endedAtMs, outcome, blame }: Attempt): Ended {
  const bad = blame === "agent" || blame === "unknown";
  return { fence, atMs: endedAtMs, good: outcome === "succeeded", bad, isSure: blame !== "unknown" };
}

/** Everything that has ended on the agent, oldest first: what is kept, and what the engine knows and has not stored yet. */
export function endsOn(
  agentId: string,
  {
    ended,
    tasks,
  }: {
    readonly ended: ReadonlyMap<string, readonly Ended[]>;
    readonly tasks: ReadonlyMap<string, Pick<AuditedTask, "attempts">>;
  },
  state: NamespaceState,
): readonly Ended[] {
  const pending: Ended[] = [];
  for (const [id, { attempts }] of state.tasks) {
    const kept = tasks.get(id)?.attempts;
    for (const attempt of attempts) {
      if (attempt.agentId === agentId && kept?.has(attempt.fence) !== true) pending.push(endOf(attempt));
    }
  }
  pending.sort((a, b) => a.atMs - b.atMs || a.fence - b.fence);
  return [...(ended.get(agentId) ?? []), ...pending];
}
