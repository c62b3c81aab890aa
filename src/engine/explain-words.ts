/** The sentences of `explain`. */
import type { Agent } from "../core/agent.ts";
import type { Profile } from "../core/service-class.ts";
import { type Against, restsUntilMs, stillRuns } from "../core/standing.ts";
import type { Task } from "../core/task.ts";
import { iso } from "./instant.ts";
import type { AttemptView, ExplainedAgent, ExplainView, TaskView } from "./view.ts";

interface Pair {
  readonly agent: Agent;
  readonly profile: Profile;
  readonly task: Task;
  readonly nowMs: number;
}

/** What is missing, or in the way. */
export function againstDetail(reason: Exclude<Against, "isolation">, { agent, profile, task, nowMs }: Pair): string {
  switch (reason) {
    case "capability":
      return missingOf(profile, task);
    case "lifecycle": {
      const again = agent.retryAtMs === undefined ? "" : `, tried again at ${iso(agent.retryAtMs)}`;
      const exit = agent.lastExit === undefined ? "" : `: ${agent.lastExit.reason}`;
      return `it is ${agent.lifecycle}${again}${exit}`;
    }
    case "breaker":
      return breakerDetail(agent);
    case "health":
      return `it is unhealthy: ${agent.healthReason}`;
    case "gate":
      return "its gate is closed";
    case "rate":
      return `it rests until ${iso(restsUntilMs(agent, nowMs))}`;
    case "failed":
      return "it has failed this task, and another agent could serve it";
    case "slot":
      return slotDetail(agent, task);
  }
}

function breakerDetail({ breaker }: Agent): string {
  if (breaker.name === "open") return `its breaker is open until ${iso(breaker.untilMs)}: ${breaker.reason}`;
  return "its breaker is half-open, and its permits are given out";
}

function slotDetail(agent: Agent, { spec }: Task): string {
  if (stillRuns(agent, spec.id)) return "it may still be running an older attempt of this task";
  const { concurrency } = agent.identity;
  if (agent.runs.size >= concurrency) {
    const first = agent.runs.first();
    if (concurrency === 1 && first !== undefined) return `it is busy with task ${first.taskId}`;
    return `all of its ${concurrency} slots are taken`;
  }
  return "it has not asked for work";
}

function missingOf({ capabilities, verified, claimTypes }: Profile, { spec }: Task): string {
  if (claimTypes !== undefined && !claimTypes.has(spec.type)) {
    const asked = [...claimTypes].join(", ") || "nothing";
    return `it asks for other types than ${spec.type}: ${asked}`;
  }
  const missing = spec.requires.filter((capability) => !capabilities.has(capability) && !verified?.has(capability));
  return missing.length > 0 ? `it lacks ${missing.join(", ")}` : `it does not take type ${spec.type}`;
}

interface Seen {
  readonly ahead: ExplainView["ahead"];
  readonly against: ExplainView["against"];
}

/** One sentence. */
export function summaryOf(view: TaskView, { ahead, against }: Seen): string {
  const { waiting } = view;
  switch (view.status) {
    case "pending":
      return waiting === undefined ? "it waits" : `it waits ${waitingText(waiting)}${aheadText(ahead)}${why(against)}`;
    case "assigned":
      return `it is assigned to ${lastAgent(view)}, which has not begun yet`;
    case "in_progress":
      return `${lastAgent(view)} has been running it since ${view.startedAt}`;
    case "completed":
      return `it was completed at ${view.settledAt}`;
    case "failed":
    case "cancelled": {
      const error = view.error === undefined ? "" : `: ${view.error.code}, ${view.error.message}`;
      return `it ${view.status === "failed" ? "failed" : "was cancelled"} at ${view.settledAt}${error}`;
    }
  }
}

type Waiting = NonNullable<TaskView["waiting"]>;

const WAITS: Readonly<Record<Waiting["reason"], (waiting: Waiting) => string>> = {
  dependencies: ({ on = [] }) => `for ${on.length === 1 ? "its dependency" : "its dependencies"} ${listed(on)}`,
  delay: ({ until }) => `for its time, ${until}`,
  retry: ({ until, detail }) => `to be tried again${until === undefined ? "" : ` at ${until}`}${also(detail)}`,
  gate: ({ on = [] }) => `for ${on.length === 1 ? "the gate" : "the gates"} ${listed(on)} to open`,
  paused: ({ detail }) => `for its pool to be resumed${also(detail)}`,
  spend: ({ until, detail }) => `for money until ${until}${also(detail)}`,
  rate: ({ until, detail }) => `for an agent to end its rest at ${until}${also(detail)}`,
  agent: ({ detail }) => `for an agent${also(detail)}`,
};

const waitingText = (waiting: Waiting): string => WAITS[waiting.reason](waiting);
const also = (detail: string | undefined): string => (detail === undefined ? "" : `: ${detail}`);

function aheadText(ahead: ExplainView["ahead"]): string {
  if (ahead === undefined) return "";
  return ahead === 0 ? "; it is the next" : `; ${ahead} ${ahead === 1 ? "task goes" : "tasks go"} before it`;
}

