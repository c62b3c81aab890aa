/** An operator with a restless hand: pauses pools, closes gates, fails agents. When all is calm, takes it all back. */
import { isPoolError } from "../../base/errors.ts";
import type { LocalEngine } from "../../engine/engine.ts";
import type { AgentView, IsolationView } from "../../engine/view.ts";
import { GATES, type PoolPlan } from "./plan.ts";
import { Lost, type Scene, Unreachable } from "./scene.ts";
import { SCHEDULE_MARK } from "./schedule-mark.ts";

/** Between two looks, at most. Milliseconds. */
const LOOK_MS = 900;

export class Operator {
  readonly #scene: Scene;
  readonly #pools: readonly [PoolPlan, ...PoolPlan[]];
  #isOver = false;
  /** Schedules. */
  #made = 0;

  constructor(scene: Scene, pools: readonly [PoolPlan, ...PoolPlan[]]) {
    this.#scene = scene;
    this.#pools = pools;
  }

  /** Until the run ends: mischief first, then order. */
  async play(): Promise<void> {
    const { dice } = this.#scene;
    while (!this.#isOver) {
      await this.#scene.sleep(dice.between(50, LOOK_MS));
      if (dice.calm) await this.#putInOrder();
      else await this.#meddle();
    }
  }

  end(): void {
    this.#isOver = true;
  }

  async #meddle(): Promise<void> {
    const { dice } = this.#scene;
    const { id } = dice.pick(this.#pools).options;
    if (dice.happens("pauses")) await this.#mode(id, "paused");
    if (dice.happens("drains")) await this.#mode(id, "draining");
    if (dice.happens("closes_gate")) {
      const { name, holds } = dice.pick(GATES);
      await this.#ask((engine) => engine.putGate(name, { available: false, holds: [...holds] }));
    }
    if (dice.happens("fails_agent")) await this.#failSomeAgent(id);
    if (dice.happens("drains_agent")) await this.#drainSomeAgent(id);
    if (dice.happens("restarts_agent")) await this.#restartSomeAgent(id);
    if (dice.happens("shares_ids")) await this.#shareIds(id);
    if (dice.happens("resets_breakers")) {
      const opened = await this.#ask((engine) => engine.resetBreakers(dice.chance(0.5) ? id : undefined));
      if (opened !== undefined && opened > 0) this.#scene.reach("an operator let breakers try at once");
    }
    if (dice.happens("releases_payload")) await this.#releasePayload(id);
    // Never to more: what a new agent needs would be looked up in reality.
    if (dice.happens("shrinks_pool")) await this.#ask((engine) => engine.scale(id, { target: 1 }));
    if (dice.happens("schedules")) await this.#schedule(id);
    // What was done is mostly undone before long.
    if (dice.chance(0.4)) await this.#putInOrder(dice.chance(0.5));
  }

