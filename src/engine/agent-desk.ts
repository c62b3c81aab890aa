/** Agents are shown and administered: added, changed, drained, restarted, removed. */
import { checkAgents } from "../agents/preflight.ts";
import { invalid, PoolError } from "../base/errors.ts";
import { type AgentId, asAgentId } from "../base/ids.ts";
import type { Agent } from "../core/agent.ts";
import type { Command, Reply } from "../core/command.ts";
import { existingPool, type Frame, processOf } from "./frame.ts";
import { isolationView } from "./isolation.ts";
import type { Metrics } from "./metrics.ts";
import {
  type AgentChangeInput,
  agentChangeSchema,
  isProcess,
  type NewAgentInput,
  newAgentSchema,
  resolveNewAgent,
} from "./options/agent.ts";
import { parseWith } from "./options/parse.ts";
import { name } from "./options/words.ts";
import { agentView } from "./present-agent.ts";
import { agentsInOrder } from "./present-pool.ts";
import { isolationOf } from "./roll.ts";
import type { FailedAgent, LogPage, StopOptions } from "./troupe.ts";
import type { AgentView, IsolationView } from "./view.ts";

/** How long an agent that is removed or restarted may finish its work when nothing is said. */
const DRAIN_MS = 30_000;
/** How long a restart may take beyond the drain, besides what its options allow for stop and start. */
const SLACK_MS = 30_000;

export class AgentDesk {
  readonly #frame: Frame;
  readonly #metrics: Metrics;

  constructor(frame: Frame, metrics: Metrics) {
    this.#frame = frame;
    this.#metrics = metrics;
  }

  list(pool: string): AgentView[] {
    const { state } = this.#frame;
    return agentsInOrder(state, existingPool(state, pool)).map((agent) => this.#view(agent));
  }

  get(id: string): AgentView {
    return this.#view(this.#known(id));
  }

  isolation(pool: string): IsolationView {
    const { state, turnClock } = this.#frame;
    return isolationView(state, existingPool(state, pool), turnClock.now());
  }

  /** One more process agent; it comes up, or dies and is tried again, like those that came with the pool. */
  async add(poolId: string, input: NewAgentInput): Promise<AgentView> {
    const entry = parseWith(newAgentSchema, input);
    const { entropy, state } = this.#frame;
    const { id: pool, options, nextOrdinal } = existingPool(state, poolId);
    const like = options.agents.find(({ kind, name }) => kind === entry.kind && name === undefined);
    const called = entry.name ?? `${entry.kind}-${entropy.hex(8)}`;
    const template = { ...resolveNewAgent(entry, like ?? sameKind(options.agents, entry.kind), options), name: called };
    this.#refuseTooMany(poolId);
    await checkAgents([template], nextOrdinal).catch(atRoot);
    const { kind, capabilities, concurrency, weight, priority, metadata, rate } = template;
    const agent = {
      id: asAgentId(entry.id ?? entropy.uuid()),
      pool,
      name: called,
      isolation: isolationOf(entry, entropy),
      ...{ kind, capabilities, concurrency, weight, priority, metadata, rate },
    };
    await this.#frame.loop.ask({ type: "add_agent", agent, template });
    return this.get(agent.id);
  }

  #refuseTooMany(pool: string): void {
    const { state, limits } = this.#frame;
    const processes = agentsInOrder(state, existingPool(state, pool)).filter(({ identity }) =>
      isProcess(identity.kind),
    );
    if (processes.length < limits.maxProcesses) return;
    throw new PoolError("no_capacity", `pool ${pool} has ${processes.length} process agents, the limit`, {
      details: { path: "limits.maxProcesses", agents: processes.length, max: limits.maxProcesses },
    });
  }

  async change(id: string, input: AgentChangeInput): Promise<AgentView> {
    const { contextWindowId, toolSessionId, memoryHandleId, capabilities, ...rest } = parseWith(
      agentChangeSchema,
      input,
    );
    const named = { ...rest, capabilities: capabilities && [...new Set(capabilities)] };
    const change = { ...defined(named), isolation: defined({ contextWindowId, toolSessionId, memoryHandleId }) };
    await this.#ask({ type: "change_agent", agentId: asAgentId(id), change });
    return this.get(id);
  }

  async verify(id: string, capability: string): Promise<AgentView> {
    parseWith(name, capability, "capability");
    await this.#ask({ type: "verify_capability", agentId: asAgentId(id), capability });
    return this.get(id);
  }

