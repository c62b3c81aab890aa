/** The worker protocol: agents join, claim, show that they live, and report. */

import { RESULT_LIMIT_BYTES } from "../agents/run-end.ts";
import { invalid, isPoolError } from "../base/errors.ts";
import { type AgentId, asAgentId, asTaskId, type TaskId } from "../base/ids.ts";
import { encodeJson } from "../base/json.ts";
import type { Health } from "../core/agent.ts";
import type { Known } from "../core/command.ts";
import type { LeasedAttempt } from "../core/effect.ts";
import { currentLease } from "../core/lease.ts";
import type { Outcome } from "../core/outcome.ts";
import { ClaimDesk } from "./claim-desk.ts";
import { existingPool, type Frame, giveBack } from "./frame.ts";
import { iso } from "./instant.ts";
import { isolationOf } from "./roll.ts";
import { WAIT_LIMIT_MS } from "./task-desk.ts";
import type { Claimed, Engine, FailInput, HeartbeatAnswer, JoinInput } from "./troupe.ts";
import type { TaskView } from "./view.ts";

/** Tasks that one claim may ask for. */
const CLAIM_LIMIT = 1_000;

export class WorkerDesk {
  readonly #frame: Frame;
  readonly #claims = new ClaimDesk();

  constructor(frame: Frame) {
    this.#frame = frame;
  }

  /** What a waiting claim is given. */
  answer(claimId: number, attempts: readonly LeasedAttempt[]): void {
    this.#claims.answer(claimId, attempts);
  }

  /** The state is that of a new term, in which nobody waits for work yet. */
  endTerm(): void {
    this.#claims.endTerm();
  }

