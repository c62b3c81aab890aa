/**
 * An auditor of the event log: reads every commit that was kept, and nothing else, and knows by itself what may
 * follow what. Shares no rule with the core, so that a wrong rule there is seen here.
 */
import type { AgentIdentity } from "../../core/agent.ts";
import type { DurableEvent } from "../../core/event.ts";
import type { Gate } from "../../core/gate.ts";
import type { Attempt } from "../../core/task.ts";
import type { Commit } from "../../stores/store.ts";
import { type AuditedPool, type AuditedTask, type AuditTools, isHeldByGate } from "./audited.ts";
import { Bounds, checkBounds } from "./bounds.ts";
import * as budget from "./budget.ts";
import { type Ended, endOf } from "./ended.ts";
import { checkOrder } from "./order.ts";
import { checkPermission } from "./permission.ts";
import { attemptEnded, checkGoesOn, checkPoisoned, Deaths, spare } from "./suspicion.ts";

export class Audit {
  readonly tasks = new Map<string, AuditedTask>();
  readonly agents = new Map<string, AgentIdentity>();
  readonly pools = new Map<string, AuditedPool>();
  readonly gates = new Map<string, Gate>();
  /** Attempts by agent, oldest first. */
  readonly ended = new Map<string, Ended[]>();
  /** Every key that was admitted, and every id. */
  readonly keys = new Map<string, string>();
  open = 0;
  attempts = 0;
  events = 0;
  settledTwice = 0;
  readonly #tools: AuditTools;
  #lastSeq = 0;
  #lastFence = 0;
  #lastNum = 0;
  #atMs = 0;
  #deaths = new Deaths();

  constructor(tools: AuditTools) {
    this.#tools = tools;
  }

