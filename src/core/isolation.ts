/** What no two agents may share, and who does all the same: an index by id, so that every change of an agent costs the same. */
import type { AgentId, PoolId } from "../base/ids.ts";
import type { AgentIdentity, Isolation } from "./agent.ts";

/** The ids that belong to one agent of the namespace. */
export const ISOLATED = ["contextWindowId", "toolSessionId", "memoryHandleId"] as const;
export type IsolatedField = (typeof ISOLATED)[number];

/** Breaches that have ended and are remembered, the latest. */
export const HISTORY_LIMIT = 1_000;
/** Agents that one breach names. */
export const NAMED_LIMIT = 100;

/** One id in the hands of several agents, from the second that got it to the last but one that let go of it. */
export interface Breach {
  readonly field: IsolatedField;
  readonly value: string;
  /** All who took part, the first `NAMED_LIMIT`. */
  readonly agents: readonly { readonly id: AgentId; readonly name: string; readonly pool: PoolId }[];
  readonly sinceMs: number;
  /** Absent while it goes on. */
  readonly untilMs?: number | undefined;
}

type Holder = Pick<AgentIdentity, "id" | "name" | "pool">;

/** Who has an id, and the breach as long as that is more than one. */
interface Holding {
  readonly agents: Map<AgentId, Holder>;
  breach: Breach | undefined;
}

export class IsolationBook {
  readonly #holdings = new Map<string, Holding>();
  readonly #isolations = new Map<AgentId, Isolation>();
  /** In how many fields an agent collides with others; those that do in none are not there. */
  readonly #collisions = new Map<AgentId, number>();
  readonly #ended: Breach[] = [];

  /**
   * The agent has these ids from now on; none with undefined.
   *
   * @returns agents that may have become breached, or ceased to be
   */
  set(holder: Holder, isolation: Isolation | undefined, nowMs: number): Set<AgentId> {
    const affected = new Set<AgentId>([holder.id]);
    const before = this.#isolations.get(holder.id);
    for (const field of ISOLATED) {
      const [had, has] = [before?.[field], isolation?.[field]];
      if (had === has) continue;
      if (had !== undefined) this.#letGo(holder, { field, value: had, nowMs }, affected);
      if (has !== undefined) this.#take(holder, { field, value: has, nowMs }, affected);
    }
    if (isolation === undefined) this.#isolations.delete(holder.id);
    else this.#isolations.set(holder.id, isolation);
    return affected;
  }

  isBreached(id: AgentId): boolean {
    return this.#collisions.has(id);
  }

  /** Who has the same as this agent, and what: the first `limit` of each field. */
  othersOf(id: AgentId, limit: number): ReadonlyMap<AgentId, { name: string; pool: PoolId; fields: IsolatedField[] }> {
    const others = new Map<AgentId, { name: string; pool: PoolId; fields: IsolatedField[] }>();
    for (const field of ISOLATED) {
      let named = 0;
      for (const other of this.#holdingOf(field, this.#isolations.get(id)?.[field])?.agents.values() ?? []) {
        if (other.id === id) continue;
        if (++named > limit) break;
        const known = others.get(other.id);
        if (known === undefined) others.set(other.id, { name: other.name, pool: other.pool, fields: [field] });
        else known.fields.push(field);
      }
    }
    return others;
  }

  /** Breaches that have ended, oldest first, and then those that go on. */
  *breaches(): Iterable<Breach> {
    yield* this.#ended;
    for (const { breach } of this.#holdings.values()) if (breach !== undefined) yield breach;
  }

  #holdingOf(field: IsolatedField, value: string | undefined): Holding | undefined {
    return value === undefined ? undefined : this.#holdings.get(keyOf(field, value));
  }

  #take(
    holder: Holder,
    { field, value, nowMs }: { field: IsolatedField; value: string; nowMs: number },
    affected: Set<AgentId>,
  ): void {
    const key = keyOf(field, value);
    const holding = this.#holdings.get(key) ?? { agents: new Map(), breach: undefined };
    this.#holdings.set(key, holding);
    const [first] = holding.agents.values();
    holding.agents.set(holder.id, holder);
    if (first === undefined) return;
    this.#collides(holder.id, 1);
    if (holding.breach === undefined) {
      holding.breach = { field, value, agents: [named(first), named(holder)], sinceMs: nowMs };
      this.#collides(first.id, 1);
      affected.add(first.id);
    } else if (
      holding.breach.agents.length < NAMED_LIMIT &&
      !holding.breach.agents.some(({ id }) => id === holder.id)
    ) {
      holding.breach = { ...holding.breach, agents: [...holding.breach.agents, named(holder)] };
    }
  }

  #letGo(
    { id }: Holder,
    { field, value, nowMs }: { field: IsolatedField; value: string; nowMs: number },
    affected: Set<AgentId>,
  ): void {
    const key = keyOf(field, value);
    const holding = this.#holdings.get(key);
    if (holding === undefined) return;
    holding.agents.delete(id);
    if (holding.breach !== undefined) this.#collides(id, -1);
    if (holding.agents.size === 0) this.#holdings.delete(key);
    const [last] = holding.agents.values();
    if (holding.agents.size !== 1 || holding.breach === undefined || last === undefined) return;
    this.#ended.push({ ...holding.breach, untilMs: nowMs });
    if (this.#ended.length > HISTORY_LIMIT) this.#ended.shift();
    holding.breach = undefined;
    this.#collides(last.id, -1);
    affected.add(last.id);
  }

  #collides(id: AgentId, by: 1 | -1): void {
    const count = (this.#collisions.get(id) ?? 0) + by;
    if (count === 0) this.#collisions.delete(id);
    else this.#collisions.set(id, count);
  }
}

const keyOf = (field: IsolatedField, value: string): string => `${field} ${value}`;
const named = ({ id, name, pool }: Holder): Breach["agents"][number] => ({ id, name, pool });
