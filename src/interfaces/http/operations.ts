/**
 * Every route with what it takes and gives. A new route is a line here: a test compares this list with what the server
 * answers to, and another the answers with their schemas.
 */
import { z } from "zod";
import { gateSchema } from "../../engine/gate-options.ts";
import { agentChangeSchema, newAgentSchema } from "../../engine/options/agent.ts";
import { poolSchema } from "../../engine/options/pool.ts";
import { poolChangeSchema } from "../../engine/options/pool-change.ts";
import { scheduleSchema } from "../../engine/options/schedule.ts";
import { editSchema, taskSchema } from "../../engine/options/task.ts";
import { routeSchema } from "../../engine/routing.ts";
import { scaleSchema } from "../../engine/size-desk.ts";
import type { AnswerName } from "./answers.ts";
import {
  batchBody,
  cancelBody,
  capabilityBody,
  claimBody,
  completeBody,
  deadLetterQuery,
  deletePoolQuery,
  emptyBody,
  failAgentBody,
  failBody,
  heartbeatBody,
  joinBody,
  logQuery,
  pageQuery,
  pauseBody,
  poolQuery,
  progressBody,
  releaseBody,
  replayBody,
  stopQuery,
  taskQuery,
  waitQuery,
} from "./schema.ts";

export interface Operation {
  readonly summary: string;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  /** No body is as good as `{}`. */
  readonly bodyIsOptional?: boolean;
  /** By status. Text is the type of an answer that is not JSON. */
  readonly answers: Readonly<Record<number, AnswerName | `text/${string}`>>;
}

const task = (summary: string, body?: z.ZodType, bodyIsOptional = false): Operation => ({
  summary,
  ...(body === undefined ? {} : { body, bodyIsOptional }),
  answers: { 200: "Task" },
});

const agent = (summary: string, more: Partial<Operation> = { body: emptyBody, bodyIsOptional: true }): Operation => ({
  summary,
  answers: { 200: "Agent" },
  ...more,
});

const mode = (summary: string): Operation => ({
  summary,
  body: emptyBody,
  bodyIsOptional: true,
  answers: { 200: "Pool" },
});

const routedBody = z.strictObject({ ...taskSchema.shape, ...routeSchema.shape });
const batch = batchBody.extend({ tasks: z.array(taskSchema) });
const replay = replayBody.extend({ edit: editSchema.optional() });