  commit(commit: Commit): void {
    this.#holds(commit.firstSeq === this.#lastSeq + 1, `commit ${commit.firstSeq} follows event ${this.#lastSeq}`);
    this.#lastSeq = commit.firstSeq + commit.events.length - 1;
    const before = new Map([...this.pools].map(([id, pool]) => [id, { ...pool }]));
    const bounds = new Bounds();
    this.#atMs = commit.atMs;
    this.#deaths = new Deaths();
    for (const event of commit.events) {
      this.events += 1;
      this.#see(event, commit.atMs, bounds);
    }
    this.#deaths.check(this.agents, this.#tools);
    // What a start settles lies between the deaths that it finds and the next.
    if (commit.events.some(({ type }) => type === "task.settled")) spare(this.tasks.values());
    if (this.#tools.disturbed()) return;
    const queues = {
      before,
      now: this.pools,
      idleSlots: (pool: string) => this.#idleSlots(pool),
      isHeld: (type: string) => isHeldByGate(this, type),
    };
    checkBounds(bounds, queues, this.#tools);
  }

  /** Another engine begins. */
  started(): void {
    budget.renew(this.pools.values(), this.tasks.values());
  }

  #holds(condition: boolean, shouldHold: string): void {
    if (!condition) this.#tools.violate(shouldHold);
  }

  #see(event: DurableEvent, atMs: number, bounds: Bounds): void {
    switch (event.type) {
      case "pool.created":
        this.pools.set(event.pool, {
          options: event.options,
          waiting: 0,
          blocked: 0,
          delayed: 0,
          gated: 0,
          mode: "running",
          firsts: [],
          retries: [],
        });
        break;
      case "pool.changed": {
        const pool = this.pools.get(event.pool);
        if (pool !== undefined) pool.options = event.options;
        break;
      }
      case "pool.deleted": {
        for (const [id, task] of this.tasks) {
          this.#holds(
            task.spec.pool !== event.pool || task.state === "settled",
            `task ${id} ends before its pool goes`,
          );
        }
        this.pools.delete(event.pool);
        break;
      }
      case "pool.mode":
        this.#mode(event);
        break;
      case "pool.scaled":
        break;
      case "gate.changed":
        this.#gate(event, bounds);
        break;
      case "agent.added":
      case "agent.changed":
        this.agents.set(event.agent.id, event.agent);
        break;
      case "agent.removed":
        this.#holds(this.runningOn(event.agentId) === 0, `agent ${event.agentId} goes without any lease`);
        this.agents.delete(event.agentId);
        break;
      case "task.submitted":
        this.#submitted(event, bounds);
        break;
      case "task.waiting":
        this.#waiting(event, bounds);
        break;
      case "task.deadline_near":
        this.#near(event);
        break;
      case "task.dependency_met":
        this.#met(event);
        break;
      case "task.leased":
        this.#leased(event, atMs);
        break;
      case "task.started":
        this.#holds(this.#task(event.taskId)?.fence === event.fence, `task ${event.taskId} starts under its lease`);
        break;
      case "attempt.ended":
        this.#attemptEnded(event, bounds);
        break;
      case "task.settled":
        this.#settled(event);
        break;
      case "task.replayed":
        this.#replayed(event, bounds);
        break;
      case "spend.freed":
      case "schedule.created":
      case "schedule.deleted":
      case "schedule.paused":
      case "schedule.fired":
      case "schedule.refused":
      case "schedule.skipped":
      case "schedule.missed":
        break;
      case "dead_letter.dropped":
        this.#dropped(event.id);
        break;
      case "task.spared": {
        const task = this.#task(event.taskId);
        if (task !== undefined) task.engineDeathsInARow = 0;
        break;
      }
      case "payload.quarantined":
        this.#holds(this.#task(event.by)?.status === "failed", `task ${event.by} failed before its payload is refused`);
        break;
      case "tasks.retired":
      case "payload.released":
        break;
      default:
        event satisfies never;
    }
  }

  #mode({ pool: id, mode }: Extract<DurableEvent, { type: "pool.mode" }>): void {
    const pool = this.pools.get(id);
    if (pool === undefined) return;
    pool.mode = mode;
    if (mode === "paused" && pool.waiting > 0) this.#tools.reach("a pool was paused with tasks waiting");
  }

  #gate({ gate }: Extract<DurableEvent, { type: "gate.changed" }>, bounds: Bounds): void {
    this.gates.set(gate.name, gate);
    bounds.gatesMoved = true;
    const before = new Map([...this.pools].map(([id, { gated }]) => [id, gated]));
    for (const pool of this.pools.values()) pool.gated = 0;
    for (const { state, reason, spec } of this.tasks.values()) {
      const pool = this.pools.get(spec.pool);
      const isHeld = state === "waiting" && reason === "agent" && isHeldByGate(this, spec.type);
      if (pool !== undefined && isHeld) pool.gated += 1;
    }
    for (const [id, { gated }] of this.pools) {
      const opened = (before.get(id) ?? 0) - gated;
      if (opened > 0) this.#tools.reach("a gate opened for tasks that waited");
      if (opened < 0) this.#tools.reach("a gate closed on tasks that waited");
      for (let n = 0; n < opened; n++) bounds.returned(id);
    }
    if (gate.reason === "it failed") this.#tools.reach("an attempt closed the gate that it blamed");
  }

  #near({ taskId, priority }: Extract<DurableEvent, { type: "task.deadline_near" }>): void {
    const task = this.#task(taskId);
    if (task === undefined) return;
    this.#holds(task.state !== "settled", `task ${taskId} is open when its deadline comes near`);
    this.#holds(priority <= task.priority, `task ${taskId} does not become less urgent`);
    if (priority < task.priority && task.state === "waiting")
      this.#tools.reach("a task that waited became more urgent");
    task.priority = priority;
  }

  #dropped(id: string): void {
    const task = this.#task(id);
    if (task === undefined) return;
    this.#holds(task.deadLettered && task.state === "settled", `task ${id} is a dead letter when it is let go`);
    task.deadLettered = false;
  }

  #task(id: string): AuditedTask | undefined {
    const task = this.tasks.get(id);
    this.#holds(task !== undefined, `task ${id} was submitted before anything else happens to it`);
    return task;
  }

  /** Leases that an agent holds. */
  runningOn(agentId: string): number {
    let count = 0;
    for (const task of this.tasks.values()) if (task.state === "leased" && task.agentId === agentId) count += 1;
    return count;
  }

  // --- tasks ---

  #submitted(event: Extract<DurableEvent, { type: "task.submitted" }>, bounds: Bounds): void {
    const { num, spec, resting, waitsFor } = event;
    this.#holds(num > this.#lastNum, `task ${spec.id} has a number above ${this.#lastNum}`);
    this.#lastNum = Math.max(this.#lastNum, num);
    this.#holds(!this.tasks.has(spec.id), `task ${spec.id} is admitted once`);
    if (spec.idempotencyKey !== undefined) {
      this.#holds(!this.keys.has(spec.idempotencyKey), `key ${spec.idempotencyKey} admits one task`);
      this.keys.set(spec.idempotencyKey, spec.id);
    }
    const task: AuditedTask = {
      num,
      spec,
      priority: spec.priority,
      state: "waiting",
      reason: "",
      untilMs: 0,
      queuedAtMs: event.queuedAtMs,
      first: false,
      unmet: new Set(waitsFor),
      fence: 0,
      agentId: "",
      number: 0,
      charged: 0,
      refunds: 0,
      failed: [],
      again: false,
      replays: 0,
      status: "",
      isDue: false,
      attempts: new Map(),
      deadLettered: false,
      killers: undefined,
      engineDeaths: 0,
      engineDeathsInARow: 0,
      owes: false,
    };
    const mode = this.pools.get(spec.pool)?.mode;
    this.#holds(mode !== "draining", `pool ${spec.pool} takes nothing while it is drained`);
    this.tasks.set(spec.id, task);
    this.open += 1;
    this.#rest(task, resting);
    bounds.admitted(task);
  }

  /** Takes the task out of the count of those that wait as it does. */
  #leave(task: AuditedTask): void {
    this.#count(task, -1);
    task.reason = "";
  }

  #rest(task: AuditedTask, resting: { readonly reason: string; readonly untilMs?: number }): void {
    task.state = "waiting";
    task.reason = resting.reason;
    task.untilMs = resting.untilMs ?? 0;
    this.#count(task, 1);
    const pool = this.pools.get(task.spec.pool);
    if (task.reason === "agent" && pool !== undefined) budget.goesOn(task, pool, this.#atMs, this.#tools);
  }

  #count(task: AuditedTask, by: 1 | -1): void {
    const pool = this.pools.get(task.spec.pool);
    this.#holds(pool !== undefined, `the pool of task ${task.spec.id} exists`);
    if (pool === undefined) return;
    if (task.reason === "agent") {
      pool.waiting += by;
      if (isHeldByGate(this, task.spec.type)) pool.gated += by;
    } else if (task.reason === "dependencies") pool.blocked += by;
    else if (task.reason === "delay") pool.delayed += by;
  }

  #waiting({ taskId, resting, again }: Extract<DurableEvent, { type: "task.waiting" }>, bounds: Bounds): void {
    const task = this.#task(taskId);
    if (task === undefined) return;
    this.#holds(task.state === "waiting", `task ${taskId} waits for something else only while it waits`);
    if (resting.reason === "retry") this.#tools.reach("backoff, as nobody else could serve");
    this.#holds(task.unmet.size === 0, `task ${taskId} waits for ${resting.reason} after its dependencies`);
    if (task.reason === "delay" && (task.spec.runAtMs ?? 0) <= this.#atMs) task.isDue = true;
    this.#leave(task);
    this.#rest(task, resting);
    task.again = again;
    if (resting.reason === "agent") bounds.returned(task.spec.pool);
    if (resting.reason === "delay") bounds.released += 1;
  }

  #met({ taskId, dependency, failed }: Extract<DurableEvent, { type: "task.dependency_met" }>): void {
    const task = this.#task(taskId);
    const other = this.#task(dependency);
    if (task === undefined || other === undefined) return;
    this.#holds(other.state === "settled", `dependency ${dependency} of task ${taskId} has ended`);
    const isRun = task.spec.onDependencyFailure === "run";
    this.#holds(other.status === "completed" || isRun, `dependency ${dependency} of task ${taskId} has completed`);
    this.#holds(failed === (other.status !== "completed"), `task ${taskId} knows how dependency ${dependency} ended`);
    this.#holds(task.unmet.delete(dependency), `task ${taskId} is released once by dependency ${dependency}`);
  }

  #leased(event: Extract<DurableEvent, { type: "task.leased" }>, atMs: number): void {
    const { taskId, agentId, fence, number } = event;
    const task = this.#task(taskId);
    const agent = this.agents.get(agentId);
    this.attempts += 1;
    this.#holds(fence > this.#lastFence, `fence ${fence} is above ${this.#lastFence}`);
    this.#lastFence = Math.max(this.#lastFence, fence);
    if (task === undefined) return;
    this.#holds(
      task.state === "waiting" && task.reason === "agent",
      `task ${taskId} is leased while it waits for an agent`,
    );
    this.#holds(task.unmet.size === 0, `task ${taskId} is leased after its dependencies`);
    for (const id of task.spec.dependencies) {
      const other = this.tasks.get(id);
      const ended = other !== undefined && (other.status !== "" || other.replays > 0);
      this.#holds(ended, `task ${taskId} is leased after the end of ${id}`);
    }
    this.#holds(number === task.number + 1, `attempt ${number} of task ${taskId} follows ${task.number}`);
    this.#holds(
      task.charged < task.spec.maxAttempts,
      `task ${taskId} is executed at most ${task.spec.maxAttempts} times`,
    );
    this.#holds(
      (task.spec.deadlineAtMs ?? Number.POSITIVE_INFINITY) > atMs,
      `task ${taskId} begins before its deadline`,
    );
    this.#holds(task.isDue || (task.spec.runAtMs ?? 0) <= atMs, `task ${taskId} begins after its runAt`);
    this.#holds(agent?.pool === task.spec.pool, `agent ${agentId} of task ${taskId} is of its pool`);
    const wasFailed = task.failed.includes(agentId);
    this.#holds(!wasFailed || task.again, `task ${taskId} does not go back to ${agentId} without a backoff`);
    if (wasFailed) this.#tools.reach("an agent that had failed a task got it again");
    else if (task.failed.length > 0) this.#tools.reach("another agent took over after a failure");
    if (task.spec.preferredAgent !== undefined && task.spec.preferredAgent === agent?.name) {
      this.#tools.reach("a preferred agent was chosen");
    }
    const badDependency = task.spec.dependencies.some(
      (id) => (this.tasks.get(id)?.status ?? "completed") !== "completed",
    );
    if (badDependency && task.spec.onDependencyFailure === "run") {
      this.#tools.reach("a task ran although a dependency had failed");
    }
    if (agent !== undefined) {
      const room = this.runningOn(agentId) < agent.concurrency;
      this.#holds(room, `agent ${agentId} has at most ${agent.concurrency} leases`);
      checkPermission(this, { task, agent }, this.#tools);
      checkOrder(this, task, agent, this.#tools);
    }
    const pool = this.pools.get(task.spec.pool);
    if (pool !== undefined && task.charged + task.refunds + task.failed.length === 0) budget.began(pool, atMs);
    this.#leave(task);
    task.state = "leased";
    task.fence = fence;
    task.number = number;
    task.agentId = agentId;
  }

  #ended(
    task: AuditedTask,
    attempt: Attempt,
    { charged, exclude }: { readonly charged: boolean; readonly exclude: boolean },
    isPoisoned = false,
  ): void {
    const { id } = task.spec;
    this.#holds(task.state === "leased", `an attempt of task ${id} ends while it is leased`);
    this.#holds(attempt.fence === task.fence, `fence ${attempt.fence} ends task ${id}, ${task.fence} is its highest`);
    this.#holds(attempt.agentId === task.agentId, `the attempt of task ${id} ends on its agent`);
    task.attempts.set(attempt.fence, attempt);
    this.#keepEnd(attempt);
    if (charged) task.charged += 1;
    else if (attempt.outcome !== "throttled") task.refunds += 1;
    const limit = this.pools.get(task.spec.pool)?.options.retry.refundLimit ?? 0;
    const refundable = attempt.outcome === "released" || attempt.blame === "engine" || attempt.blame === "dependency";
    if (charged && refundable) this.#tools.reach("a refund beyond the limit was charged");
    const isCancelled = attempt.outcome === "cancelled";
    this.#holds(
      isCancelled || isPoisoned || task.refunds <= limit,
      `task ${id} is given back at most ${limit} times for free`,
    );
    this.#holds(
      charged || refundable || isCancelled || attempt.outcome === "throttled",
      `a ${attempt.outcome} attempt of ${id} is charged`,
    );
    this.#holds(!charged || attempt.outcome !== "throttled", `a throttled attempt of ${id} is never charged`);
    if (exclude && !task.failed.includes(attempt.agentId)) task.failed.push(attempt.agentId);
    const blamed = attempt.blame === "agent" || attempt.blame === "unknown";
    this.#holds(blamed === exclude, `blame ${attempt.blame} decides whether ${attempt.agentId} is excluded from ${id}`);
    this.#reachEnd(attempt);
  }

  #keepEnd(attempt: Attempt): void {
    const ended = this.ended.get(attempt.agentId) ?? [];
    ended.push(endOf(attempt));
    this.ended.set(attempt.agentId, ended);
  }

  #reachEnd({ outcome, error }: Attempt): void {
    const { reach } = this.#tools;
    if (outcome === "timed_out") reach("an attempt timed out");
    if (error?.code === "lease_expired") reach("a lease expired");
    if (error?.code === "agent_died") reach("an agent died with work on it");
    if (error?.code === "engine_died") reach("the engine died with attempts of its own");
    if (error?.code === "engine_stopped") reach("the engine gave back its attempts as it stopped");
    if (error?.message === "its agent never named it") reach("an attempt was given back as never named");
    if (error?.message.startsWith("the connection broke") === true) {
      reach("an attempt was given back as the claim's reply broke");
    }
  }

  #attemptEnded(event: Extract<DurableEvent, { type: "attempt.ended" }>, bounds: Bounds): void {
    const task = this.#task(event.taskId);
    const pool = this.pools.get(task?.spec.pool ?? "");
    if (task === undefined || pool === undefined) return;
    this.#ended(task, event.attempt, event);
    attemptEnded(task, event.attempt, event.kill, this.#deaths);
    checkGoesOn(task, pool, this.#tools);
    const { outcome } = event.attempt;
    task.owes = outcome === "failed" || outcome === "timed_out";
    this.#holds(task.charged < task.spec.maxAttempts, `task ${task.spec.id} ends with its last attempt`);
    this.#rest(task, event.resting);
    task.again = false;
    if (event.resting.reason === "agent") bounds.returned(task.spec.pool);
    else if (event.exclude) this.#tools.reach("backoff, as nobody else could serve");
  }

  #settled(event: Extract<DurableEvent, { type: "task.settled" }>): void {
    const task = this.#task(event.taskId);
    if (task === undefined) return;
    const { id } = task.spec;
    const { status, error, deadLettered } = event.settlement;
    if (task.state === "settled") {
      this.settledTwice += 1;
      this.#tools.violate(`task ${id} is settled once in a life`);
      return;
    }
    const ran = task.state === "leased";
    if (event.attempt !== undefined) {
      this.#ended(task, event.attempt, event, error?.code === "poisoned");
      attemptEnded(task, event.attempt, undefined, this.#deaths);
    } else this.#holds(!ran, `the running attempt of task ${id} ends with it`);
    if (error?.code === "poisoned") {
      const byEngine = typeof error.details === "object" && error.details !== null && "engineDeaths" in error.details;
      const pool = this.pools.get(task.spec.pool);
      if (pool !== undefined) checkPoisoned(task, pool, { attempt: event.attempt, byEngine }, this.#tools);
    }
    const succeeded = event.attempt?.outcome === "succeeded";
    this.#holds((status === "completed") === succeeded, `task ${id} completes by a success and by nothing else`);
    this.#holds(task.charged <= task.spec.maxAttempts, `task ${id} is executed at most ${task.spec.maxAttempts} times`);
    this.#holds(deadLettered === (status === "failed"), `task ${id} is a dead letter exactly when it failed`);
    this.#leave(task);
    task.state = "settled";
    task.status = status;
    task.deadLettered = deadLettered;
    this.open -= 1;
    this.#reachSettled(task, { ran, code: error?.code, blame: error?.blame });
  }

  #reachSettled(
    task: AuditedTask,
    { ran, code, blame }: { ran: boolean; code: string | undefined; blame: string | undefined },
  ): void {
    const { reach } = this.#tools;
    if (task.status === "cancelled" && ran) reach("a task was cancelled while it ran");
    if (code === "exhausted") reach("a task was exhausted");
    if (task.status === "failed" && blame === "task") reach("a failure of the task itself was final");
    if (code === "deadline_exceeded")
      reach(ran ? "a deadline passed while it ran" : "a deadline passed while it waited");
    if (code === "pool_deleted") reach("a pool was deleted with open tasks");
    if (task.status === "completed" && task.replays > 0) reach("a replayed task succeeded");
    if (code !== "dependency_failed") return;
    reach("a failure cascaded to a dependent");
    const deep = task.spec.dependencies.some(
      (id) => this.tasks.get(id)?.deadLettered === true && this.tasks.get(id)?.attempts.size === 0,
    );
    const cancelled = task.spec.dependencies.some(
      (id) => this.tasks.get(id)?.status === "cancelled" && this.tasks.get(id)?.spec.dependencies.length !== 0,
    );
    if (deep || cancelled) reach("a failure cascaded over two steps");
  }

  #replayed(event: Extract<DurableEvent, { type: "task.replayed" }>, bounds: Bounds): void {
    const { facts, atMs } = event;
    const task = this.#task(facts.spec.id);
    if (task === undefined) return;
    this.#holds(
      task.state === "settled" && task.deadLettered,
      `task ${facts.spec.id} is a dead letter when it is replayed`,
    );
    this.#holds(facts.lastFence === task.fence, `the replay of task ${facts.spec.id} knows its newest fence`);
    this.#tools.reach("a dead letter was replayed");
    task.spec = facts.spec;
    task.priority = facts.spec.priority;
    task.killers = undefined;
    task.engineDeaths = 0;
    task.engineDeathsInARow = 0;
    task.owes = false;
    if ((task.spec.deadlineAtMs ?? Number.POSITIVE_INFINITY) <= atMs)
      task.spec = { ...task.spec, deadlineAtMs: undefined };
    task.unmet.clear();
    for (const id of event.waitsFor) task.unmet.add(id);
    task.replays += 1;
    task.isDue = false;
    task.charged = 0;
    task.refunds = 0;
    task.failed = [];
    task.again = false;
    task.first = true;
    task.queuedAtMs = atMs;
    task.status = "";
    task.deadLettered = false;
    this.open += 1;
    this.#rest(task, event.resting);
    if (event.resting.reason === "agent") bounds.returned(task.spec.pool);
    if (event.resting.reason === "dependencies") bounds.blocked += 1;
    if (event.resting.reason === "delay") bounds.released += 1;
  }

  /** Slots that nobody uses: somebody was let in because of them, and did not get them after all. */
  #idleSlots(pool: string): number {
    let slots = 0;
    for (const [id, agent] of this.agents) if (agent.pool === pool) slots += agent.concurrency - this.runningOn(id);
    return slots;
  }
}
