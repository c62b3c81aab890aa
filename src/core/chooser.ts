/** A strategy of the user's own: what it is shown, and what becomes of it when it goes wrong. */
import type { Json } from "../base/json.ts";
import type { Random } from "../base/random.ts";
import type { Choice } from "../policies/balancer/balancer.ts";
import { leastLoaded } from "../policies/balancer/least-loaded.ts";
import { expectedMs } from "../policies/balancer/peak-ewma.ts";
import type { Effect } from "./effect.ts";
import type { Seat } from "./seats.ts";
import type { Task } from "./task.ts";

/** An agent that is free and may, as a user's strategy sees it. A copy: nothing it does to it has an effect. */
export interface StrategyCandidate {
  readonly agentId: string;
  readonly name: string;
  readonly capabilities: readonly string[];
  readonly metadata: { readonly [key: string]: Json };
  readonly inFlight: number;
  /** Attempts at a time. */
  readonly capacity: number;
  readonly weight: number;
  readonly priority: number;
  /** Attempts the other figures rest on. */
  readonly samples: number;
  /** Decaying mean; 1 without samples. */
  readonly successRate: number;
  /** 0 without samples. */
  readonly errorShare: number;
  /** Decaying mean in which a failure counts as ten medians of the pool. Undefined without samples. */
  readonly latencyMs: number | undefined;
  /** The same for this type of task. */
  readonly typeLatencyMs: number | undefined;
  /** What `peak_ewma` expects of the task on this agent. Undefined without samples. */
  readonly expectedMs: number | undefined;
}

/** The task that is to be placed. */
export interface StrategyTask {
  readonly id: string;
  readonly pool: string;
  readonly type: string;
  readonly priority: number;
  readonly requires: readonly string[];
  readonly affinityKey: string | undefined;
  readonly attemptCount: number;
  readonly failedAgentIds: readonly string[];
}

/** Returns the `agentId` of one of the candidates, at once. There is at least one. */
export type ChooseAgent = (candidates: readonly StrategyCandidate[], task: StrategyTask) => string;

export interface Chooser {
  readonly choose: ChooseAgent;
  /** It has been said that it threw, or picked nobody. */
  told: boolean;
}

export const newChooser = (choose: ChooseAgent): Chooser => ({ choose, told: false });

/** What it takes of a turn. */
interface Asking {
  readonly random: Random;
  request(effect: Effect): void;
}

/** What the user's strategy picks; the least loaded when it throws or picks nobody of the candidates. */
export function chosenByUser(
  chooser: Chooser,
  task: Task,
  seats: readonly [Seat, ...Seat[]],
  { choice, turn }: { readonly choice: Choice; readonly turn: Asking },
): Seat | undefined {
  const picked = pick(chooser, task, seats, choice);
  if (typeof picked !== "string") return picked;
  if (!chooser.told) turn.request({ type: "strategy_failed", pool: task.spec.pool, message: picked });
  chooser.told = true;
  return leastLoaded(seats, choice, turn.random);
}

/** The seat, or what went wrong. */
function pick({ choose }: Chooser, task: Task, seats: readonly Seat[], choice: Choice): Seat | string {
  try {
    const answer: unknown = choose(Object.freeze(seats.map((seat) => candidate(seat, choice))), strategyTask(task));
    if (answer instanceof Promise) {
      answer.catch(() => undefined);
      return "the strategy answered with a promise, expected an agent's id";
    }
    return (
      seats.find(({ agentId }) => agentId === answer) ?? `the strategy picked ${String(answer)}, who is no candidate`
    );
  } catch (error) {
    return `the strategy threw: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function candidate(seat: Seat, choice: Choice): StrategyCandidate {
  const { agent, agentId, inFlight, capacity, weight, priority, measure } = seat;
  const known = measure.samples > 0;
  return Object.freeze({
    agentId,
    name: agent.identity.name,
    capabilities: Object.freeze([...agent.identity.capabilities]),
    metadata: structuredClone(agent.identity.metadata ?? {}),
    inFlight,
    capacity,
    weight,
    priority,
    samples: measure.samples,
    successRate: measure.successRate,
    errorShare: measure.errorShare,
    latencyMs: known ? measure.latencyMs : undefined,
    typeLatencyMs: measure.typeLatencyMs.get(choice.type),
    expectedMs: known ? expectedMs(seat, choice) : undefined,
  });
}

function strategyTask({ spec, attemptCount, failedAgentIds }: Task): StrategyTask {
  return Object.freeze({
    id: spec.id,
    pool: spec.pool,
    type: spec.type,
    priority: spec.priority,
    requires: Object.freeze([...spec.requires]),
    affinityKey: spec.affinityKey,
    attemptCount,
    failedAgentIds: Object.freeze([...failedAgentIds]),
  });
}
