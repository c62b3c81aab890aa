/** What must hold after every turn. Checked by the simulation and by tests; costs a walk over everything. */
import { assert } from "../base/assert.ts";
import type { NamespaceState } from "./state.ts";
import { isHeld } from "./task.ts";

export function checkInvariants(state: NamespaceState): void {
  const counts = new Map<string, Record<string, number>>();
  for (const id of state.pools.keys()) counts.set(id, { agent: 0, dependencies: 0, delay: 0, retry: 0, leased: 0 });
  for (const [id, task] of state.tasks) {
    assert(task.spec.id === id, `task ${id} is filed under its own id`);
    const tally = counts.get(task.spec.pool);
    const now = task.state;
    if (now.name === "settled") {
      assert(task.lane === undefined, `settled task ${id} stands in no queue`);
      continue;
    }
    assert(tally !== undefined, `the pool of open task ${id} exists`);
    const holds = state.pools.get(task.spec.pool)?.held.has(id) === true;
    assert(holds === isHeld(now), `task ${id} is held exactly while it waits for the retry budget`);
    const key = now.name === "leased" ? "leased" : now.reason;
    tally[key] = (tally[key] ?? 0) + 1;
    assert(
      (now.name === "waiting" && now.reason === "agent") === (task.lane !== undefined),
      `task ${id} stands in a queue exactly while it waits for an agent`,
    );
    assert(task.attemptCount < task.spec.maxAttempts, `open task ${id} has attempts left`);
    if (now.name === "waiting" && now.reason === "dependencies") {
      assert(task.unmet > 0, `blocked task ${id} waits for something`);
    } else assert(task.unmet === 0, `task ${id} does not run before its dependencies are done`);
    if (now.name !== "leased") continue;
    assert(now.lease.fence === task.lastFence, `the lease of task ${id} carries its newest fence`);
    const run = state.agents.get(now.lease.agentId)?.runs.get(now.lease.fence);
    assert(run === undefined || (run.taskId === id && !run.orphaned), `the lease of task ${id} is a run of its agent`);
    assert(run !== undefined || !state.agents.has(now.lease.agentId), `the agent of task ${id} knows the run`);
  }
  for (const [id, queue] of state.queues) {
    let gated = 0;
    for (const { spec, lane } of state.tasks.values()) {
      if (spec.pool === id && lane !== undefined && state.heldTypes.has(spec.type)) gated += 1;
    }
    assert(queue.gated === gated, `pool ${id} counts ${queue.gated} gated tasks, there are ${gated}`);
  }
  for (const [id, pool] of state.pools) {
    const tally = counts.get(id);
    for (const [key, value] of Object.entries(pool.counts)) {
      assert(tally?.[key] === value, `pool ${id} counts ${key}: ${value}, there are ${tally?.[key]}`);
    }
  }
  for (const [id, agent] of state.agents) {
    const slots = Math.max(agent.identity.concurrency, agent.runsAtCut);
    assert(agent.runs.size <= slots, `agent ${id} runs no more than it may`);
    assert(agent.isBreached === state.isolation.isBreached(id), `agent ${id} knows whether it shares an id`);
    for (const run of agent.runs.values()) {
      if (run.orphaned) continue;
      const task = state.tasks.get(run.taskId);
      assert(
        task?.state.name === "leased" && task.state.lease.fence === run.fence,
        `the run ${run.fence} of agent ${id} is the lease of its task`,
      );
    }
  }
}