  /** It finishes what it has, as long as it may; the rest goes to others. */
  async remove(id: string, { timeoutMs = DRAIN_MS, signal }: StopOptions = {}): Promise<{ released: number }> {
    const agentId = asAgentId(id);
    await this.#ask({ type: "drain_agent", agentId, keep: false });
    const isEmpty = (): boolean => (this.#frame.state.agents.get(agentId)?.runs.size ?? 0) === 0;
    await this.#frame.waiters.until(isEmpty, timeoutMs, signal);
    const reply = await this.#ask({ type: "remove_agent", agentId });
    return { released: reply.type === "removed" ? reply.released : 0 };
  }

  async fail(id: string, reason = "failed by an operator"): Promise<FailedAgent> {
    const reply = await this.#ask({ type: "fail_agent", agentId: asAgentId(id), reason });
    const [first] = reply.type === "agent_failed" ? reply.ended : [];
    const agent = this.get(id);
    if (first === undefined) return { agent, task: null };
    const { status, attempts } = await this.#frame.reader.task(first.taskId);
    const reassigned = attempts.some(({ number }) => number > first.number);
    return { agent, task: { id: first.taskId, status, reassigned, failedForGood: status === "failed" } };
  }

  async recover(id: string): Promise<AgentView> {
    await this.#ask({ type: "recover_agent", agentId: asAgentId(id) });
    return this.get(id);
  }

  async drain(id: string): Promise<AgentView> {
    await this.#ask({ type: "drain_agent", agentId: asAgentId(id), keep: true });
    return this.get(id);
  }

  async reset(id: string): Promise<AgentView> {
    await this.#ask({ type: "reset_agent", agentId: asAgentId(id) });
    this.#metrics.forgetAgent(asAgentId(id));
    return this.get(id);
  }

  /** Resolves once the restart is under way. */
  async restart(id: string, { timeoutMs = DRAIN_MS }: StopOptions = {}): Promise<AgentView> {
    const untilMs = this.#frame.turnClock.now() + timeoutMs;
    await this.#ask({ type: "restart_agent", agentId: asAgentId(id), untilMs });
    return this.get(id);
  }

  /** One after the other, so that the others go on serving; ends at the first that does not come back. */
  async restartPool(
    poolId: string,
    { timeoutMs = DRAIN_MS, signal }: StopOptions = {},
  ): Promise<{ restarted: number }> {
    const { state } = this.#frame;
    const ids = agentsInOrder(state, existingPool(state, poolId))
      .filter(({ identity }) => identity.kind !== "remote")
      .map(({ identity }) => identity.id);
    let restarted = 0;
    for (const id of ids) {
      if (signal?.aborted === true) break;
      if (await this.#restartOne(id, { timeoutMs, signal })) restarted += 1;
    }
    return { restarted };
  }

  /** False when it was removed meanwhile, or nobody waits any more. */
  async #restartOne(id: AgentId, { timeoutMs = DRAIN_MS, signal }: StopOptions): Promise<boolean> {
    const { state, waiters } = this.#frame;
    const before = state.agents.get(id)?.restarts;
    const pool = state.agents.get(id)?.identity.pool;
    if (before === undefined || pool === undefined) return false;
    await this.restart(id, { timeoutMs });
    const agent = (): Agent | undefined => state.agents.get(id);
    const isBack = (): boolean => {
      const now = agent();
      return now !== undefined && now.restarts > before && (now.lifecycle === "ready" || now.lifecycle === "draining");
    };
    const isDown = (): boolean => agent()?.lifecycle === "crashed" || agent()?.lifecycle === "quarantined";
    const over = (): boolean => agent() === undefined || isBack() || isDown();
    await waiters.until(over, timeoutMs + this.#turnaroundMs(pool), signal);
    if (isBack() || agent() === undefined) return agent() !== undefined;
    if (signal?.aborted === true) return false;
    const now = this.get(id);
    throw new PoolError("start_failed", `agent ${now.name} did not come back: it is ${now.lifecycle}`, {
      details: { agentId: id, reason: now.lastExit?.reason, logTail: now.lastExit?.logTail },
    });
  }

  /** How long a stop and a start may take. */
  #turnaroundMs(poolId: string): number {
    const { stopMs, abandonMs, agents } = existingPool(this.#frame.state, poolId).options;
    const readyMs = Math.max(0, ...agents.map(({ daemon }) => daemon?.readyTimeoutMs ?? 0));
    return stopMs + abandonMs + readyMs + SLACK_MS;
  }

  /** What it has written, the last of it; of one that has no process now, what its last one had written. */
  logs(id: string, { after }: { after?: number | undefined } = {}): LogPage {
    const agent = this.#known(id);
    const log = this.#frame.crew.driver(agent.identity.id)?.log;
    if (log === undefined) return { lines: agent.lastExit?.logTail ?? [], next: 0 };
    return { lines: after === undefined ? log.lines() : log.linesAfter(after), next: log.lineCount };
  }

  #known(id: string): Agent {
    const agent = this.#frame.state.agents.get(asAgentId(id));
    if (agent === undefined) throw new PoolError("not_found", `no agent ${id}`, { details: { agentId: id } });
    return agent;
  }

  #view(agent: Agent): AgentView {
    const { state, turnClock } = this.#frame;
    return agentView(state, agent, {
      nowMs: turnClock.now(),
      process: processOf(this.#frame, agent),
      counts: this.#metrics.ofAgent(agent.identity.id),
    });
  }

  #ask(command: Command): Promise<Reply> {
    return this.#frame.loop.ask(command);
  }
}

function sameKind<T extends { readonly kind: string }>(templates: readonly T[], kind: string): T | undefined {
  return templates.find((template) => template.kind === kind);
}

/** The entry stands by itself here, not in a list. */
function atRoot(error: unknown): never {
  if (!(error instanceof PoolError) || typeof error.details.path !== "string") throw error;
  const path = error.details.path.replace(/^agents\[0\]\./, "");
  throw invalid(path, error.message.replace(/^agents\[0\]\.[^:]*: /, ""));
}

/** Without what is undefined: that is what stays. */
function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as ReturnType<
    typeof defined<T>
  >;
}