  async #mode(id: string, mode: "paused" | "draining" | "running"): Promise<void> {
    await this.#ask((engine) => engine.setMode(id, mode));
  }

  /** Makes a schedule, or pauses and resumes one that is there. */
  async #schedule(pool: string): Promise<void> {
    const { dice } = this.#scene;
    const known = await this.#ask((engine) => Promise.resolve(engine.schedules()));
    const [first, ...others] = known ?? [];
    if (first !== undefined && (others.length > 1 || dice.chance(0.5))) {
      const { id, paused } = dice.pick([first, ...others]);
      await this.#ask((engine) => engine.pauseSchedule(id, !paused));
      return;
    }
    const [cron, overlap] = [`*/${dice.between(1, 2)} * * * * *`, dice.pick(["allow", "skip"] as const)];
    this.#made += 1;
    const id = `${SCHEDULE_MARK}${this.#made}`;
    const task = { prompt: "again and again", affinityKey: id };
    await this.#ask((engine) => engine.createSchedule({ id, pool, cron, overlap, task }));
  }

  async #someAgent(pool: string): Promise<AgentView | undefined> {
    const agents = await this.#ask((engine) => Promise.resolve(engine.agents(pool)));
    const [first, ...others] = agents ?? [];
    return first && this.#scene.dice.pick([first, ...others]);
  }

  async #drainSomeAgent(pool: string): Promise<void> {
    const agent = await this.#someAgent(pool);
    if (agent === undefined) return;
    const drained = await this.#ask((engine) => engine.drainAgent(agent.id));
    if (drained?.activity === "busy") this.#scene.reach("an agent was drained with work on it");
    if (drained?.lifecycle === "ready") this.#scene.violate(`agent ${agent.name} rests once it was drained`);
  }

  async #restartSomeAgent(pool: string): Promise<void> {
    const { dice } = this.#scene;
    const agent = await this.#someAgent(pool);
    if (agent === undefined) return;
    await this.#ask((engine) => engine.restartAgent(agent.id, { timeoutMs: dice.between(0, 1_000) }));
    await this.#scene.sleep(dice.between(0, 2_000));
    const now = await this.#ask((engine) => Promise.resolve(engine.agent(agent.id)));
    if (now !== undefined && now.restarts > agent.restarts && now.lastExit?.reason !== "SIGSEGV") {
      this.#scene.reach("an agent was restarted as planned");
    }
  }

  /** One gets an id of another, and for a moment neither is to be trusted. */
  async #shareIds(pool: string): Promise<void> {
    const [one, other] = [await this.#someAgent(pool), await this.#someAgent(pool)];
    if (one === undefined || other === undefined || one.id === other.id) return;
    const { toolSessionId } = one;
    const given = await this.#ask((engine) => engine.changeAgent(other.id, { toolSessionId }));
    if (given === undefined) return;
    const of = (): Promise<IsolationView | undefined> => this.#ask((engine) => Promise.resolve(engine.isolation(pool)));
    const shared = await of();
    await this.#ask((engine) => engine.changeAgent(other.id, { toolSessionId: other.toolSessionId }));
    const after = await of();
    const isShared = (report: IsolationView | undefined): boolean =>
      report?.agents.some(({ id, isolated }) => id === other.id && !isolated) === true;
    if (isShared(shared) && after !== undefined && !isShared(after)) {
      this.#scene.reach("agents shared an id, and ceased to");
    }
  }

  async #failSomeAgent(pool: string): Promise<void> {
    const { reach } = this.#scene;
    const agent = await this.#someAgent(pool);
    if (agent === undefined) return;
    const { id } = agent;
    const failed = await this.#ask((engine) => engine.failAgent(id, "not to be trusted"));
    if (failed === undefined) return;
    reach(failed.task === null ? "an idle agent was failed" : "an agent was failed with work on it");
    if (failed.task?.reassigned === true) reach("the task of a failed agent went on elsewhere at once");
    if (failed.agent.health !== "unhealthy") this.#scene.violate(`agent ${id} is unhealthy once it was failed`);
  }

  async #releasePayload(pool: string): Promise<void> {
    const known = await this.#ask((engine) => Promise.resolve(engine.quarantine(pool)));
    const [first] = known ?? [];
    if (first === undefined) return;
    const done = await this.#ask(async (engine) => {
      await engine.releasePayload(pool, first.fingerprint);
      return true;
    });
    if (done) this.#scene.reach("a quarantined payload was released");
  }

  async #putInOrder(all = true): Promise<void> {
    for (const { options } of this.#pools) {
      await this.#ask(async (engine) => {
        const mode = this.#scene.audit.pools.get(options.id)?.mode ?? "running";
        if (mode !== "running") await engine.setMode(options.id, "running");
      });
      if (!all) return;
      await this.#unshare(options.id);
      const agents = await this.#ask((engine) => Promise.resolve(engine.agents(options.id)));
      for (const { id } of agents ?? []) {
        const known = this.#scene.audit.agents.get(id);
        if (known?.failed !== undefined || known?.drained) await this.#ask((engine) => engine.recoverAgent(id));
      }
    }
    const schedules = all ? await this.#ask((engine) => Promise.resolve(engine.schedules())) : [];
    for (const { id } of schedules ?? []) await this.#ask((engine) => engine.deleteSchedule(id));
    const gates = await this.#ask((engine) => Promise.resolve(engine.gates()));
    for (const { name, available } of gates ?? []) {
      if (!available) await this.#ask((engine) => engine.putGate(name, { available: true }));
    }
  }

  /** Whoever shares an id gets one of its own. */
  async #unshare(pool: string): Promise<void> {
    const report = await this.#ask((engine) => Promise.resolve(engine.isolation(pool)));
    for (const { id, isolated } of report?.agents ?? []) {
      if (!isolated) await this.#ask((engine) => engine.changeAgent(id, { toolSessionId: `of ${id}` }));
    }
  }

  /** Undefined when it was not done, or nobody knows; looked at again another time. */
  async #ask<T>(ask: (engine: LocalEngine) => Promise<T>): Promise<T | undefined> {
    try {
      return await this.#scene.call(ask);
    } catch (error) {
      if (error instanceof Unreachable || error instanceof Lost || isPoolError(error)) return undefined;
      throw error;
    }
  }
}
