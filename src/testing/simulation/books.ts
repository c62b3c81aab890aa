/** The auditor's books: what is known of tasks, pools and agents, by the log alone. */
import type { AgentIdentity } from "../../core/agent.ts";
import type { Gate } from "../../core/gate.ts";
import type { AuditedPool, AuditedSchedule, AuditedTask, AuditTools } from "./audited.ts";
import * as budget from "./budget.ts";
import type { Ended } from "./ended.ts";
import { Deaths } from "./suspicion.ts";

export class Books {
  readonly tools: AuditTools;
  readonly tasks = new Map<string, AuditedTask>();
  readonly agents = new Map<string, AgentIdentity>();
  readonly pools = new Map<string, AuditedPool>();
  readonly gates = new Map<string, Gate>();
  readonly schedules = new Map<string, AuditedSchedule>();
  /** Attempts by agent, oldest first. */
  readonly ended = new Map<string, Ended[]>();
  /** Every key that was admitted, and every id. */
  readonly keys = new Map<string, string>();
  open = 0;
  attempts = 0;
  events = 0;
  settledTwice = 0;
  lastFence = 0;
  lastNum = 0;
  /** Of the commit that is looked at. */
  atMs = 0;
  deaths = new Deaths();

  constructor(tools: AuditTools) {
    this.tools = tools;
  }

  holds(condition: boolean, shouldHold: string): void {
    if (!condition) this.tools.violate(shouldHold);
  }

  task(id: string): AuditedTask | undefined {
    const task = this.tasks.get(id);
    this.holds(task !== undefined, `task ${id} was submitted before anything else happens to it`);
    return task;
  }

  unfinished(): string {
    const open = [...this.tasks].filter(([, task]) => task.state !== "settled");
    const some = open.slice(0, 3).map(([id, { state, reason, spec, agentId }]) => {
      const where = state === "leased" ? `to ${this.agents.get(agentId)?.name}` : `for ${reason}`;
      return `${id} of ${spec.pool} is ${state} ${where}`;
    });
    return `${open.length} tasks are open: ${some.join(", ")}`;
  }

  /** Leases that an agent holds. */
  runningOn(agentId: string): number {
    let count = 0;
    for (const task of this.tasks.values()) if (task.state === "leased" && task.agentId === agentId) count += 1;
    return count;
  }

  /** Slots that nobody uses: somebody was let in because of them, and did not get them after all. */
  idleSlots(pool: string): number {
    let slots = 0;
    for (const [id, agent] of this.agents) if (agent.pool === pool) slots += agent.concurrency - this.runningOn(id);
    return slots;
  }

  /** Takes the task out of the count of those that wait as it does. */
  leave(task: AuditedTask): void {
    this.count(task, -1);
    task.reason = "";
  }

  rest(task: AuditedTask, resting: { readonly reason: string; readonly untilMs?: number }): void {
    task.state = "waiting";
    task.reason = resting.reason;
    task.untilMs = resting.untilMs ?? 0;
    this.count(task, 1);
    const pool = this.pools.get(task.spec.pool);
    if (task.reason === "agent" && pool !== undefined) budget.goesOn(task, pool, this.atMs, this.tools);
  }

  count(task: AuditedTask, by: 1 | -1): void {
    const pool = this.pools.get(task.spec.pool);
    this.holds(pool !== undefined, `the pool of task ${task.spec.id} exists`);
    if (pool === undefined) return;
    if (task.reason === "agent") {
      pool.waiting += by;
      if (isHeldByGate(this, task.spec.type)) pool.gated += by;
    } else if (task.reason === "dependencies") pool.blocked += by;
    else if (task.reason === "delay") pool.delayed += by;
  }
}

/** A closed gate holds tasks of the type. */
export function isHeldByGate({ gates }: Pick<Books, "gates">, type: string): boolean {
  for (const { available, holds } of gates.values()) if (!available && holds.includes(type)) return true;
  return false;
}
