/** The end of an attempt: who may tell it, what it counts for, and what becomes of the task. */
import { PoolError } from "../base/errors.ts";
import type { AgentId, TaskId } from "../base/ids.ts";
import { type Command, DONE, type Reply } from "./command.ts";
import { endedAttempt, finish } from "./finish.ts";
import { closeBlamed } from "./gating.ts";
import { budgetSpentUntilMs } from "./held.ts";
import type { Kill } from "./kill.ts";
import type { Outcome } from "./outcome.ts";
import { deathsOf, killOf, markCompany, poisonOf } from "./poison.ts";
import { afterAttempt, COMPLETED, type Verdict } from "./retry.ts";
import { anotherCouldServe } from "./roster.ts";
import { budgetExceeded, reached, spentBy, sumOf } from "./spend.ts";
import { type NamespaceState, poolOf } from "./state.ts";
import { endsStuck } from "./stuck.ts";
import type { Attempt, EngineDeaths, Lease, Settlement, Task } from "./task.ts";
import type { Turn } from "./turn.ts";
import { learn } from "./work-record.ts";

/** An agent, or what watches it, tells how an attempt ended. A report with an old fence is refused, whatever it says. */
export function report(state: NamespaceState, command: Extract<Command, { type: "report" }>, turn: Turn): Reply {
  const { taskId, fence, outcome, agentId } = command;
  const task = state.tasks.get(taskId);
  if (agentId !== undefined) freeHeldSlot(state, { agentId, fence }, turn);
  if (task === undefined || task.state.name === "settled") return repeated(task, command);
  if (task.state.name !== "leased" || task.state.lease.fence !== fence) throw stale(taskId, fence);
  sawAgent(state, task.state.lease, turn);
  endAttempt(state, task, outcome, turn, { held: false });
  return DONE;
}

/** The report that settled the task may be repeated; every other comes too late. */
function repeated(
  task: Task | undefined,
  { taskId, fence, outcome, known }: Extract<Command, { type: "report" }>,
): Reply {
  const facts = known.tasks.get(taskId);
  const attempts = task?.attempts ?? facts?.attempts;
  const settlement = task?.state.name === "settled" ? task.state.settlement : facts?.settlement;
  if (attempts === undefined || settlement === undefined) throw notFound(taskId);
  const last = attempts[attempts.length - 1];
  const settledIt = last?.fence === fence && last.endedAtMs === settlement.settledAtMs;
  if (!settledIt || last.outcome !== outcome.name) throw stale(taskId, fence);
  return DONE;
}

export function stale(taskId: TaskId, fence: number): PoolError {
  return new PoolError("stale_fence", `fence ${fence} of task ${taskId} is not current`, {
    details: { taskId, fence },
  });
}

export function notFound(taskId: TaskId): PoolError {
  return new PoolError("not_found", `no task ${taskId}`, { details: { taskId } });
}

/** A run that was told to stop, or had timed out, has ended after all. */
export function freeHeldSlot(
  state: NamespaceState,
  run: { readonly agentId: AgentId; readonly fence: number; readonly abandoned?: boolean },
  turn: Turn,
): void {
  const { agentId, fence, abandoned = false } = run;
  const agent = state.agents.get(agentId);
  if (agent?.runs.get(fence)?.orphaned !== true) return;
  turn.record({ type: "run.ended", agentId, fence, abandoned });
  endsStuck(state, agentId, turn);
  if (agent.findings.has("deaf") && ![...agent.runs.values()].some((other) => other.orphaned)) {
    turn.record({ type: "agent.health", agentId, source: "deaf", health: "healthy", reason: "" });
  }
}

function sawAgent(state: NamespaceState, { agentId }: Lease, turn: Turn): void {
  if (state.agents.get(agentId)?.identity.kind !== "remote") return;
  turn.record({ type: "agent.seen", agentId, atMs: turn.nowMs });
}

/** Ends the running attempt and decides what follows. `held`: the run may still be going on. */
export function endAttempt(
  state: NamespaceState,
  task: Task,
  outcome: Outcome,
  turn: Turn,
  { held }: { held: boolean },
): void {
  if (task.state.name !== "leased") return;
  const { lease } = task.state;
  // What went well needs no facts to be judged by.
  const judged = outcome.name === "succeeded" ? WELL : judge(state, task, { lease, outcome }, turn);
  const { kill, deaths } = judged;
  const attempt = endedAttempt(state, lease, outcome, turn.nowMs);
  const verdict = withinBudget(task, attempt, judged.verdict);
  learn(state, task, { attempt, outcome }, turn);
  if (outcome.name === "throttled") rest(state, lease, outcome.retryAfterMs, turn);
  const { charged, exclude } = verdict;
  if (verdict.name === "wait") {
    const { resting } = verdict;
    const told = { kill, deaths };
    turn.record({ type: "attempt.ended", taskId: task.spec.id, attempt, charged, exclude, held, resting, ...told });
  } else settleAttempt(state, task, { verdict, outcome, attempt, held }, turn);
  endsStuck(state, lease.agentId, turn);
}

