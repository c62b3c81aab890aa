/**
 * An auditor of the event log: reads every commit that was kept, and nothing else, and knows by itself what may
 * follow what. Shares no rule with the core, so that a wrong rule there is seen here.
 */
import type { DurableEvent } from "../../core/event.ts";
import type { Commit } from "../../stores/store.ts";
import type { AuditTools } from "./audited.ts";
import { Books, isHeldByGate } from "./books.ts";
import { Bounds, checkBounds } from "./bounds.ts";
import * as budget from "./budget.ts";
import * as end from "./end-audit.ts";
import * as life from "./life-audit.ts";
import { scheduled } from "./schedule-audit.ts";
import * as size from "./size-audit.ts";
import * as spend from "./spend-audit.ts";
import { Deaths, spare } from "./suspicion.ts";

export class Audit {
  readonly books: Books;
  #lastSeq = 0;

  constructor(tools: AuditTools) {
    this.books = new Books(tools);
  }

  commit(commit: Commit): void {
    this.books.holds(commit.firstSeq === this.#lastSeq + 1, `commit ${commit.firstSeq} follows event ${this.#lastSeq}`);
    this.#lastSeq = commit.firstSeq + commit.events.length - 1;
    const before = new Map([...this.books.pools].map(([id, pool]) => [id, { ...pool }]));
    const bounds = new Bounds();
    this.books.atMs = commit.atMs;
    this.books.deaths = new Deaths();
    for (const event of commit.events) {
      this.books.events += 1;
      this.#see(event, commit.atMs, bounds);
    }
    size.checkSizes(this.books);
    this.books.deaths.check(this.books.agents, this.books.tools);
    // What a start settles lies between the deaths that it finds and the next.
    if (commit.events.some(({ type }) => type === "task.settled")) spare(this.books.tasks.values());
    if (this.books.tools.disturbed()) return;
    const queues = {
      before,
      now: this.books.pools,
      idleSlots: (pool: string) => this.books.idleSlots(pool),
      isHeld: (type: string) => isHeldByGate(this.books, type),
    };
    checkBounds(bounds, queues, this.books.tools);
  }

  /** Another engine begins. */
  started(): void {
    for (const pool of this.books.pools.values()) pool.scaledAtMs = undefined;
    budget.renew(this.books.pools.values(), this.books.tasks.values());
  }

  #see(event: DurableEvent, atMs: number, bounds: Bounds): void {
    switch (event.type) {
      case "pool.created":
        this.books.pools.set(event.pool, {
          options: event.options,
          waiting: 0,
          blocked: 0,
          delayed: 0,
          gated: 0,
          mode: "running",
          firsts: [],
          retries: [],
          spending: new Map(),
          size: undefined,
          scaledAtMs: undefined,
        });
        break;
      case "pool.changed": {
        const pool = this.books.pools.get(event.pool);
        if (pool !== undefined) pool.options = event.options;
        break;
      }
      case "pool.deleted": {
        for (const [id, task] of this.books.tasks) {
          this.books.holds(
            task.spec.pool !== event.pool || task.state === "settled",
            `task ${id} ends before its pool goes`,
          );
        }
        this.books.pools.delete(event.pool);
        break;
      }
      case "pool.mode":
        this.#mode(event);
        break;
      case "pool.scaled":
        size.scaled(this.books, event);
        break;
      case "gate.changed":
        this.#gate(event, bounds);
        break;
      case "agent.added":
      case "agent.changed":
        this.books.agents.set(event.agent.id, event.agent);
        break;
      case "agent.removed":
        this.books.holds(this.books.runningOn(event.agentId) === 0, `agent ${event.agentId} goes without any lease`);
        this.books.agents.delete(event.agentId);
        break;
      case "task.submitted":
        life.submitted(this.books, event, bounds);
        break;
      case "task.waiting":
        life.waiting(this.books, event, bounds);
        break;
      case "task.deadline_near":
        life.near(this.books, event);
        break;
      case "task.dependency_met":
        life.met(this.books, event);
        break;
      case "task.leased":
        life.leased(this.books, event, atMs);
        break;
      case "task.started":
        this.books.holds(
          this.books.task(event.taskId)?.fence === event.fence,
          `task ${event.taskId} starts under its lease`,
        );
        break;
      case "attempt.ended":
        end.attemptEnded(this.books, event, bounds);
        break;
      case "task.settled":
        end.settled(this.books, event);
        break;
      case "task.replayed":
        life.replayed(this.books, event, bounds);
        break;
      case "spend.freed":
        spend.freed(this.books, event);
        break;
      case "schedule.created":
      case "schedule.deleted":
      case "schedule.paused":
      case "schedule.fired":
      case "schedule.refused":
      case "schedule.skipped":
      case "schedule.missed":
        scheduled(this.books, event);
        break;
      case "dead_letter.dropped":
        life.dropped(this.books, event.id);
        break;
      case "task.spared": {
        const task = this.books.task(event.taskId);
        if (task !== undefined) task.engineDeathsInARow = 0;
        break;
      }
      case "payload.quarantined":
        this.books.holds(
          this.books.task(event.by)?.status === "failed",
          `task ${event.by} failed before its payload is refused`,
        );
        break;
      case "tasks.retired":
      case "payload.released":
        break;
      default:
        event satisfies never;
    }
  }

  #mode({ pool: id, mode }: Extract<DurableEvent, { type: "pool.mode" }>): void {
    const pool = this.books.pools.get(id);
    if (pool === undefined) return;
    pool.mode = mode;
    if (mode === "paused" && pool.waiting > 0) this.books.tools.reach("a pool was paused with tasks waiting");
  }

  #gate({ gate }: Extract<DurableEvent, { type: "gate.changed" }>, bounds: Bounds): void {
    this.books.gates.set(gate.name, gate);
    bounds.gatesMoved = true;
    const before = new Map([...this.books.pools].map(([id, { gated }]) => [id, gated]));
    for (const pool of this.books.pools.values()) pool.gated = 0;
    for (const { state, reason, spec } of this.books.tasks.values()) {
      const pool = this.books.pools.get(spec.pool);
      const isHeld = state === "waiting" && reason === "agent" && isHeldByGate(this.books, spec.type);
      if (pool !== undefined && isHeld) pool.gated += 1;
    }
    for (const [id, { gated }] of this.books.pools) {
      const opened = (before.get(id) ?? 0) - gated;
      if (opened > 0) this.books.tools.reach("a gate opened for tasks that waited");
      if (opened < 0) this.books.tools.reach("a gate closed on tasks that waited");
      for (let n = 0; n < opened; n++) bounds.returned(id);
    }
    if (gate.reason === "it failed") this.books.tools.reach("an attempt closed the gate that it blamed");
  }
}
