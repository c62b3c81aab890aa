/** An engine takes over what another has left, and gives back what it must leave itself. */
import { cancellation, openTasks } from "./cancel.ts";
import { type Command, DONE, type Reply, type RunHere } from "./command.ts";
import { sweep } from "./finish.ts";
import { currentLease, renew, renewAll } from "./lease.ts";
import type { Outcome } from "./outcome.ts";
import { spareWaiting } from "./poison.ts";
import { endAttempt } from "./settle.ts";
import { newIsolation } from "./spawn.ts";
import type { NamespaceState } from "./state.ts";
import { becomeReady, closeClaim } from "./supervise.ts";
import type { Turn } from "./turn.ts";

/**
 * After a start attempts of children and functions died with the engine; remote ones get one full lease. In a new term
 * of the same process what runs `here` goes on, and what was leased but never begun is given back.
 */
export function recover(state: NamespaceState, { here }: Extract<Command, { type: "recover" }>, turn: Turn): Reply {
  const goesOn = new Set(here?.map(({ fence }) => fence));
  const ended = openTasks(state).filter(({ state: now }) => {
    if (now.name !== "leased" || goesOn.has(now.lease.fence)) return false;
    return state.agents.get(now.lease.agentId)?.identity.kind !== "remote";
  });
  if (ended.length > 0 && here === undefined) spareWaiting(state, turn);
  for (const task of ended)
    endAttempt(state, task, here === undefined ? ENGINE_DIED : NEVER_BEGAN, turn, { held: false });
  for (const run of here ?? []) adopt(state, run, turn);
  for (const agent of state.agents.values()) {
    const agentId = agent.identity.id;
    if (agent.identity.kind === "remote") {
      becomeReady(state, agentId, turn);
      renewAll(state, agent, turn);
    } else if (agent.identity.dismissed) {
      turn.record({ type: "agent.lifecycle", agentId, lifecycle: "draining", atMs: turn.nowMs });
    } else {
      turn.record({ type: "agent.spawned", agentId, isolation: newIsolation(turn.random) });
      turn.request({ type: "start_agent", agentId });
    }
  }
  return DONE;
}

const ENGINE_DIED: Outcome = {
  name: "lost",
  blame: "engine",
  kill: false,
  error: { code: "engine_died", message: "the engine died while it ran" },
};

const NEVER_BEGAN: Outcome = {
  name: "released",
  error: { code: "released", message: "the engine's term ended before it began" },
};

/** A run that holds its task's lease keeps it; one whose task has gone on without it keeps its slot until it ends. */
function adopt(state: NamespaceState, run: RunHere, turn: Turn): void {
  const { agentId, taskId, fence, startedAtMs, isOver } = run;
  const lease = currentLease(state, run);
  const task = state.tasks.get(taskId);
  if (task !== undefined && lease !== undefined) {
    const isNew = lease.startedAtMs === undefined && startedAtMs !== undefined;
    if (isNew) turn.record({ type: "task.started_here", taskId, fence, atMs: startedAtMs });
    renew(state, task, turn);
    return;
  }
  const agent = state.agents.get(agentId);
  // A slot that was given up before stays given up.
  if (isOver || agent === undefined || agent.runs.size >= agent.identity.concurrency) return;
  turn.record({ type: "run.adopted", agentId, taskId, fence, sinceMs: startedAtMs ?? turn.nowMs });
  turn.request({ type: "stop", agentId, taskId, fence });
}

/** The engine stops: what runs here is given back, or everything open is cancelled when nothing would keep it. */
export function halt(state: NamespaceState, cancelAll: boolean, turn: Turn): Reply {
  for (const agent of state.agents.values()) closeClaim(agent, turn);
  const open = openTasks(state);
  if (cancelAll) {
    sweep(state, open, cancellation(turn.nowMs, "shutting_down", "the engine was closed"), turn);
    return { type: "cancelled", count: open.length };
  }
  for (const task of open) {
    if (task.state.name !== "leased") continue;
    const { agentId, fence } = task.state.lease;
    if (state.agents.get(agentId)?.identity.kind === "remote") continue;
    const error = { code: "engine_stopped", message: "the engine was stopped" };
    endAttempt(state, task, { name: "released", error }, turn, { held: true });
    turn.request({ type: "stop", agentId, taskId: task.spec.id, fence });
  }
  return { type: "cancelled", count: 0 };
}
