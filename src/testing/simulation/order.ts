/** Who goes first: nothing that the same agent could have taken is overtaken against the rules. */
import type { AgentIdentity } from "../../core/agent.ts";
import type { AuditedTask, AuditTools, Books } from "./audited.ts";

/** Called for a task that is being leased to the agent, while it still counts as waiting. */
export function checkOrder(
  { tasks, pools }: Books,
  task: AuditedTask,
  agent: AgentIdentity,
  { violate, reach }: AuditTools,
): void {
  // One that somebody failed may have killed him: an agent may have been kept free for it.
  if (task.failed.length > 0) return;
  const ageing = pools.get(task.spec.pool)?.options.ageing ?? false;
  if (ageing !== false && isReplayedWaiting(tasks, task.spec.pool)) return;
  for (const other of tasks.values()) {
    if (other === task || other.state !== "waiting" || other.reason !== "agent") continue;
    if (other.spec.pool !== task.spec.pool) continue;
    if (other.spec.priority < task.spec.priority && mayTake(agent, other)) {
      reach("an older task of lower priority went first");
    }
    if (!goesBefore(other, task, ageing) || !mayTake(agent, other)) continue;
    violate(`task ${placeOf(other)} goes to agent ${agent.name} before task ${placeOf(task)}`);
    return;
  }
}

/**
 * A replayed task is the first of its priority, however young: with ageing between priorities there is then no order
 * that fits all pairs.
 */
function isReplayedWaiting(tasks: Books["tasks"], pool: string): boolean {
  for (const { first, state, reason, spec } of tasks.values()) {
    if (first && state === "waiting" && reason === "agent" && spec.pool === pool) return true;
  }
  return false;
}

function hasRun({ id }: AgentIdentity, { attempts }: AuditedTask): boolean {
  for (const attempt of attempts.values()) if (attempt.agentId === id) return true;
  return false;
}

/** Certainly: what the log does not tell (a claim's types, a run that may go on) makes it false. */
function mayTake(agent: AgentIdentity, task: AuditedTask): boolean {
  // One that somebody failed may have killed him, and then wait for an agent of its own.
  if (task.failed.length > 0 || hasRun(agent, task)) return false;
  const can = new Set(agent.capabilities);
  if (can.has("*")) return true;
  if (task.spec.requires.length > 0) return task.spec.requires.every((skill) => can.has(skill));
  return task.spec.type === "general" || can.size === 0 || can.has("general") || can.has(task.spec.type);
}

function goesBefore(a: AuditedTask, b: AuditedTask, ageing: { readonly stepMs: number } | false): boolean {
  const [rankA, rankB] = [a.spec.priority, b.spec.priority];
  if (rankA === rankB) return isEarlier(a, b);
  if (rankA === 1 || rankB === 1 || ageing === false) return rankA < rankB;
  const agedA = a.queuedAtMs + (rankA - 1) * ageing.stepMs;
  const agedB = b.queuedAtMs + (rankB - 1) * ageing.stepMs;
  return agedA === agedB ? a.num < b.num : agedA < agedB;
}

function isEarlier(a: AuditedTask, b: AuditedTask): boolean {
  if (a.first !== b.first) return a.first;
  return a.queuedAtMs === b.queuedAtMs ? a.num < b.num : a.queuedAtMs < b.queuedAtMs;
}

function placeOf({ spec, num, queuedAtMs, first, failed, again }: AuditedTask): string {
  const replayed = first ? ", replayed" : "";
  const tried = failed.length > 0 ? `, failed by ${failed.length}${again ? " and again" : ""}` : "";
  return `${spec.id} (${num}, priority ${spec.priority}, queued at ${queuedAtMs}${replayed}${tried})`;
}
