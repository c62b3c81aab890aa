/** Operators in whatever order: the state stays whole, nobody is idle beside work, and all of it ends. */
import { describe, expect, test } from "vitest";
import { asAgentId, asTaskId } from "../base/ids.ts";
import { createRandom } from "../base/random.ts";
import { workLeft } from "../testing/simulation/work-left.ts";
import { createWorld, type World } from "../testing/world.ts";
import type { Agent } from "./agent.ts";
import type { Command } from "./command.ts";

const STEPS = 150;
const NAMES = ["f0", "f1", "d0", "d1", "rem"] as const;

class Story {
  readonly world: World;
  readonly #random;
  #values = 0;

  constructor(seed: number) {
    this.#random = createRandom(seed);
    this.world = createWorld({
      seed,
      agents: [
        { name: "f0", concurrency: 2 },
        { name: "f1", capabilities: ["a"] },
        { name: "d0", kind: "daemon", concurrency: 2 },
        { name: "d1", kind: "daemon" },
        { name: "rem", kind: "remote", concurrency: 2 },
      ],
      pool: { restart: { delayMs: 100, jitter: "none", max: 100 }, retry: { maxAttempts: 1_000, refundLimit: 1_000 } },
    });
  }

  #below(n: number): number {
    return Math.floor(this.#random.next() * n);
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#below(list.length)] as T;
  }

  #ask(command: Command): void {
    this.world.ask(command);
  }

  get agents(): Agent[] {
    return [...this.world.state.agents.values()];
  }

  step(): void {
    const agentId = asAgentId(this.#pick(NAMES));
    const { world } = this;
    switch (this.#below(16)) {
      case 0:
      case 1:
        world.submit({ type: this.#pick(["general", "a", "b"]), requires: this.#below(4) === 0 ? ["gpu"] : [] });
        break;
      case 2:
      case 3:
        this.#endOne();
        break;
      case 4:
        this.#ask({ type: "drain_agent", agentId, keep: this.#below(2) === 0 });
        break;
      case 5:
        this.#ask({ type: "recover_agent", agentId });
        break;
      case 6:
        if (agentId !== "rem") this.#ask({ type: "restart_agent", agentId, untilMs: world.nowMs + this.#below(2_000) });
        break;
      case 7:
        this.#ask({ type: "change_agent", agentId, change: { concurrency: 1 + this.#below(3) } });
        break;
      case 8:
        this.#share();
        break;
      case 9:
        this.#ask({ type: "verify_capability", agentId, capability: "gpu" });
        break;
      case 10:
        this.#ask({ type: this.#pick(["reset_agent", "agent_stopped"]), agentId });
        break;
      case 11:
        this.#ask({ type: "fail_agent", agentId, reason: "by chance" });
        break;
      case 12:
        world.crash(this.#pick(["d0", "d1"]));
        break;
      case 13:
        world.advance(this.#below(1_000));
        break;
      case 14:
        this.settle();
        break;
      default:
        if (this.#below(10) === 0) {
          world.restart();
          this.#ask({ type: "recover" });
        }
    }
    this.#work();
    expect(workLeft(world.state, world.nowMs)).toBeUndefined();
  }

  #endOne(): void {
    const leased = [...this.world.state.tasks.values()].filter(({ state }) => state.name === "leased");
    if (leased.length === 0) return;
    const id = this.#pick(leased).spec.id;
    if (this.#below(3) === 0) this.world.fail(id, { blame: this.#pick(["agent", "unknown"] as const) });
    else this.world.complete(id);
  }

  /** One gets an id of another, or one of its own. */
  #share(): void {
    const [from, to] = [this.#pick(NAMES), this.#pick(NAMES)];
    this.#values += 1;
    const { toolSessionId } =
      this.#below(2) === 0 ? this.world.agent(from).isolation : { toolSessionId: `t${this.#values}` };
    this.#ask({ type: "change_agent", agentId: asAgentId(to), change: { isolation: { toolSessionId } } });
  }

  /** The outside does what it is asked to: processes come up and stop, runs that were stopped end, the worker claims. */
  #work(): void {
    for (const { identity, lifecycle, runs, leaving } of this.agents) {
      for (const { taskId, fence, orphaned } of [...runs.values()]) {
        if (orphaned && this.#below(2) === 0) this.world.endRun(identity.id, asTaskId(taskId), fence);
      }
      if (leaving?.stopping === true && this.#below(2) === 0)
        this.#ask({ type: "agent_stopped", agentId: identity.id });
      if ((lifecycle === "starting" || lifecycle === "restarting") && this.#below(2) === 0)
        this.world.ready(identity.id);
    }
    const { runs } = this.world.agent("rem");
    const attempts = [...runs.values()].filter(({ orphaned }) => !orphaned);
    this.world.heartbeatOf("rem", attempts);
    if (this.world.agent("rem").claim === undefined) this.world.claim("rem", { max: 5 });
    for (const name of NAMES) if (name !== "rem") this.world.alive(name);
  }

  /** Every word is taken back. */
  settle(): void {
    for (const { identity } of this.agents) {
      this.#ask({ type: "recover_agent", agentId: identity.id });
      this.#values += 1;
      const isolation = { toolSessionId: `t${this.#values}` };
      this.#ask({ type: "change_agent", agentId: identity.id, change: { isolation } });
    }
  }

  isUnfinished(): boolean {
    if (this.agents.some(({ lifecycle }) => lifecycle !== "ready")) return true;
    return [...this.world.state.tasks.values()].some(({ state }) => state.name !== "settled");
  }

  finish(): void {
    this.settle();
    this.#ask({ type: "verify_capability", agentId: asAgentId("f0"), capability: "gpu" });
    for (let n = 0; n < 500 && this.isUnfinished(); n++) {
      this.#work();
      this.#endOne();
      this.world.advance(200);
    }
  }
}

describe("whatever operators do", () => {
  test.each(Array.from({ length: 4 }, (_, seed) => seed + 1))("story %i", (seed) => {
    const story = new Story(seed);
    for (let n = 0; n < STEPS; n++) story.step();
    story.finish();
    const open = [...story.world.state.tasks.values()].filter(({ state }) => state.name !== "settled");
    expect(open.map(({ spec, state }) => [spec.id, state])).toEqual([]);
    expect(
      story.agents.map(({ identity, lifecycle, isBreached, health }) => [identity.id, lifecycle, isBreached, health]),
    ).toEqual(NAMES.map((name) => [name, "ready", false, "healthy"]));
  });
});
