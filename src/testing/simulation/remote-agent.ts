/**
 * A remote agent by the worker protocol. It outlives the engine, repeats what was not answered, joins again when it is
 * told to, and is as unreliable as the run wants it: silent, forgetful, late.
 */
import { isPoolError } from "../../base/errors.ts";
import type { LocalEngine } from "../../engine/engine.ts";
import type { Claimed, ClaimedAttempt } from "../../engine/troupe.ts";
import type { RemotePlan } from "./plan.ts";
import { Lost, type Scene, Unreachable } from "./scene.ts";
import { drawScript, resultOf, type Script } from "./script.ts";

type Running = Pick<ClaimedAttempt, "taskId" | "fence"> & { stopped: boolean };

type Said = "done" | "gone" | "again";

const RETRY_MS = 70;
const CRASHED_MS = 7_000;

export class RemoteAgent {
  readonly #scene: Scene;
  readonly #pool: string;
  readonly #plan: RemotePlan;
  #id: string | undefined;
  #heartbeatMs = 300;
  #leaseMs = 0;
  readonly #running = new Map<number, Running>();
  #silentUntilMs = 0;
  /** Grows when it forgets everything: what it did before is not its own any more. */
  #self = 0;
  #isOver = false;
  #hangUp = new AbortController();

  constructor(scene: Scene, pool: string, plan: RemotePlan) {
    this.#scene = scene;
    this.#pool = pool;
    this.#plan = plan;
  }

  begin(): void {
    this.#scene.spawn(() => this.#beat());
    this.#scene.spawn(() => this.#pull());
  }

  /** It goes home; nobody waits for its loops any more. */
  end(): void {
    this.#isOver = true;
  }

  // --- the two loops ---

