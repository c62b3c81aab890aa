/** A child's driver without a child: it starts, dies, hangs and answers as its script says. */
import type { AgentDriver, AgentEvents, Attempt, RunEnd } from "../../agents/agent.ts";
import { cancelled, failed, killed, released, succeeded, throttled } from "../../agents/run-end.ts";
import { type Clock, sleep } from "../../base/clock.ts";
import type { AgentIdentity } from "../../core/agent.ts";
import type { Scene } from "./scene.ts";
import { drawScript, resultOf, type Script } from "./script.ts";

/** Between asking a run to stop and its end, at most. Milliseconds. */
const STOP_MS = 100;

export class ScriptedChild implements AgentDriver {
  readonly identity: AgentIdentity;
  readonly #scene: Scene;
  readonly #clock: Clock;
  /** Of the process that is up; aborted when it dies. */
  #life: AbortController | undefined;
  #events: AgentEvents | undefined;
  #starts = 0;
  /** A process that was stopped (SIGSTOP) neither works nor answers. */
  #stoppedUntilMs = 0;
  #asked = false;

  constructor(identity: AgentIdentity, scene: Scene, clock: Clock) {
    this.identity = identity;
    this.#scene = scene;
    this.#clock = clock;
  }

  start(events: AgentEvents): void {
    const { dice } = this.#scene;
    this.#events = events;
    this.#asked = false;
    this.#starts += 1;
    const start = this.#starts;
    this.#clock.timer(dice.between(0, 80), () => {
      if (start !== this.#starts || this.#life !== undefined) return;
      if (this.#asked || dice.happens("does_not_start")) {
        this.#tellDeath("did not come up");
        return;
      }
      this.#life = new AbortController();
      events.ready();
    });
  }

  run(attempt: Attempt): void {
    void this.#endOf(attempt).then((end) => attempt.ended(end));
  }

  async #endOf(attempt: Attempt): Promise<RunEnd> {
    const { signal } = attempt;
    const { dice, ledger } = this.#scene;
    const life = this.#life;
    if (life === undefined) return released("the child was not running");
    ledger.began(attempt.task, this.#scene);
    if (dice.happens("is_stopped")) this.#stoppedUntilMs = this.#clock.monotonic() + dice.between(500, 6_000);
    const script = drawScript(dice, attempt.task.prompt);
    if (this.#scene.explodes(attempt.task.prompt)) return new Promise(() => {});
    const end = await this.#play(script, attempt, AbortSignal.any([signal, life.signal]));
    if (life.signal.aborted) return this.#asked ? released() : killed("the child died");
    if (signal.aborted) {
      await sleep(this.#clock, dice.between(0, STOP_MS), life.signal);
      return cancelled();
    }
    return end;
  }

  async #play(script: Script, { task }: Attempt, stop: AbortSignal): Promise<RunEnd> {
    await sleep(this.#clock, Math.max(script.afterMs, this.#stoppedUntilMs - this.#clock.monotonic()), stop);
    if (stop.aborted) return cancelled();
    switch (script.name) {
      case "fails": {
        const end = failed(script.blame, {
          code: "failed",
          message: "it failed",
          details: script.gate === undefined ? undefined : { gate: script.gate },
        });
        if (script.retryable === undefined || end.outcome.name !== "failed") return end;
        return { outcome: { ...end.outcome, error: { ...end.outcome.error, retryable: script.retryable } } };
      }
      case "throttles":
        return throttled({ code: "throttled", message: "slow down" }, script.retryAfterMs);
      case "returns_nonsense":
        return failed("agent", { code: "bad_answer", message: "no JSON" });
      case "hangs":
        return failed("agent", { code: "timeout", message: "no answer" });
      case "dies":
        this.#die("SIGSEGV");
        return killed("the child died");
      default:
        return succeeded(resultOf(task));
    }
  }

  async probe(signal: AbortSignal): Promise<boolean> {
    await sleep(this.#clock, this.#scene.dice.between(0, 30), signal);
    return !signal.aborted && this.alive() && !this.#scene.dice.happens("fails_probe");
  }

  alive(): boolean {
    return this.#life !== undefined && this.#clock.monotonic() >= this.#stoppedUntilMs;
  }

  async close(): Promise<void> {
    this.#asked = true;
    await sleep(this.#clock, this.#scene.dice.between(0, STOP_MS));
    if (this.#asked) this.#die("SIGTERM");
  }

  /** The death is told before its victims, so that no task is given to the dead. */
  #die(signal: string): void {
    const life = this.#life;
    if (life === undefined) return;
    this.#life = undefined;
    this.#stoppedUntilMs = 0;
    this.#tellDeath(signal);
    life.abort();
  }

  #tellDeath(reason: string): void {
    this.#scene.disturb();
    this.#events?.exited({ code: null, signal: "SIGKILL", reason, logTail: [] });
  }
}
