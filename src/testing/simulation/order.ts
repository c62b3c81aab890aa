/** Who goes first: nothing that the same agent could have taken is overtaken against the rules. */
import type { AgentIdentity } from "../../core/agent.ts";
import type { AuditedTask, AuditTools } from "./audited.ts";
import { type Books, isHeldByGate } from "./books.ts";
import { hasSpent } from "./spend-audit.ts";

/** Called for a task that is being leased to the agent, while it still counts as waiting. */
export function checkOrder(
  books: Books,
  task: AuditedTask,
  agent: AgentIdentity,
  { violate, reach, isChoosy }: AuditTools,
): void {
  if (isChoosy(agent)) return;
  // One that somebody failed may have killed him: an agent may have been kept free for it, or the whole host.
  if (task.failed.length > 0 || task.killers !== undefined || task.engineDeaths > 0) return;
  const pool = books.pools.get(task.spec.pool);
  if (pool === undefined) return;
  const { options } = pool;
  // Some rules have an order of their own: by score, and by who is worth waiting for.
  if (options.strategy === "score" || options.holdBack) return;
  const { ageing, serving, keyConcurrency } = options;
  const waiting = [...books.tasks.values()].filter(
    ({ state, reason, spec }) =>
      state === "waiting" &&
      reason === "agent" &&
      spec.pool === task.spec.pool &&
      !isHeldByGate(books, spec.type) &&
      !(spec.tenant !== undefined && hasSpent(pool, spec.tenant)),
  );
  const eligible = waiting.filter((other) => other !== task && mayTake(agent, other));
  if (eligible.some(({ priority }) => priority > task.priority)) reach("a more urgent task went first");
  if (eligible.some(({ priority }) => priority < task.priority)) reach("an older task of lower priority went first");
  // Keys take turns, and a full one is passed over.
  const hasKeys = waiting.some(({ spec }) => spec.fairnessKey !== undefined);
  const key = task.spec.fairnessKey;
  for (const other of eligible) {
    if (other.priority !== task.priority || !isEarlier(other, task)) continue;
    if (hasKeys && other.spec.fairnessKey !== key) continue;
    violate(`task ${placeOf(other)} goes to agent ${agent.name} before task ${placeOf(task)}`);
    return;
  }
  if (serving !== undefined || (hasKeys && keyConcurrency !== undefined)) return;
  // The oldest of each priority is compared; which of the others somebody else could take does not matter then.
  const mine = waiting.filter(({ priority }) => priority === task.priority);
  for (const other of eligible) {
    if (!mine.every((one) => goesBefore(other, one, ageing))) continue;
    violate(`task ${placeOf(other)} goes to agent ${agent.name} before any task as urgent as ${placeOf(task)}`);
    return;
  }
}

function hasRun({ id }: AgentIdentity, { attempts }: AuditedTask): boolean {
  for (const attempt of attempts.values()) if (attempt.agentId === id) return true;
  return false;
}

/** Certainly: what the log does not tell (a claim's types, a run that may go on) makes it false. */
function mayTake(agent: AgentIdentity, task: AuditedTask): boolean {
  // One that somebody failed may have killed him, and then wait for an agent of its own.
  if (task.failed.length > 0 || task.killers !== undefined || hasRun(agent, task)) return false;
  // It may wait for quiet.
  return task.engineDeaths === 0 && isCapable(agent, task);
}

/** Of what it offers: a task goes by what it requires, and else by its type. */
export function isCapable(agent: Pick<AgentIdentity, "capabilities">, task: Pick<AuditedTask, "spec">): boolean {
  const can = new Set(agent.capabilities);
  if (can.has("*")) return true;
  if (task.spec.requires.length > 0) return task.spec.requires.every((skill) => can.has(skill));
  return task.spec.type === "general" || can.size === 0 || can.has("general") || can.has(task.spec.type);
}

/** Between priorities, by when they came and not by replays. */
function goesBefore(a: AuditedTask, b: AuditedTask, ageing: { readonly stepMs: number } | false): boolean {
  const [rankA, rankB] = [a.priority, b.priority];
  if (rankA === rankB) return false;
  if (rankA === 1 || rankB === 1 || ageing === false) return rankA < rankB;
  const agedA = a.queuedAtMs + (rankA - 1) * ageing.stepMs;
  const agedB = b.queuedAtMs + (rankB - 1) * ageing.stepMs;
  return agedA === agedB ? a.num < b.num : agedA < agedB;
}

function isEarlier(a: AuditedTask, b: AuditedTask): boolean {
  if (a.first !== b.first) return a.first;
  return a.queuedAtMs === b.queuedAtMs ? a.num < b.num : a.queuedAtMs < b.queuedAtMs;
}

function placeOf({ spec, num, priority, queuedAtMs, first, failed, again }: AuditedTask): string {
  const replayed = first ? ", replayed" : "";
  const tried = failed.length > 0 ? `, failed by ${failed.length}${again ? " and again" : ""}` : "";
  return `${spec.id} (${num}, priority ${priority}, queued at ${queuedAtMs}${replayed}${tried})`;
}
