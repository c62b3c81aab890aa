/** Looks at the engine's state after every step in which it made a turn. */
import { messageOf } from "../../base/errors.ts";
import { checkInvariants } from "../../core/invariants.ts";
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
    this.#reach(state);
  }

  #reach({ agents }: NamespaceState): void {
    const { reach } = this.#scene;
    for (const [id, { lifecycle, health, cooldownUntilMs, stats, identity }] of agents) {
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