  async join(pool: string, input: JoinInput) {
    const { options } = existingPool(this.#frame.state, pool);
    const name = input.name ?? `remote-${this.#frame.entropy.hex(8)}`;
    const reply = await this.#frame.loop.ask({
      type: "join",
      replace: input.replace ?? false,
      agent: {
        id: asAgentId(input.id ?? this.#frame.entropy.uuid()),
        pool: options.id,
        name,
        kind: "remote",
        capabilities: [...new Set(input.capabilities ?? [])],
        concurrency: input.concurrency ?? 1,
        weight: input.weight ?? 1,
        priority: input.priority ?? 0,
        metadata: input.metadata,
        rate: input.rate,
        isolation: isolationOf(input, this.#frame.entropy),
      },
    });
    if (reply.type !== "agent") throw new TypeError("a join is answered by the agent");
    const { ttlMs, renewMs } = options.lease;
    return { id: reply.agentId as string, heartbeatMs: renewMs, leaseMs: ttlMs };
  }

  async claim(
    id: string,
    { max, waitMs, types }: { max: number; waitMs: number; types?: readonly string[] | undefined },
    signal: AbortSignal,
  ): Promise<Claimed> {
    if (!Number.isInteger(max) || max < 1 || max > CLAIM_LIMIT) throw invalid("max", `expected 1 to ${CLAIM_LIMIT}`);
    if (!Number.isInteger(waitMs) || waitMs < 0 || waitMs > WAIT_LIMIT_MS) {
      throw invalid("waitMs", `expected 0 to ${WAIT_LIMIT_MS}`);
    }
    const agentId = asAgentId(id);
    const { claimId, answered } = this.#claims.open();
    const untilMs = this.#frame.turnClock.now() + waitMs;
    const close = (): void => this.#frame.loop.tell({ type: "close_claim", agentId, claimId });
    signal.addEventListener("abort", close, { once: true });
    try {
      await this.#frame.loop.ask({
        type: "claim",
        agentId,
        claimId,
        max,
        untilMs,
        types: types === undefined ? undefined : [...types],
      });
      if (signal.aborted || waitMs === 0) close();
      return await this.#claimed(await answered, signal);
    } catch (error) {
      this.#claims.answer(claimId, []);
      throw error;
    } finally {
      signal.removeEventListener("abort", close);
    }
  }

  async #claimed(leased: readonly LeasedAttempt[], signal: AbortSignal): Promise<Claimed> {
    const attempts: Claimed["attempts"][number][] = [];
    for (const attempt of leased) {
      const task = await this.#frame.handover.compose(attempt);
      if (task === undefined || currentLease(this.#frame.state, attempt) === undefined) continue;
      const { attempt: number, fence, ...shown } = task;
      attempts.push({
        taskId: task.id,
        number,
        fence,
        leaseExpiresAt: iso(attempt.expiresAtMs),
        task: shown as Claimed["attempts"][number]["task"],
      });
    }
    let done = false;
    const finish = (broken: boolean): void => {
      if (done) return;
      done = true;
      for (const attempt of leased) {
        if (broken) giveBack(this.#frame, attempt, "the connection broke before the claim was answered");
        else this.#frame.loop.tell({ type: "started", taskId: attempt.taskId, fence: attempt.fence });
      }
    };
    if (signal.aborted) finish(true);
    return { attempts, written: () => finish(false), broken: () => finish(true) };
  }

  async heartbeat(
    id: string,
    attempts: readonly { taskId: string; fence: number }[],
    health?: Health,
  ): Promise<HeartbeatAnswer> {
    const named = attempts.map(({ taskId, fence }) => ({ taskId: asTaskId(taskId), fence }));
    const reply = await this.#frame.loop.ask({ type: "heartbeat", agentId: asAgentId(id), attempts: named, health });
    if (reply.type !== "heartbeat") throw new TypeError("a heartbeat is answered by one");
    return { stop: reply.stop, quiet: reply.quiet, leaseExpiresAt: iso(reply.leaseExpiresAtMs) };
  }

  async progress(id: string, fence: number, progress: Parameters<Engine["progress"]>[2]): Promise<void> {
    encodeJson(progress, { limitBytes: RESULT_LIMIT_BYTES, path: "progress" });
    await this.#frame.loop.ask({ type: "progress", taskId: asTaskId(id), fence, progress });
  }

  async complete(id: string, fence: number, result: unknown, usage?: { tokens?: number; costUsd?: number }) {
    const text = await this.#encoded(id, fence, result);
    const isCurrent = currentLease(this.#frame.state, { taskId: asTaskId(id), fence }) !== undefined;
    if (isCurrent) this.#frame.payloads.keepResult(fence, text);
    return this.#reportOf(id, fence, { name: "succeeded", resultBytes: text.length, usage });
  }

  /** A result that is too large ends the attempt: the task is to blame. */
  async #encoded(id: string, fence: number, result: unknown): Promise<string> {
    try {
      return encodeJson(result ?? null, { limitBytes: RESULT_LIMIT_BYTES, path: "result" });
    } catch (error) {
      if (!isPoolError(error, "too_large")) throw error;
      await this.#reportOf(id, fence, {
        name: "failed",
        blame: "task",
        error: { code: error.code, message: error.message },
      });
      throw error;
    }
  }

  async fail(id: string, fence: number, input: FailInput): Promise<TaskView> {
    const { message, code = "failed", blame = "unknown", retryable, retryAfterMs, details } = input;
    const error = { code, message, retryable, details };
    const outcome: Outcome =
      blame === "throttle" ? { name: "throttled", error, retryAfterMs } : { name: "failed", blame, error };
    return this.#reportOf(id, fence, outcome);
  }

  async release(id: string, fence: number): Promise<TaskView> {
    const error = { code: "released", message: "its agent gave it back" };
    return this.#reportOf(id, fence, { name: "released", error });
  }

  async #reportOf(id: string, fence: number, outcome: Outcome): Promise<TaskView> {
    const taskId = asTaskId(id);
    const agentId = this.#holderOf(taskId, fence);
    await this.#withKnown(taskId, (known) =>
      this.#frame.loop.ask({ type: "report", agentId, taskId, fence, outcome, known }),
    );
    return this.#frame.reader.task(taskId);
  }

  /** Whoever runs, or ran, under this fence. */
  #holderOf(id: TaskId, fence: number): AgentId | undefined {
    const task = this.#frame.state.tasks.get(id);
    if (task?.state.name === "leased" && task.state.lease.fence === fence) return task.state.lease.agentId;
    return task?.attempts.find((attempt) => attempt.fence === fence)?.agentId;
  }

  #withKnown<T>(id: TaskId, use: (known: Known) => Promise<T>): Promise<T> {
    return this.#frame.loop.stubs.lookUp([id], [], use);
  }
}
