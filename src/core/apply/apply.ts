/** The one writer: every change of the state is an event that goes through here. Decides nothing. */
import type { Event } from "../event.ts";
import { agentOf, type NamespaceState, poolOf, queueOf, taskOf } from "../state.ts";
import * as agents from "./agents.ts";
import * as attempts from "./attempts.ts";
import { forgetInTime, hear } from "./health.ts";
import * as pools from "./pools.ts";
import * as schedules from "./schedules.ts";
import { rosterChanged } from "./seat.ts";
import * as spending from "./spending.ts";
import * as tasks from "./tasks.ts";

export function apply(state: NamespaceState, event: Event, nowMs: number): void {
  switch (event.type) {
    // What happens with every task comes first: it is compared one by one.
    case "agent.outcomes": {
      const agent = agentOf(state, event.agentId);
      agent.outcomes = event.outcomes;
      forgetInTime(state, agent);
      break;
    }
    case "agent.breaker":
      agents.setBreaker(state, event, nowMs);
      break;
    case "task.submitted":
      tasks.addTask(state, event, nowMs);
      break;
    case "task.leased":
      attempts.lease(state, event, nowMs);
      break;
    case "task.started":
    case "task.started_here":
      attempts.start(state, event.taskId, event.atMs);
      break;
    case "task.settled":
      attempts.settle(state, event, nowMs);
      break;
    case "pool.created":
      pools.addPool(state, event, nowMs);
      break;
    case "pool.changed":
      pools.changePool(state, event, nowMs);
      break;
    case "pool.deleted":
      pools.removePool(state, event.pool);
      break;
    case "submission.held":
      pools.holdSubmission(state, event);
      break;
    case "submission.let_go":
      pools.letSubmissionGo(state, event.pool, event.holdId);
      break;
    case "pool.mode":
      poolOf(state, event.pool).mode = event.mode;
      state.dirty.add(event.pool);
      break;
    case "pool.scaled":
      pools.scalePool(state, event);
      break;
    case "gate.changed":
      pools.changeGate(state, event.gate);
      break;
    case "spend.freed":
      spending.free(state, event.pool, event.tenant);
      break;
    case "schedule.created":
      schedules.addSchedule(state, event.schedule);
      break;
    case "schedule.deleted":
      state.schedules.delete(event.scheduleId);
      break;
    case "schedule.paused":
    case "schedule.fired":
    case "schedule.refused":
    case "schedule.skipped":
    case "schedule.missed":
      schedules.changeSchedule(state, event);
      break;
    case "pool.draining":
      poolOf(state, event.pool).draining = true;
      break;
    case "pool.held_back":
      poolOf(state, event.pool).reviewAtMs = event.untilMs;
      state.due.add({ kind: "review", atMs: event.untilMs, pool: event.pool });
      break;
    case "pool.watched":
      pools.watchSize(state, event.pool, event.watch);
      break;
    case "pool.reviewed":
      poolOf(state, event.pool).reviewAtMs = undefined;
      state.dirty.add(event.pool);
      break;
    case "pool.quieted":
      queueOf(state, event.pool).reservations.quietFor = event.taskId;
      state.dirty.add(event.pool);
      break;
    case "payload.quarantined": {
      const { type: _, ...quarantined } = event;
      poolOf(state, event.pool).quarantine.set(event.fingerprint, quarantined);
      break;
    }
    case "payload.released":
      poolOf(state, event.pool).quarantine.delete(event.fingerprint);
      break;
    case "namespace.draining":
      state.draining = { matching: event.matching };
      break;
    case "agent.added":
      agents.addAgent(state, event.agent, nowMs);
      break;
    case "agent.changed":
      agents.changeAgent(state, event.agent, nowMs);
      break;
    case "agent.removed":
      agents.removeAgent(state, event, nowMs);
      break;
    case "agent.leaving":
      agents.leave(state, event);
      break;
    case "agent.reset":
      agents.clearRecord(agentOf(state, event.agentId));
      break;
    case "agent.spawned":
      agents.isolate(state, agentOf(state, event.agentId), event.isolation, nowMs);
      break;
    case "agent.lifecycle":
      agents.moveAgent(state, event, nowMs);
      break;
    case "agent.health": {
      const agent = agentOf(state, event.agentId);
      hear(agent, event, nowMs);
      if (agent.health === "unhealthy") state.ailing.add(event.agentId);
      if (event.source === "passive") forgetInTime(state, agent);
      rosterChanged(state, agent, nowMs);
      break;
    }
    case "agent.replacing":
      agents.planReplacement(state, event);
      break;
    case "agent.rests":
      agents.restAgent(state, event, nowMs);
      break;
    case "agent.refreshed":
      rosterChanged(state, agentOf(state, event.agentId), nowMs);
      break;
    case "agent.trial":
      agents.tryAgent(state, event, nowMs);
      break;
    case "agent.seen":
      agentOf(state, event.agentId).lastSeenAtMs = event.atMs;
      break;
    case "agent.names":
      agents.names(state, event);
      break;
    case "agent.probed":
      agentOf(state, event.agentId).probes = { good: event.good, bad: event.bad };
      break;
    case "agent.reserved":
      agents.reserve(state, event, nowMs);
      break;
    case "claim.opened":
      agents.openClaim(state, event, nowMs);
      break;
    case "claim.closed":
      agents.closeClaim(state, event.agentId, nowMs);
      break;
    case "run.ended":
      agents.endRun(state, event, nowMs);
      break;
    case "run.adopted":
      attempts.adoptRun(state, event, nowMs);
      break;
    case "runs.shared":
      agents.shareRuns(state, event.agentId);
      break;
    case "run.named":
      agents.markRun(state, event.agentId, event.fence, { named: true });
      break;
    case "run.stuck":
      agents.markRun(state, event.agentId, event.fence, { stuck: true });
      break;
    case "task.replayed":
      tasks.reopen(state, event);
      break;
    case "task.deadline_near":
      tasks.hurry(state, taskOf(state, event.taskId), event.priority);
      break;
    case "task.waiting":
      tasks.waitAgain(state, event, nowMs);
      break;
    case "task.dependency_met":
      tasks.meetDependency(state, event);
      break;
    case "task.progressed":
      taskOf(state, event.taskId).progress = event.progress;
      break;
    case "task.spared":
      taskOf(state, event.taskId).deaths = undefined;
      break;
    case "dead_letter.dropped":
      tasks.dropDeadLetter(state, event);
      break;
    case "tasks.retired":
      tasks.retireTasks(state, event);
      break;
    case "tasks.forgotten":
      for (const id of event.taskIds) tasks.forget(state, id);
      break;
    case "lease.renewed":
      attempts.renew(state, event);
      break;
    case "attempt.ended":
      attempts.tryAgain(state, event, nowMs);
      break;
    default:
      event satisfies never;
  }
}
