/** What a task waits for, in words. */
import type { NamespaceState } from "../core/state.ts";
import type { Task, TaskSpec } from "../core/task.ts";
import { type AgentsFound, waitingOf } from "../core/waiting.ts";
import { iso } from "./instant.ts";
import type { TaskView } from "./view.ts";

/** @param nowMs - the time of turns */
export function waitingView(
  state: NamespaceState,
  task: Pick<Task, "spec" | "state" | "awaited">,
  nowMs: number,
): TaskView["waiting"] {
  const { spec } = task;
  const waiting = waitingOf(state, task, nowMs);
  if (waiting === undefined) return undefined;
  const { reason } = waiting;
  switch (reason) {
    case "dependencies":
      return { reason, on: waiting.on };
    case "gate":
      return { reason, detail: `closed: ${waiting.on.join(", ")}`, on: waiting.on };
    case "delay":
    case "retry":
      return { reason, until: iso(waiting.untilMs) };
    case "budget":
      return { reason: "retry", detail: "the retry budget of its pool is spent" };
    case "paused":
      return { reason, detail: `pool ${spec.pool} is paused` };
    case "spend": {
      const who = waiting.tenant === undefined ? `pool ${spec.pool}` : `tenant ${waiting.tenant}`;
      return { reason, detail: `${who} has spent ${waiting.words}`, until: iso(waiting.untilMs) };
    }
    case "rate": {
      const { against, count } = waiting.agents;
      return { reason, detail: `agents that rest: ${against.get("rate")} of ${count}`, until: iso(waiting.untilMs) };
    }
    case "agent":
      return { reason, detail: agentDetail(spec, waiting.agents) };
  }
}

/** In a few words. */
function agentDetail(spec: TaskSpec, { against, count, silent, isKeyFull }: AgentsFound): string {
  const needs = spec.requires.length > 0 ? spec.requires.join(", ") : `type ${spec.type}`;
  if (isKeyFull) return "as many tasks of its fairness key run as may";
  if (count === 0) return `no agent of pool ${spec.pool} offers ${needs}`;
  if (against.get("lifecycle") === count) return `none of ${count} agents is up`;
  if (silent === count) return `none of ${count} agents asks for work`;
  if (against.get("slot") === count) return `all of ${count} agents are taken`;
  const counts = [...against].filter(([reason]) => reason !== "free").map(([reason, found]) => `${reason} ${found}`);
  return `none of ${count} agents may be given it now: ${counts.join(", ")}`;
}
