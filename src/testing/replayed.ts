/**
 * The durable part of a state, built a second time from its events alone. What a store keeps must be enough to say
 * where every task stands, so both must agree after every turn.
 */
import { isDeepStrictEqual } from "node:util";
import { assert } from "../base/assert.ts";
import type { TaskId } from "../base/ids.ts";
import { apply } from "../core/apply/apply.ts";
import type { DurableEvent } from "../core/event.ts";
import { type OpenFacts, openFacts, settledFacts } from "../core/record.ts";
import type { NamespaceState } from "../core/state.ts";
import type { Task } from "../core/task.ts";

export class Replayed {
  readonly state: NamespaceState;

  /** @param from - where the events begin: empty, or as restored from a store */
  constructor(from: NamespaceState) {
    this.state = from;
  }

  take(events: readonly DurableEvent[], nowMs: number): void {
    for (const event of events) apply(this.state, event, nowMs);
  }

  /** Compares pools, agents, fences and the tasks of `ids`: all that are open in either when it is absent. */
  check(live: NamespaceState, ids: Iterable<TaskId> = new Set([...openIds(live), ...openIds(this.state)])): void {
    for (const id of ids) checkTask(id, live, this.state);
    assert(live.lastNum === this.state.lastNum, "events give the admission number");
    assert(live.fences === this.state.fences, "events give the number of fences issued");
    same([...live.pools.keys()], [...this.state.pools.keys()], "pools");
    for (const [id, pool] of live.pools) {
      const other = this.state.pools.get(id);
      const facts = ({
        options,
        counts,
        totals,
        agentIds,
        nextOrdinal,
        lastOrdinal,
        createdAtMs,
        mode,
        quarantine,
        spending,
        deadLetters,
      }: typeof pool) => {
        return {
          options,
          counts,
          totals,
          agentIds: [...agentIds],
          nextOrdinal,
          lastOrdinal,
          createdAtMs,
          quarantine,
          spending,
          deadLetters,
          mode,
        };
      };
      same(facts(pool), other && facts(other), `pool ${id}`);
    }
    same([...live.schedules.values()], [...this.state.schedules.values()], "schedules");
    same([...live.gates.values()], [...this.state.gates.values()], "gates");
    same([...live.heldTypes].sort(), [...this.state.heldTypes].sort(), "held types");
    same([...live.agents.keys()].sort(), [...this.state.agents.keys()].sort(), "agents");
    for (const [id, { identity }] of live.agents) same(identity, this.state.agents.get(id)?.identity, `agent ${id}`);
  }
}

function* openIds(state: NamespaceState): Generator<TaskId> {
  for (const [id, { state: now }] of state.tasks) if (now.name !== "settled") yield id;
}

function checkTask(id: TaskId, live: NamespaceState, replayed: NamespaceState): void {
  const task = live.tasks.get(id);
  const again = replayed.tasks.get(id);
  // The core lets go of settled tasks; that is not an event that a store keeps.
  if (task === undefined && again?.state.name === "settled") return;
  same(task && durableFacts(task, live), again && durableFacts(again, live), `task ${id}`);
}

/** A store has one row per open task, and it says what the core says. */
export function checkStored(live: NamespaceState, stored: ReadonlyMap<TaskId, OpenFacts>): void {
  const open = [...openIds(live)];
  assert(open.length === stored.size, `the store has ${stored.size} open tasks, the core ${open.length}`);
  for (const id of open) {
    const row = stored.get(id);
    same(durableFacts(live.tasks.get(id) as Task, live), row && durableOpen(row, live), `the stored task ${id}`);
  }
}

function durableFacts(task: Task, live: NamespaceState): unknown {
  return task.state.name === "settled" ? settledFacts(task) : durableOpen(openFacts(task), live);
}

/** Renewals are volatile, and so is the start of an attempt that would die with the engine. */
function durableOpen(facts: OpenFacts, { agents }: NamespaceState): unknown {
  if (facts.state.name !== "leased") return facts;
  const { expiresAtMs, startedAtMs, ...lease } = facts.state.lease;
  const remote = agents.get(lease.agentId)?.identity.kind === "remote";
  return { ...facts, state: { name: "leased", lease: remote ? { ...lease, startedAtMs } : lease } };
}

function same(live: unknown, replayed: unknown, what: string): void {
  assert(
    isDeepStrictEqual(live, replayed),
    `events give the same facts of ${what}: ${JSON.stringify(live)}; by events ${JSON.stringify(replayed)}`,
  );
}
