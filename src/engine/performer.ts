/** Performs what the core has requested, once the turn that asked for it has been committed. */
import type { AttemptTask } from "../agents/agent.ts";
import { PoolError } from "../base/errors.ts";
import type { Effect, LeasedAttempt } from "../core/effect.ts";
import { currentLease } from "../core/lease.ts";
import type { Outcome } from "../core/outcome.ts";
import type { Turn } from "../core/turn.ts";
import { type Frame, giveBack } from "./frame.ts";
import type { GateDesk } from "./gate-desk.ts";
import type { ScheduleDesk } from "./schedule-desk.ts";
import { NOTHING_KNOWN } from "./stubs.ts";
import type { WorkerDesk } from "./worker-desk.ts";

/** Those whom effects concern. */
interface Desks {
  readonly workers: WorkerDesk;
  readonly gates: GateDesk;
  readonly schedules: ScheduleDesk;
}

export class Performer {
  readonly #frame: Frame;
  readonly #desks: Desks;

  constructor(frame: Frame, desks: Desks) {
    this.#frame = frame;
    this.#desks = desks;
  }

  /** `turn` takes the volatile events that come of it. */
  perform(effect: Effect, turn: Turn): void {
    const { crew } = this.#frame;
    switch (effect.type) {
      case "run":
        this.#begin(effect.attempt, turn);
        break;
      case "stop":
        crew.stop(effect.fence);
        break;
      case "answer_claim":
        this.#desks.workers.answer(effect.claimId, effect.attempts);
        break;
      case "answer_held":
        this.#frame.heldCalls.answer(effect.holdId, effect);
        break;
      case "watch_gate":
        this.#desks.gates.changed(effect.name);
        break;
      case "submit_scheduled":
        void this.#desks.schedules.serve(effect.scheduleId, effect.atMs);
        break;
      case "start_agent":
        void crew.start(effect.agentId);
        break;
      case "kill_agent":
        crew.kill(effect.agentId, effect.reason);
        break;
      case "stop_agent":
        void crew.stopAgent(effect.agentId);
        break;
      case "close_agent":
        void crew.dismiss(effect.agentId);
        break;
      case "strategy_failed":
        this.#frame.log({ level: "warn", event: "strategy_failed", pool: effect.pool, message: effect.message });
        break;
      default:
        effect satisfies never;
    }
  }

  /** Starts a run, at once if everything for it is at hand. */
  #begin(attempt: LeasedAttempt, turn: Turn): void {
    const { handover, turnClock, crew } = this.#frame;
    const task = handover.compose(attempt);
    if (task instanceof Promise) void this.#beginLater(attempt, task);
    else if (task !== undefined) {
      const { taskId, fence } = attempt;
      const atMs = turnClock.now();
      turn.record({ type: "task.started_here", taskId, fence, atMs });
      crew.run(attempt, task, atMs);
    }
  }

  async #beginLater(attempt: LeasedAttempt, composed: Promise<AttemptTask | undefined>): Promise<void> {
    const { agentId, taskId, fence } = attempt;
    const { state, loop, crew, turnClock } = this.#frame;
    try {
      const task = await composed;
      if (task === undefined || currentLease(state, attempt) === undefined) {
        giveBack(this.#frame, attempt, "it was taken back before it began");
        return;
      }
      loop.tell({ type: "started", taskId, fence });
      crew.run(attempt, task, turnClock.now());
    } catch (error) {
      const code = error instanceof PoolError ? error.code : "internal";
      const outcome: Outcome = { name: "failed", blame: "task", error: { code, message: String(error) } };
      loop.tell({ type: "report", agentId, taskId, fence, outcome, known: NOTHING_KNOWN });
    }
  }
}