  async #beat(): Promise<void> {
    const { dice, time } = this.#scene;
    while (!this.#isOver) {
      await this.#scene.sleep(this.#heartbeatMs);
      if (this.#id === undefined || this.#isOver) continue;
      if (dice.happens("forgets")) this.#forget();
      if (dice.happens("falls_silent")) this.#silentUntilMs = time.now() + dice.between(500, 12_000);
      if (time.now() < this.#silentUntilMs) continue;
      const unnamed = dice.happens("does_not_name");
      const attempts = unnamed ? [] : [...this.#running.values()].map(({ taskId, fence }) => ({ taskId, fence }));
      const id = this.#id;
      const answer = await this.#try((engine) => engine.heartbeat(id, attempts));
      if (answer === undefined || answer === "gone") continue;
      const kept = attempts.filter(({ taskId }) => !answer.stop.includes(taskId)).map(({ fence }) => fence);
      this.#scene.ledger.promised(kept, { untilMs: Date.parse(answer.leaseExpiresAt), leaseMs: this.#leaseMs });
      for (const taskId of answer.stop) {
        for (const run of this.#running.values()) if (run.taskId === taskId) run.stopped = true;
      }
    }
  }

  async #pull(): Promise<void> {
    const { dice } = this.#scene;
    while (!this.#isOver) {
      await this.#awake();
      if (this.#id === undefined) await this.#join();
      const room = this.#plan.concurrency - this.#running.size;
      if (this.#id === undefined || room <= 0) {
        await this.#scene.sleep(dice.between(5, 60));
        continue;
      }
      await this.#claim(this.#id, room);
    }
  }

  /** A silent one does not ask for work either. */
  async #awake(): Promise<void> {
    const { time, dice } = this.#scene;
    if (dice.calm) this.#silentUntilMs = 0;
    while (time.now() < this.#silentUntilMs && !this.#isOver) await this.#scene.sleep(50);
  }

  async #join(): Promise<void> {
    const { name, capabilities, concurrency } = this.#plan;
    const joined = await this.#try(async (engine) => {
      try {
        return await engine.join(this.#pool, { name, capabilities, concurrency });
      } catch (error) {
        if (!isPoolError(error, "conflict")) throw error;
        // It is taken for alive, though it has forgotten what it ran.
        this.#scene.reach("a remote agent took its own name over");
        return await engine.join(this.#pool, { name, capabilities, concurrency, replace: true });
      }
    });
    if (joined === undefined || joined === "gone") return this.#scene.sleep(RETRY_MS);
    this.#id = joined.id;
    this.#heartbeatMs = joined.heartbeatMs;
    this.#leaseMs = joined.leaseMs;
  }

  async #claim(id: string, max: number): Promise<void> {
    const { dice } = this.#scene;
    const self = this.#self;
    const waitMs = dice.pick([0, 100, 400]);
    const breaks = dice.happens("claim_breaks");
    const hangUp = new AbortController();
    this.#hangUp = hangUp;
    if (breaks && dice.chance(0.5)) {
      void this.#scene.sleep(dice.between(0, 100)).then(() => hangUp.abort());
    }
    const claimed = await this.#try((engine) =>
      engine.claim(id, { max, waitMs, types: this.#plan.types }, hangUp.signal),
    );
    if (claimed === undefined) return this.#scene.sleep(RETRY_MS);
    if (claimed === "gone") return this.#forget();
    if (breaks || self !== this.#self || this.#isOver) return claimed.broken();
    this.#take(claimed);
    if (waitMs === 0 && claimed.attempts.length === 0) await this.#scene.sleep(20);
  }

  #take(claimed: Claimed): void {
    claimed.written();
    // The reply was written, but never came: it will not name what it does not know of.
    if (this.#scene.dice.happens("reply_lost")) return;
    for (const attempt of claimed.attempts) this.#scene.spawn(() => this.#work(attempt));
  }

  /** Its host is gone for longer than any lease, and comes back without a memory. */
  #crash(): void {
    this.#forget();
    this.#silentUntilMs = this.#scene.time.now() + CRASHED_MS;
    this.#hangUp.abort();
  }

  #forget(): void {
    this.#self += 1;
    this.#id = undefined;
    this.#running.clear();
  }

  // --- one attempt ---

  async #work({ taskId, fence, task }: ClaimedAttempt): Promise<void> {
    const { dice, ledger } = this.#scene;
    const self = this.#self;
    const run: Running = { taskId, fence, stopped: false };
    this.#running.set(fence, run);
    ledger.began({ ...task, fence }, this.#scene);
    const script = drawScript(dice, task.prompt);
    await this.#play(script, run);
    await this.#whileSilent();
    if (self !== this.#self) return;
    if (script.name === "dies" && script.byPill === true) return this.#crash();
    const says = dice.happens("gives_back") ? "released" : script.name;
    if (says !== "hangs" && says !== "dies") {
      const said = await this.#say(run, says, script);
      if (said === "done" && dice.happens("reports_twice")) await this.#repeat(run, says, script);
    }
    this.#running.delete(fence);
  }

  /** Works until the script is over or, if it cares, until it is told to stop. */
  async #play(script: Script, run: Running): Promise<void> {
    const untilMs = this.#scene.time.now() + script.afterMs;
    for (let leftMs = script.afterMs; leftMs > 0; leftMs = untilMs - this.#scene.time.now()) {
      await this.#scene.sleep(Math.min(leftMs, 100));
      if (run.stopped && script.name !== "ignores_stop") return;
      if (this.#isOver || (script.name === "hangs" && this.#scene.dice.calm)) return;
    }
  }

  async #whileSilent(): Promise<void> {
    while (this.#scene.time.now() < this.#silentUntilMs && !this.#isOver) await this.#scene.sleep(50);
  }

  /** Repeats a report until it is answered; an old fence ends the matter. */
  async #say(run: Running, says: Script["name"] | "released", script: Script): Promise<Said> {
    for (;;) {
      const said = await this.#sayOnce(run, says, script);
      if (said !== "again" || this.#isOver) return said;
      await this.#scene.sleep(RETRY_MS);
    }
  }

  async #sayOnce({ taskId, fence }: Running, says: Script["name"] | "released", script: Script): Promise<Said> {
    const said = await this.#try(async (engine): Promise<Said> => {
      try {
        await report(engine, { taskId, fence }, says, script);
        return "done";
      } catch (error) {
        if (isPoolError(error, "stale_fence")) {
          this.#scene.reach("a late report was refused");
          const cancelled = this.#scene.audit.tasks.get(taskId)?.status === "cancelled";
          if (cancelled && says === "succeeds") this.#scene.reach("a cancelled task's success came too late");
          return "gone";
        }
        throw error;
      }
    });
    if (said === "done") this.#scene.ledger.reported({ taskId, fence, outcome: outcomeOf(says) }, this.#scene);
    return said ?? "again";
  }

  /** The same report once more: the stored task is the answer, if it was this one that settled it. */
  async #repeat(run: Running, says: Script["name"] | "released", script: Script): Promise<void> {
    const settled = this.#scene.audit.tasks.get(run.taskId)?.state === "settled";
    const said = await this.#sayOnce(run, says, script);
    if (settled && said === "done") this.#scene.reach("a settling report was repeated");
  }

  // --- the way there and back ---

  /** Undefined when there was no good answer; `gone` when it, its pool or the task is not known. */
  async #try<T>(ask: (engine: LocalEngine) => Promise<T>): Promise<T | "gone" | undefined> {
    const { dice } = this.#scene;
    if (dice.happens("request_lost")) return undefined;
    try {
      const answer = await this.#scene.call(ask);
      return dice.happens("reply_lost") && !isClaim(answer) ? undefined : answer;
    } catch (error) {
      if (error instanceof Unreachable || error instanceof Lost) return undefined;
      if (isPoolError(error, "not_found")) return "gone";
      if (isPoolError(error)) return undefined;
      throw error;
    }
  }
}

/** What a lost reply to a claim means is drawn where the claim is taken. */
const isClaim = (answer: unknown): boolean => typeof answer === "object" && answer !== null && "written" in answer;

async function report(
  engine: LocalEngine,
  { taskId, fence }: Pick<Running, "taskId" | "fence">,
  says: Script["name"] | "released",
  script: Script,
): Promise<void> {
  if (says === "released") await engine.release(taskId, fence);
  else if (script.name === "fails") {
    const { blame, retryable, gate } = script;
    const details = gate === undefined ? undefined : { gate };
    await engine.fail(taskId, fence, { message: "it failed", blame, retryable, details });
  } else if (script.name === "throttles") {
    const { retryAfterMs } = script;
    await engine.fail(taskId, fence, { message: "slow down", blame: "throttle", retryAfterMs });
  } else if (script.name === "returns_nonsense") await engine.fail(taskId, fence, { message: "no JSON" });
  else await engine.complete(taskId, fence, resultOf({ id: taskId, fence }));
}

function outcomeOf(says: Script["name"] | "released"): string {
  if (says === "released") return "released";
  if (says === "throttles") return "throttled";
  return says === "fails" || says === "returns_nonsense" ? "failed" : "succeeded";
}
