/** The tenants of one pool: their lanes, and who has spent what it may. */
import type { Lane } from "./lane.ts";

export class Tenants {
  readonly #lanes = new Map<string, Set<Lane>>();
  readonly #held = new Set<string>();

  holds(tenant: string | undefined): boolean {
    return tenant !== undefined && this.#held.has(tenant);
  }

  /** False when nothing changes. */
  hold(tenant: string, held: boolean): boolean {
    if (this.#held.has(tenant) === held) return false;
    if (held) this.#held.add(tenant);
    else this.#held.delete(tenant);
    return true;
  }

  lanesOf(tenant: string): Iterable<Lane> {
    return this.#lanes.get(tenant) ?? [];
  }

  add(lane: Lane): void {
    if (lane.tenant === undefined) return;
    const lanes = this.#lanes.get(lane.tenant);
    if (lanes === undefined) this.#lanes.set(lane.tenant, new Set([lane]));
    else lanes.add(lane);
  }

  remove(lane: Lane): void {
    if (lane.tenant === undefined) return;
    const lanes = this.#lanes.get(lane.tenant);
    lanes?.delete(lane);
    if (lanes?.size === 0) this.#lanes.delete(lane.tenant);
  }
}
