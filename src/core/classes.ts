/** The kinds of work of one pool: what waits of each, who may serve it, and whether a gate holds it. */
import type { Lane, WorkClass } from "./lane.ts";
import type { Group } from "./seats.ts";
import { classKey, type ServiceClass } from "./service-class.ts";
import { againstKind } from "./standing.ts";

/** Kinds of work that may wait in one pool at a time. */
export const CLASS_LIMIT = 10_000;

export class Classes {
  readonly #classes = new Map<string, WorkClass>();
  readonly #byType = new Map<string, Set<WorkClass>>();
  readonly #heldTypes: ReadonlyMap<string, unknown>;
  readonly #groups: () => Iterable<Group>;
  #gated = 0;

  /**
   * @param heldTypes - types that closed gates hold; whoever changes it says so by `review`
   * @param groups - those that a new class may be served by
   */
  constructor(heldTypes: ReadonlyMap<string, unknown>, groups: () => Iterable<Group>) {
    this.#heldTypes = heldTypes;
    this.#groups = groups;
  }

  /** Tasks that wait because a closed gate holds their type. */
  get gated(): number {
    return this.#gated;
  }

  holds(type: string): boolean {
    return this.#heldTypes.has(type);
  }

  /**
   * A gate that holds the type may have opened or closed. Says which lanes changed; true when tasks may be
   * offered that were held.
   */
  review(type: string, publish: (lane: Lane) => void): boolean {
    const held = this.holds(type);
    let released = false;
    for (const entry of this.#byType.get(type) ?? []) {
      if (entry.held === held) continue;
      entry.held = held;
      this.#gated += held ? entry.size : -entry.size;
      released ||= !held && entry.size > 0;
      for (const lane of entry.lanes.values()) publish(lane);
    }
    return released;
  }

  /** A task joins or leaves the lane. */
  count(lane: Lane, by: 1 | -1): void {
    const { serviceClass } = lane;
    serviceClass.size += by;
    if (serviceClass.held) this.#gated += by;
  }

  /** Lanes in which somebody waits, in no order. */
  *lanes(): Iterable<Lane> {
    for (const entry of this.#classes.values()) for (const lane of entry.lanes.values()) if (lane.size > 0) yield lane;
  }

  /** False when a task of this class, after those of the `planned` classes, would be of one kind too many. */
  hasRoomFor(wanted: string, planned: ReadonlySet<string>): boolean {
    if (this.#classes.size + planned.size < CLASS_LIMIT) return true;
    if (this.#classes.has(wanted) || planned.has(wanted)) return true;
    for (const [key, entry] of this.#classes) {
      if (entry.size > 0) continue;
      this.#classes.delete(key);
      this.#unfile(entry);
    }
    let added = 0;
    for (const key of planned) if (!this.#classes.has(key)) added += 1;
    return this.#classes.size + added < CLASS_LIMIT;
  }

  of({ type, requires }: Pick<ServiceClass, "type" | "requires">): WorkClass {
    const key = classKey(type, requires);
    let entry = this.#classes.get(key);
    if (entry === undefined) {
      entry = { key, type, requires, held: this.holds(type), size: 0, groups: [], lanes: new Map(), plain: [] };
      entry.groups = [...this.#groups()].filter(
        ({ profile }) => againstKind(profile, { type, requires }) === undefined,
      );
      this.#classes.set(key, entry);
      const alike = this.#byType.get(type);
      if (alike === undefined) this.#byType.set(type, new Set([entry]));
      else alike.add(entry);
    }
    return entry;
  }

  #unfile(entry: WorkClass): void {
    const alike = this.#byType.get(entry.type);
    alike?.delete(entry);
    if (alike?.size === 0) this.#byType.delete(entry.type);
  }

  all(): Iterable<WorkClass> {
    return this.#classes.values();
  }
}