function why(against: ExplainView["against"]): string {
  const counts = Object.entries(against).map(([reason, count]) => `${reason} ${count}`);
  return counts.length === 0 ? "" : ` (agents it can't go to now, by reason: ${counts.join(", ")})`;
}

/** Ids that a sentence names. */
const NAMED = 5;

function listed(ids: readonly string[]): string {
  const named = ids.slice(0, NAMED).join(", ");
  return ids.length > NAMED ? `${named} and ${ids.length - NAMED} more` : named;
}

function lastAgent({ attempts }: TaskView): string {
  return attempts[attempts.length - 1]?.agentName ?? "an agent";
}

/** What would have to change for it to go on; nothing once it is settled. */
export function changesFor(
  view: TaskView,
  { ahead, agents, against }: Seen & { readonly agents: readonly ExplainedAgent[] },
): string[] {
  const changes: string[] = [];
  const { waiting } = view;
  if (waiting !== undefined) {
    changes.push(...CHANGES[waiting.reason](waiting, view));
    if (waiting.reason === "agent" || waiting.reason === "rate") changes.push(...agentChanges(view, agents, against));
  }
  if (ahead !== undefined && ahead !== 0) changes.push(`those before it have to be served: ${ahead}`);
  if (isOpen(view) && view.deadlineAt !== undefined) {
    changes.push(`it has to end before its deadline, ${view.deadlineAt}, or it fails`);
  }
  if (view.deadLettered) changes.push("a replay gives it a new life");
  return changes;
}

const CHANGES: Readonly<Record<Waiting["reason"], (waiting: Waiting, view: TaskView) => string[]>> = {
  dependencies: ({ on = [] }, { onDependencyFailure }) => [
    `${listed(on)} ${on.length === 1 ? "has" : "have"} to ${onDependencyFailure === "run" ? "end" : "be completed"}`,
  ],
  delay: ({ until }) => [`its time has to come: ${until}`],
  retry: ({ until, detail }) => [until === undefined ? `this has to end: ${detail}` : `its backoff ends at ${until}`],
  gate: ({ on = [] }) => [`${listed(on)} ${on.length === 1 ? "has" : "have"} to open`],
  paused: (_waiting, { pool }) => [`pool ${pool} has to be resumed`],
  spend: ({ until }) => [`the window of spending has to end, at ${until}, or the limit has to be raised`],
  rate: () => [],
  agent: () => [],
};

/** What an agent, any of those that could take the task, would have to do. */
const REMEDIES: Readonly<Record<Exclude<Against, "capability">, string>> = {
  lifecycle: "come up",
  isolation: "have ids of their own again",
  breaker: "have its breaker closed",
  health: "become healthy",
  gate: "have its gate opened",
  rate: "end its rest",
  failed: "be the only one left after a backoff",
  slot: "have a free slot",
};

function agentChanges(
  { pool, requires, type }: TaskView,
  agents: readonly ExplainedAgent[],
  against: ExplainView["against"],
): string[] {
  const needs = requires.length > 0 ? requires.join(", ") : `type ${type}`;
  if (agents.length === 0) return [`an agent has to join pool ${pool}`];
  if (against.capability === agents.length) return [`an agent that offers ${needs} has to join pool ${pool}`];
  const remedies = Object.entries(REMEDIES) as [Exclude<Against, "capability">, string][];
  return remedies.flatMap(([reason, remedy]) => {
    const names = agents.filter((agent) => agent.reason === reason).map(({ name }) => name);
    return names.length === 0 ? [] : [`${listed(names)} ${names.length === 1 ? "has" : "would have"} to ${remedy}`];
  });
}

function isOpen({ status }: TaskView): boolean {
  return status === "pending" || status === "assigned" || status === "in_progress";
}

/** What has happened to it, a sentence each, in order. */
export function storyOf(view: TaskView): string[] {
  const story = [`it was submitted to pool ${view.pool} at ${view.createdAt}`];
  const [first] = view.attempts;
  if (first !== undefined && first.number > 1) story.push(`earlier attempts, up to ${first.number - 1}, are not kept`);
  story.push(...view.attempts.map(attemptText));
  if (view.replays > 0) story.push(`it has been replayed ${view.replays === 1 ? "once" : `${view.replays} times`}`);
  if (view.settledAt !== undefined) story.push(summaryOf(view, { ahead: undefined, against: {} }));
  return story;
}

function attemptText({
  number,
  agentName,
  assignedAt,
  startedAt,
  endedAt,
  outcome,
  blame,
  error,
}: AttemptView): string {
  const attempt = `attempt ${number} on ${agentName}`;
  if (endedAt === undefined || outcome === undefined) {
    return startedAt === undefined ? `${attempt} was assigned at ${assignedAt}` : `${attempt} runs since ${startedAt}`;
  }
  const tookMs = Date.parse(endedAt) - Date.parse(startedAt ?? assignedAt);
  const blamed = blame === undefined ? "" : `, blame ${blame}`;
  const said = error === undefined ? "" : `: ${error.code}, ${error.message}`;
  return `${attempt} ended ${outcome} after ${tookMs} ms${blamed}${said}`;
}