/** By method and path, parameters as `{name}`. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  "GET /health": { summary: "Status and counts, no names", answers: { 200: "Health" } },
  "GET /livez": { summary: "The process answers", answers: { 200: "Alive" } },
  "GET /readyz": {
    summary: "The store is open and every pool of the file has had its agents ready",
    answers: { 200: "Ready" },
  },
  "GET /openapi.json": { summary: "This document", answers: { 200: "Document" } },
  "GET /docs": { summary: "This document, to read", answers: { 200: "text/html" } },
  "GET /health/pool": {
    summary: "The instances of one pool, or of all",
    query: poolQuery,
    answers: { 200: "PoolHealth" },
  },
  "GET /health/pool/memory": {
    summary: "What the daemons of one pool, or of all, hold in memory",
    query: poolQuery,
    answers: { 200: "PoolMemory" },
  },
  "POST /pool/reset-circuit-breakers": {
    summary: "Lets open breakers try at once",
    query: poolQuery,
    answers: { 200: "ResetBreakers" },
  },

  "GET /v1/pools": { summary: "Pools", query: pageQuery, answers: { 200: "PoolPage" } },
  "POST /v1/pools": { summary: "Makes a pool", body: poolSchema, answers: { 201: "Pool" } },
  "GET /v1/pools/{pool}": { summary: "A pool", answers: { 200: "Pool" } },
  "PATCH /v1/pools/{pool}": {
    summary: "Changes what is named of a pool's options; null is none",
    body: poolChangeSchema,
    answers: { 200: "Pool" },
  },
  "DELETE /v1/pools/{pool}": {
    summary: "Drains a pool, cancels what is left, and removes it; its history stays",
    query: deletePoolQuery,
    answers: { 200: "DeletedPool" },
  },
  "POST /v1/pools/{pool}/pause": mode("Tasks are taken, none is started"),
  "POST /v1/pools/{pool}/resume": mode("As before it was paused or drained"),
  "POST /v1/pools/{pool}/drain": mode("No tasks are taken, what is there is done"),
  "POST /v1/pools/{pool}/scale": {
    summary: "Grows or shrinks a pool to `target`, or by `add`",
    body: scaleSchema,
    answers: { 200: "Scaled" },
  },
  "POST /v1/pools/{pool}/restart": {
    summary: "Restarts its agents one after the other",
    query: stopQuery,
    body: emptyBody,
    bodyIsOptional: true,
    answers: { 200: "RestartedPool" },
  },
  "GET /v1/pools/{pool}/metrics": { summary: "Counters and times since the start", answers: { 200: "PoolMetrics" } },
  "GET /v1/pools/{pool}/analytics": { summary: "The last 24 h", answers: { 200: "Analytics" } },
  "GET /v1/pools/{pool}/isolation": {
    summary: "Which agents share what no two agents may share",
    answers: { 200: "Isolation" },
  },
  "GET /v1/pools/{pool}/quarantine": {
    summary: "Payloads that are not taken",
    query: pageQuery,
    answers: { 200: "QuarantinePage" },
  },
  "DELETE /v1/pools/{pool}/quarantine/{fingerprint}": {
    summary: "Takes such payloads again",
    answers: { 200: "Done" },
  },

  "POST /v1/pools/{pool}/tasks": {
    summary: "Submits a task; waits for its end with `waitMs`",
    query: waitQuery,
    body: taskSchema,
    answers: { 200: "TaskOrExpired", 201: "Task" },
  },
  "POST /v1/pools/{pool}/tasks/batch": {
    summary: "Submits tasks: all or nothing, or with `partial` each for itself",
    body: batch,
    answers: { 201: "BatchItems" },
  },
  "POST /v1/tasks": {
    summary: "Submits a task to a pool that a selector chooses",
    body: routedBody,
    answers: { 200: "RoutedTask", 201: "RoutedTask" },
  },
  "GET /v1/tasks": { summary: "Tasks, oldest first", query: taskQuery, answers: { 200: "TaskPage" } },
  "GET /v1/tasks/{id}": {
    summary: "A task; waits for its end with `waitMs`",
    query: waitQuery,
    answers: { 200: "Task" },
  },
  "GET /v1/tasks/{id}/explain": { summary: "Why it is where it is", answers: { 200: "Explanation" } },
  "GET /v1/tasks/{id}/events": { summary: "Its events as they happen", answers: { 200: "text/event-stream" } },
  "POST /v1/tasks/{id}/cancel": task("Cancels a task", cancelBody, true),
  "POST /v1/tasks/{id}/replay": task("Gives a dead letter a new life, with what is edited", replay, true),
  "GET /v1/dead-letters": { summary: "Tasks that have failed", query: deadLetterQuery, answers: { 200: "TaskPage" } },
  "DELETE /v1/dead-letters/{id}": task("Lets go of a dead letter: it stays failed"),
  "POST /v1/tasks/{id}/progress": {
    summary: "Its agent tells how far it is",
    body: progressBody,
    answers: { 200: "Done" },
  },
  "POST /v1/tasks/{id}/complete": task("Its agent has done it", completeBody),
  "POST /v1/tasks/{id}/fail": task("Its agent has failed", failBody),
  "POST /v1/tasks/{id}/release": task("Its agent gives it back", releaseBody),

  "GET /v1/pools/{pool}/agents": { summary: "Agents of a pool", query: pageQuery, answers: { 200: "AgentPage" } },
  "POST /v1/pools/{pool}/agents": {
    summary: "A remote agent joins, or an agent of another kind is added",
    body: z.union([joinBody, newAgentSchema]),
    answers: { 201: "AgentOrJoined" },
  },
  "GET /v1/agents/{id}": agent("An agent", {}),
  "PATCH /v1/agents/{id}": agent("Changes what is named of an agent", { body: agentChangeSchema }),
  "DELETE /v1/agents/{id}": {
    summary: "Removes an agent once it has finished, or its time is over",
    query: stopQuery,
    answers: { 200: "RemovedAgent" },
  },
  "GET /v1/agents/{id}/logs": {
    summary: "The last lines it has written; as text to whoever accepts `text/plain` before JSON",
    query: logQuery,
    answers: { 200: "Logs" },
  },
  "POST /v1/agents/{id}/fail": {
    summary: "Takes an agent out of service; what runs on it is lost and tried elsewhere",
    body: failAgentBody,
    bodyIsOptional: true,
    answers: { 200: "FailedAgent" },
  },
  "POST /v1/agents/{id}/recover": agent("Takes back that it has failed, and that it is drained"),
  "POST /v1/agents/{id}/reset": agent("Forgets what its work has said of it"),
  "POST /v1/agents/{id}/drain": agent("It takes no more work and finishes what it has"),
  "POST /v1/agents/{id}/restart": agent("Restarts it once it has finished, or its time is over", {
    query: stopQuery,
    body: emptyBody,
    bodyIsOptional: true,
  }),
  "POST /v1/agents/{id}/capabilities": agent("Counts a capability as verified", { body: capabilityBody }),
  "POST /v1/agents/{id}/claim": {
    summary: "A remote agent asks for work, and waits for it with `waitMs`",
    body: claimBody,
    bodyIsOptional: true,
    answers: { 200: "Claimed" },
  },
  "POST /v1/agents/{id}/heartbeat": {
    summary: "A remote agent lives, and names what it runs: that keeps its leases",
    body: heartbeatBody,
    answers: { 200: "Heartbeat" },
  },

  "GET /v1/gates": { summary: "Gates", query: pageQuery, answers: { 200: "GatePage" } },
  "GET /v1/gates/{name}": { summary: "A gate", answers: { 200: "Gate" } },
  "PUT /v1/gates/{name}": { summary: "Makes or changes a gate", body: gateSchema, answers: { 200: "Gate" } },
  "GET /v1/schedules": { summary: "Schedules", query: pageQuery, answers: { 200: "SchedulePage" } },
  "POST /v1/schedules": { summary: "Makes a schedule", body: scheduleSchema, answers: { 201: "Schedule" } },
  "GET /v1/schedules/{id}": { summary: "A schedule", answers: { 200: "Schedule" } },
  "POST /v1/schedules/{id}": {
    summary: "Pauses a schedule, or lets it go on",
    body: pauseBody,
    answers: { 200: "Schedule" },
  },
  "DELETE /v1/schedules/{id}": { summary: "Removes a schedule; its tasks stay", answers: { 200: "Done" } },
  "GET /v1/events": {
    summary: "Durable events, each with its number, and notices; goes on after `Last-Event-ID`",
    answers: { 200: "text/event-stream" },
  },
};