/** What follows, and which deaths it counts as. */
interface Judged {
  readonly verdict: Verdict;
  readonly kill: Kill | undefined;
  readonly deaths: EngineDeaths | undefined;
}

const WELL: Judged = { verdict: COMPLETED, kill: undefined, deaths: undefined };

/** Poison wins over every other verdict. */
function judge(
  state: NamespaceState,
  task: Task,
  { lease, outcome }: { readonly lease: Lease; readonly outcome: Outcome },
  turn: Turn,
): Judged {
  const pool = poolOf(state, task.spec.pool);
  const { retry, poisonLimit } = pool.options;
  closeBlamed(state, outcome, turn);
  const deaths = deathsOf(state, task, outcome);
  const kill = killOf(state, task, lease, outcome);
  if (kill !== undefined) markCompany(state, lease, turn);
  const poison = poisonOf(state, task, lease, { outcome, kill, deaths });
  if (poison !== undefined) {
    if (poisonLimit > 0) turn.poisoned.push(task.spec.id);
    const charged = kill !== undefined || task.refunds >= retry.refundLimit;
    const exclude = kill !== undefined;
    return { verdict: { name: "settle", status: "failed", error: poison, charged, exclude }, kill, deaths };
  }
  const others = { agentIds: [...task.failedAgentIds, lease.agentId], patienceMs: retry.backoff.baseMs };
  const verdict = afterAttempt(task, outcome, {
    nowMs: turn.nowMs,
    random: turn.random,
    gated: state.heldTypes.has(task.spec.type),
    options: retry,
    started: lease.startedAtMs !== undefined,
    anotherCould: () => anotherCouldServe(state, task, others, turn.nowMs),
    budgetSpentUntilMs: () => budgetSpentUntilMs(pool, turn.nowMs),
  });
  return { verdict, kill, deaths };
}

/** There is no next attempt where nothing is left to spend on it. */
function withinBudget({ spec, spent }: Task, attempt: Attempt, verdict: Verdict): Verdict {
  if (verdict.name !== "wait") return verdict;
  const words = reached(spec.budget, sumOf(spent, spentBy(attempt)));
  if (words === undefined) return verdict;
  const { charged, exclude } = verdict;
  return { name: "settle", status: "failed", error: budgetExceeded(words), charged, exclude };
}

function settleAttempt(
  state: NamespaceState,
  task: Task,
  ended: {
    verdict: Extract<Verdict, { name: "settle" }>;
    outcome: Outcome;
    attempt: Attempt;
    held: boolean;
  },
  turn: Turn,
): void {
  const { verdict, outcome, attempt, held } = ended;
  const settlement: Settlement = {
    status: verdict.status,
    error: verdict.error,
    resultBytes: outcome.name === "succeeded" ? outcome.resultBytes : undefined,
    usage: "usage" in outcome ? outcome.usage : undefined,
    settledAtMs: turn.nowMs,
    deadLettered: verdict.status === "failed",
  };
  finish(state, task, settlement, turn, {
    ended: { attempt, held, charged: verdict.charged, exclude: verdict.exclude },
  });
}

/** First rest of a throttled agent that was not told how long, and the longest it doubles to. Milliseconds. */
export const COOLDOWN_FIRST_MS = 1_000;
export const COOLDOWN_CAP_MS = 60_000;

/** A throttled agent rests: as told, else twice as long as the last time; the later of old and new end counts. */
function rest(state: NamespaceState, { agentId }: Lease, retryAfterMs: number | undefined, turn: Turn): void {
  const agent = state.agents.get(agentId);
  if (agent === undefined) return;
  const doubled = agent.cooldownMs === 0 ? COOLDOWN_FIRST_MS : Math.min(COOLDOWN_CAP_MS, 2 * agent.cooldownMs);
  const cooldownMs = retryAfterMs === undefined ? doubled : agent.cooldownMs;
  const untilMs = Math.max(agent.cooldownUntilMs, turn.nowMs + (retryAfterMs ?? doubled));
  turn.record({ type: "agent.rests", agentId, untilMs, cooldownMs });
}
