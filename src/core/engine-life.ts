/** An engine takes over what another has left, and gives back what it must leave itself. */
import { cancellation, openTasks } from "./cancel.ts";
import { DONE, type Reply } from "./command.ts";
import { renewAll } from "./lease.ts";
import { spareWaiting } from "./poison.ts";
import { endAttempt, sweep } from "./settle.ts";
import type { NamespaceState } from "./state.ts";
import { becomeReady, closeClaim } from "./supervise.ts";
import type { Turn } from "./turn.ts";

/** After a start: attempts of children and functions died with the engine; remote ones get one full lease. */
export function recover(state: NamespaceState, turn: Turn): Reply {
  const died = openTasks(state).filter(({ state: now }) => {
    return now.name === "leased" && state.agents.get(now.lease.agentId)?.identity.kind !== "remote";
  });
  if (died.length > 0) spareWaiting(state, turn);
  for (const task of died) {
    const error = { code: "engine_died", message: "the engine died while it ran" };
    endAttempt(state, task, { name: "lost", blame: "engine", kill: false, error }, turn, { held: false });
  }
  for (const agent of state.agents.values()) {
    const agentId = agent.identity.id;
    if (agent.identity.kind === "remote") {
      becomeReady(state, agentId, turn);
      renewAll(state, agent, turn);
    } else turn.request({ type: "start_agent", agentId });
  }
  return DONE;
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
