/**
 * May this agent be given this task now? The one place that says why not: matching asks it, and so does `explain`.
 *
 * A new condition is a new word in `AGAINST` and a line in the function below that sees what it depends on: the profile
 * alone, the agent alone, or agent and task together.
 */
import type { AgentId, TaskId } from "../base/ids.ts";
import { againstWork } from "./admits.ts";
import type { Agent } from "./agent.ts";
import { hasLoner } from "./company.ts";
import type { Pool } from "./pool.ts";
import { mayServe, type Profile, type ServiceClass } from "./service-class.ts";

/** What may speak against giving a task to an agent. */
export const AGAINST = [
  "capability",
  "lifecycle",
  "isolation",
  "breaker",
  "health",
  "gate",
  "rate",
  "failed",
  "slot",
] as const;
export type Against = (typeof AGAINST)[number];

/** What its profile says: asked once for each kind of task and group of agents. */
export function againstKind(profile: Profile, kind: Pick<ServiceClass, "type" | "requires">): Against | undefined {
  return mayServe(profile, kind) ? undefined : "capability";
}

/** Hard conditions on the agent alone: asked whenever it has changed. */
export function againstAgent(pool: Pool, agent: Agent, nowMs: number): Against | undefined {
  if (agent.lifecycle !== "ready") return "lifecycle";
  if (agent.isBreached) return "isolation";
  const work = againstWork(pool, agent, nowMs);
  if (work !== undefined) return work;
  if (restsUntilMs(agent, nowMs) > nowMs) return "rate";
  if (agent.runs.size >= agent.identity.concurrency || hasLoner(agent)) return "slot";
  if (agent.identity.kind !== "remote") return undefined;
  return agent.claim !== undefined && agent.claim.leased.length < agent.claim.max ? undefined : "slot";
}

/** Until when it rests after being throttled, or has begun as much as a minute allows; not after `nowMs` if it does not. */
export function restsUntilMs({ cooldownUntilMs, rate }: Agent, nowMs: number): number {
  return rate === undefined ? cooldownUntilMs : Math.max(cooldownUntilMs, rate.roomAtMs(nowMs));
}

/**
 * Conditions on agent and task together: asked for those who are free.
 *
 * @param excluded - agents that failed the task, while somebody else could serve it
 */
export function againstPair(
  agent: Agent,
  taskId: TaskId,
  excluded: ReadonlySet<AgentId> | undefined,
): Against | undefined {
  if (excluded?.has(agent.identity.id)) return "failed";
  return stillRuns(agent, taskId) ? "slot" : undefined;
}

/** An agent gets no task while it may still be running an older attempt of it, or says that it is. */
export function stillRuns(agent: Agent, taskId: TaskId): boolean {
  if (agent.stillNames.has(taskId)) return true;
  for (const run of agent.runs.values()) if (run.taskId === taskId) return true;
  return false;
}

/** A task as those conditions see it. */
export interface Wanted {
  readonly pool: Pool;
  readonly taskId: TaskId;
  readonly kind: Pick<ServiceClass, "type" | "requires">;
  readonly excluded: ReadonlySet<AgentId> | undefined;
  /** A closed gate holds tasks of its type. */
  readonly gated: boolean;
}

const BEFORE_GATE: readonly (Against | undefined)[] = ["lifecycle", "isolation", "breaker", "health"];

/** All of it: the first reason, what lasts before what passes by itself; undefined when it may be given the task. */
export function firstAgainst(agent: Agent, profile: Profile, wanted: Wanted, nowMs: number): Against | undefined {
  const alone = againstAgent(wanted.pool, agent, nowMs);
  return (
    againstKind(profile, wanted.kind) ??
    (BEFORE_GATE.includes(alone) ? alone : undefined) ??
    (wanted.gated ? "gate" : undefined) ??
    (alone === "slot" ? undefined : alone) ??
    againstPair(agent, wanted.taskId, wanted.excluded) ??
    alone
  );
}
