/** Looks at the engine's state after every step in which it made a turn. */
import { messageOf } from "../../base/errors.ts";
import { checkInvariants } from "../../core/invariants.ts";
import { spentOf, WHOLE_POOL } from "../../core/spend.ts";
import type { NamespaceState } from "../../core/state.ts";
import { endsOn } from "./ended.ts";
import type { Scene } from "./scene.ts";
import type { Term } from "./term.ts";
import { Watch } from "./watch.ts";
import { workLeft } from "./work-left.ts";

export class Sight {
  readonly #scene: Scene;
  readonly #watch: Watch;
  readonly #quarantined = new Set<string>();
  readonly #toBeReplaced = new Set<string>();
  #seenPasses = 0;

  constructor(scene: Scene) {
    this.#scene = scene;
    this.#watch = new Watch(scene, (agentId, state) => endsOn(agentId, scene.audit, state));
  }

  /** Another process begins. */
  begins(): void {
    this.#seenPasses = 0;
  }

  /** Another engine begins. */
  termBegins(): void {
    this.#watch.started();
  }

  look(term: Term | undefined): void {
    const engine = term?.engine;
    const passes = term?.clock.passes ?? 0;
    if (engine === undefined || passes === this.#seenPasses) return;
    this.#seenPasses = passes;
    const { state } = engine;
    try {
      checkInvariants(state);
    } catch (error) {
      this.#scene.violate(messageOf(error));
    }
    if (term?.clock.isHeldUp === true) return;
    this.#watch.look(state, engine.nowMs());
    const left = workLeft(state, engine.nowMs());
    if (left !== undefined) this.#scene.violate(left);
    this.#replaced(state);
    this.#reach(state);
  }

  /** Where they are replaced nobody stays who works badly; a process that is told to end tells of it in its own time. */
  #replaced({ agents, pools, draining }: NamespaceState): void {
    if (draining !== undefined) return;
    for (const { identity, lifecycle, health, replaceAtMs } of agents.values()) {
      const { name, kind, pool, failed, dismissed } = identity;
      if (pools.get(pool)?.options.onUnhealthy !== "replace" || kind === "remote" || kind === "daemon") continue;
      if (lifecycle !== "ready" || health !== "unhealthy" || failed !== undefined || dismissed) continue;
      if (replaceAtMs === undefined) this.#scene.violate(`agent ${name}, which works badly, is to be replaced`);
    }
  }

  #reach({ agents, pools, epoch }: NamespaceState): void {
    const { reach } = this.#scene;
    for (const pool of pools.values()) {
      if (spentOf(pool, WHOLE_POOL) !== undefined) reach("a pool had nothing left to spend");
    }
    for (const [id, { lifecycle, health, cooldownUntilMs, stats, identity, replaceAtMs }] of agents) {
      const incarnation = `${epoch} ${id}`;
      if (replaceAtMs !== undefined) this.#toBeReplaced.add(incarnation);
      else if (lifecycle === "restarting" && this.#toBeReplaced.delete(incarnation)) {
        reach("an agent that worked badly was replaced");
      }
      if (lifecycle === "quarantined") {
        reach("an agent was quarantined");
        this.#quarantined.add(id);
      } else if (lifecycle === "ready" && this.#quarantined.has(id)) reach("a quarantined agent came back");
      if (health === "unhealthy") reach("an agent was unhealthy by its probes");
      if (lifecycle === "crashed" && identity.kind === "remote") reach("a silent agent was taken for dead");
      if (cooldownUntilMs > 0) reach("an agent rested after throttling");
      if (stats.abandoned > 0) reach("a slot was abandoned");
    }
  }
}
