/** Tells what happens in a world, line by line, so that a reader can follow: when, what, and why. */
import { PoolError } from "../../src/base/errors.ts";
import type { Effect } from "../../src/core/effect.ts";
import type { DurableEvent, Notice, Resting } from "../../src/core/event.ts";
import { PRIORITY_NAMES } from "../../src/core/task.ts";
import type { Turn } from "../../src/core/turn.ts";
import { createWorld, type World, type WorldOptions } from "../../src/testing/world.ts";

/** A world, and what happened in it so far. */
export interface Story {
  readonly world: World;
  /** What somebody outside does; stands between the lines of what happens. */
  tell(text: string): void;
  text(): string;
}

export function createStory(options: WorldOptions): Story {
  const lines: string[] = [];
  const breakers = new Map<string, string>();
  let startMs: number | undefined;
  let world: World | undefined;
  const add = (nowMs: number, text: string): void => {
    startMs ??= nowMs;
    lines.push(`${String(nowMs - startMs).padStart(7)} ms  ${text}`);
  };
  const onTurn = (turn: Turn, replies: readonly unknown[]): void => {
    for (const event of turn.told) {
      const line = lineOf(event);
      if (line !== undefined) add(turn.nowMs, line);
    }
    for (const effect of turn.effects) {
      const line = requestOf(effect);
      if (line !== undefined) add(turn.nowMs, line);
    }
    for (const reply of replies) {
      if (reply instanceof PoolError) add(turn.nowMs, `refused: ${reply.code}: ${reply.message}`);
    }
    for (const [id, { breaker }] of world?.state.agents ?? []) {
      const why = "reason" in breaker ? ` (${breaker.reason})` : "";
      const was = breakers.get(id) ?? "closed";
      if (was !== breaker.name) add(turn.nowMs, `the breaker of ${id}: ${was} → ${breaker.name}${why}`);
      breakers.set(id, breaker.name);
    }
  };
  world = createWorld({ ...options, onTurn });
  return {
    world,
    tell: (text) => lines.push(`-- ${text}`),
    text: () => `${lines.join("\n")}\n`,
  };
}

function lineOf(event: DurableEvent | Notice): string | undefined {
  switch (event.type) {
    case "agent.added":
      return `${event.agent.name} joins the pool`;
    case "agent.changed":
      return event.agent.failed === undefined
        ? `${event.agent.name} is trusted again`
        : `${event.agent.name} is failed by an operator: ${event.agent.failed}`;
    case "agent.lifecycle":
      return `${event.agentId} is ${event.lifecycle}${event.lastExit?.reason ? `: ${event.lastExit.reason}` : ""}`;
    case "agent.health":
      return `${event.agentId} is ${event.health} by ${event.source}${event.reason === "" ? "" : `: ${event.reason}`}`;
    case "gate.changed": {
      const { name, available, holds, reason } = event.gate;
      return `gate ${name} is ${available ? "open" : `closed: ${reason}`}; it holds ${holds.join(", ")}`;
    }
    case "pool.mode":
      return `the pool is ${event.mode}`;
    case "task.submitted": {
      const { id, type, priority } = event.spec;
      return `${id} is submitted (${type}, ${PRIORITY_NAMES[priority]}); it waits for ${waitOf(event.resting)}`;
    }
    case "task.waiting":
      return `${event.taskId} waits for ${waitOf(event.resting)}`;
    case "task.dependency_met":
      return `${event.taskId} has ${event.dependency} out of the way`;
    case "task.leased":
      return `${event.taskId} goes to ${event.agentId}, attempt ${event.number}`;
    case "task.started":
    case "task.started_here":
      return `${event.taskId} has begun`;
    case "attempt.ended":
      return `${event.taskId} comes back from ${endOf(event)}; it waits for ${waitOf(event.resting)}`;
    case "task.settled": {
      const { status, error, deadLettered } = event.settlement;
      const from = event.attempt === undefined ? "" : `, by ${event.attempt.agentName}`;
      const why = error === undefined ? "" : `: ${error.code}: ${error.message}`;
      return `${event.taskId} is ${status}${from}${why}${deadLettered ? " (a dead letter)" : ""}`;
    }
    case "task.replayed":
      return `${event.facts.spec.id} begins a new life; it waits for ${waitOf(event.resting)}`;
    case "payload.quarantined":
      return `what ${event.by} consists of is not taken again`;
    case "payload.released":
      return "what was in quarantine is taken again";
    default:
      return undefined;
  }
}

function waitOf(resting: Resting): string {
  if (resting.reason === "agent") return "an agent";
  if (resting.reason === "dependencies") return "its dependencies";
  return resting.reason === "delay" ? "its time" : "its next try";
}

function endOf({ attempt, charged, kill }: Extract<DurableEvent, { type: "attempt.ended" }>): string {
  const { agentName, outcome, blame, error } = attempt;
  const facts = [outcome, blame && `blame ${blame}`, charged ? "charged" : "free"].filter(Boolean).join(", ");
  const suspicion = kill === undefined ? "" : kill.counted ? ", a death that counts" : ", a death in company";
  return `${agentName} (${facts}${suspicion}): ${error?.message ?? "no reason"}`;
}

function requestOf(effect: Effect): string | undefined {
  switch (effect.type) {
    case "run":
      return `${effect.attempt.agentId} is told to run ${effect.attempt.taskId}`;
    case "stop":
      return `${effect.agentId} is told to stop ${effect.taskId}`;
    case "answer_claim":
      return `a claim is answered with ${effect.attempts.map(({ taskId }) => taskId).join(", ") || "nothing"}`;
    case "start_agent":
      return `${effect.agentId} is started`;
    case "kill_agent":
      return `${effect.agentId} is killed: ${effect.reason}`;
    default:
      return undefined;
  }
}
