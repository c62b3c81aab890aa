/** The agents of a call-through pool, in the order of joining. */
import { invalid, PoolError } from "../base/errors.ts";
import { ID_PATTERN } from "../base/ids.ts";
import { Member, type MemberRules } from "./member.ts";
import { checkKnown } from "./options.ts";

export interface AddAgentOptions {
  /** Share of the calls under `weighted`, 0 or more; 0 = never. 1 when absent. */
  readonly weight?: number | undefined;
  /** Lower goes first under `priority`. 0 when absent. */
  readonly priority?: number | undefined;
  /** Shown in the stats. */
  readonly metadata?: unknown;
  /** Calls at a time; any number when absent. */
  readonly concurrency?: number | undefined;
  /** Takes the place of an agent of the same id, with a clean record. */
  readonly replace?: boolean | undefined;
}

const FIELDS = ["weight", "priority", "metadata", "concurrency", "replace"];
/** Agents a pool may hold. */
const LIMIT = 10_000;

export class Roster<T> {
  readonly #rules: MemberRules;
  readonly #members = new Map<string, Member<T>>();
  readonly #metadata = new WeakMap<Member<T>, unknown>();
  #nextOrdinal = 0;

  constructor(rules: MemberRules) {
    this.#rules = rules;
  }

  get size(): number {
    return this.#members.size;
  }

  get all(): readonly Member<T>[] {
    return [...this.#members.values()];
  }

  get(id: string): Member<T> | undefined {
    return this.#members.get(id);
  }

  metadataOf(member: Member<T>): unknown {
    return this.#metadata.get(member);
  }

  add(id: string, agent: T, options: AddAgentOptions): void {
    const { weight = 1, priority = 0, metadata, concurrency, replace = false } = checked(id, options);
    const old = this.#members.get(id);
    if (old !== undefined && !replace) {
      throw new PoolError("duplicate_id", `there is an agent ${id} already`, { details: { id } });
    }
    if (old === undefined && this.size >= LIMIT) {
      throw new PoolError("no_capacity", `the pool holds ${LIMIT} agents`, { details: { limit: LIMIT } });
    }
    old?.detach();
    const ordinal = old?.ordinal ?? this.#nextOrdinal++;
    const member = new Member({ id, agent, ordinal, weight, priority, concurrency }, this.#rules);
    this.#members.set(id, member);
    this.#metadata.set(member, metadata);
  }

  remove(id: string): boolean {
    this.#members.get(id)?.detach();
    return this.#members.delete(id);
  }
}

function checked(id: string, options: AddAgentOptions): AddAgentOptions {
  checkKnown(options, FIELDS);
  const { weight = 1, priority = 0, concurrency = 1 } = options;
  if (typeof id !== "string" || !ID_PATTERN.test(id)) {
    throw invalid("id", "expected 1 to 128 letters, digits, '.', '_' or '-'");
  }
  if (!Number.isFinite(weight) || weight < 0) throw invalid("weight", "expected a finite number, 0 or more");
  if (!Number.isFinite(priority)) throw invalid("priority", "expected a finite number");
  if (!Number.isSafeInteger(concurrency) || concurrency < 1) {
    throw invalid("concurrency", "expected an integer of at least 1");
  }
  return options;
}
