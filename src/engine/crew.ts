/** The agents of this host: their drivers, the runs on them, and the checks that keep them honest. */

import type { AgentDriver, AttemptTask, RunEnd } from "../agents/agent.ts";
import type { Classify } from "../agents/agent-error.ts";
import { commandDriver } from "../agents/command.ts";
import { daemonDriver } from "../agents/daemon.ts";
import { type AgentFunction, functionDriver } from "../agents/function.ts";
import { RESULT_LIMIT_BYTES } from "../agents/run-end.ts";
import { openWarden, type Warden } from "../agents/warden.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { isPoolError } from "../base/errors.ts";
import type { AgentId } from "../base/ids.ts";
import { IntMap } from "../base/int-map.ts";
import { encodeJson, type Json } from "../base/json.ts";
import type { Entropy } from "../base/random.ts";
import type { Agent } from "../core/agent.ts";
import type { Command, RunHere } from "../core/command.ts";
import type { LeasedAttempt } from "../core/effect.ts";
import type { Outcome } from "../core/outcome.ts";
import type { NamespaceState } from "../core/state.ts";
import { templateOf } from "../core/template.ts";
import { CrewRun, type RunListener } from "./crew-run.ts";
import type { LogEvent } from "./engine-options.ts";
import { NOTHING_KNOWN } from "./stubs.ts";

/** A larger result ends the attempt with blame `task`. */
const RESULT_LIMIT = { limitBytes: RESULT_LIMIT_BYTES, path: "result" } as const;

export interface CrewOptions {
  readonly state: NamespaceState;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly dataDir: string;
  readonly functions: ReadonlyMap<string, AgentFunction>;
  /** What pools say of errors, by pool. */
  readonly classifiers: ReadonlyMap<string, Classify>;
  /** Asked before the built-in kinds. */
  readonly drivers?: ((identity: Agent["identity"]) => AgentDriver | undefined) | undefined;
  readonly tell: (command: Command) => void;
  /** An agent had better be started anew once it is empty. */
  readonly recycle: (id: AgentId) => void;
  /** A result that a report is about to bring. */
  readonly keepResult: (fence: number, result: string) => void;
  readonly log: (event: LogEvent) => void;
}

interface Member {
  readonly driver: AgentDriver;
  readonly listener: RunListener;
  probing: Timer | undefined;
  /** What its driver has told last, since it was asked to start. */
  state: "down" | "starting" | "up";
  /** It is to be started anew, or is on the way. */
  isWorn: boolean;
}

/** The key of `functions`: an agent's name, or the place of its entry when that has none. */
export function functionKey(pool: string, agent: string | number): string {
  // No pool's id is empty, so that the two can't meet.
  return typeof agent === "number" ? `\n${pool}\n${agent}` : `${pool}\n${agent}`;
}

/** Who has the same number in a pool has the same port and directory. */
const placeOf = ({ identity }: { identity: Pick<Agent["identity"], "pool" | "ordinal"> }): string =>
  `${identity.pool}\n${identity.ordinal}`;

export class Crew {
  readonly #options: CrewOptions;
  readonly #members = new Map<AgentId, Member>();
  readonly #runs = new IntMap<CrewRun>();
  /** Those that are being stopped for good, by their place. */
  readonly #dismissing = new Map<string, Promise<void>>();
  #warden: Promise<Warden> | undefined;
  #vouching: Timer | undefined;
  #closed = false;

  constructor(options: CrewOptions) {
    this.#options = options;
    this.#vouchLater();
  }

  driver(id: AgentId): AgentDriver | undefined {
    return this.#members.get(id)?.driver;
  }

  /** Brings an agent up, for the first time or again; of one that is up it is told once more. */
  async start(id: AgentId): Promise<void> {
    const agent = this.#options.state.agents.get(id);
    if (agent === undefined || this.#closed) return;
    // Who had its number before may still hold port and directory.
    await this.#dismissing.get(placeOf(agent));
    if (!this.#options.state.agents.has(id) || this.#closed) return;
    const member = this.#members.get(id) ?? (await this.#hire(agent));
    if (member === undefined) return;
    const { tell } = this.#options;
    if (member.state === "up") tell({ type: "agent_ready", agentId: id });
    if (member.state !== "down") return;
    member.state = "starting";
    member.driver.start({
      ready: () => {
        member.state = "up";
        member.isWorn = false;
        tell({ type: "agent_ready", agentId: id });
        this.#probeLater(id, member);
      },
      exited: (exit) => {
        member.state = "down";
        member.probing?.cancel();
        tell({ type: "agent_exited", agentId: id, exit });
      },
    });
  }

  async #hire({ identity }: Agent): Promise<Member | undefined> {
    const driver = await this.#driverFor(identity);
    if (driver === undefined || this.#closed) return undefined;
    const listener: RunListener = {
      progressed: (run, value) => this.#progressed(run, value),
      ended: (run, end) => {
        this.#ended(run, end);
        if (driver.worn !== undefined) this.#recycleWorn(identity.id, member);
      },
    };
    const member: Member = { driver, listener, probing: undefined, state: "down", isWorn: false };
    this.#members.set(identity.id, member);
    return member;
  }

  async #driverFor(identity: Agent["identity"]): Promise<AgentDriver | undefined> {
    const { state, functions, classifiers, drivers, dataDir, clock, entropy, log } = this.#options;
    const own = drivers?.(identity);
    if (own !== undefined) return own;
    if (identity.kind === "function") {
      const { entry = -1 } = identity;
      const named = functions.get(functionKey(identity.pool, identity.name));
      const run = named ?? functions.get(functionKey(identity.pool, entry));
      const agent = identity.name;
      const classify: Classify = (error) => classifiers.get(identity.pool)?.(error);
      const say = (message: string): void => log({ level: "info", event: "agent.log", agent, message });
      // Kept from an earlier start: its function comes with the next `createPool`.
      return run === undefined ? undefined : functionDriver(identity, run, { log: say, classify });
    }
    const pool = state.pools.get(identity.pool);
    const template = pool === undefined ? undefined : templateOf(pool, identity);
    if (pool === undefined || template === undefined) return undefined;
    this.#warden ??= openWarden({ clock, entropy });
    const warden = await this.#warden;
    const dir = `${dataDir}/agents`;
    const context = { env: template.env, stopMs: pool.options.stopMs, dir, clock, entropy, warden };
    if (template.daemon !== undefined) return daemonDriver(identity, template.daemon, context);
    if (template.command !== undefined) return commandDriver(identity, template.command, context);
    return undefined;
  }

  /** Ends its process; the driver tells of the death. */
  kill(id: AgentId, reason: string): void {
    this.#options.log({ level: "warn", event: "agent.killed", agentId: id, reason });
    void this.#members.get(id)?.driver.close();
  }

  /** Stops it, to be started anew; kinds without a process of their own have no death to tell. */
  async stopAgent(id: AgentId): Promise<void> {
    const member = this.#members.get(id);
    member?.probing?.cancel();
    await member?.driver.close();
    if (member?.state === "up") member.state = "down";
    this.#options.tell({ type: "agent_stopped", agentId: id });
  }

  /** It was removed. */
  async dismiss(id: AgentId): Promise<void> {
    const member = this.#members.get(id);
    if (member === undefined) return;
    this.#members.delete(id);
    member.probing?.cancel();
    const place = placeOf(member.driver);
    const closing = member.driver.close();
    this.#dismissing.set(place, closing);
    await closing;
    if (this.#dismissing.get(place) === closing) this.#dismissing.delete(place);
  }

  /** Resolves when whoever had this number in the pool, and was removed, has let go of port and directory. */
  async gone(pool: Agent["identity"]["pool"], ordinal: number): Promise<void> {
    await this.#dismissing.get(placeOf({ identity: { pool, ordinal } }));
  }

  /** Runs an attempt, which begins at `startedAtMs`; its end is told as a report. */
  run(leased: LeasedAttempt, task: AttemptTask, startedAtMs: number): void {
    const member = this.#members.get(leased.agentId);
    if (member === undefined) {
      const error = { code: "released", message: "its agent is not here" };
      this.#report(leased, { name: "released", error });
      return;
    }
    const run = new CrewRun(leased, task, startedAtMs, member.listener);
    this.#runs.set(leased.fence, run);
    member.driver.run(run);
  }

  /** After the report of its last attempt, so that it is given no other. */
  #recycleWorn(agentId: AgentId, member: Member): void {
    const reason = member.isWorn || member.state !== "up" ? undefined : member.driver.worn?.();
    if (reason === undefined) return;
    member.isWorn = true;
    this.#options.log({ level: "info", event: "agent.recycled", agentId, reason });
    this.#options.recycle(agentId);
  }

  #progressed({ leased: { taskId, fence } }: CrewRun, progress: Json): void {
    if (this.#runs.has(fence)) this.#options.tell({ type: "progress", taskId, fence, progress });
  }

  #ended({ leased, startedAtMs }: CrewRun, end: RunEnd): void {
    this.#runs.delete(leased.fence);
    this.#report(leased, this.#outcomeOf(leased.fence, end), startedAtMs);
  }

  /** Runs that have not ended yet. */
  here(): RunHere[] {
    return [...this.#runs.values()].map(({ leased: { agentId, taskId, fence }, startedAtMs }) => {
      return { agentId, taskId, fence, startedAtMs, isOver: false };
    });
  }

  /** The state is that of a new term: whom it does not know is let go. */
  review(): void {
    for (const id of this.#members.keys()) if (!this.#options.state.agents.has(id)) void this.dismiss(id);
  }

  /** The task is no longer the run's own. */
  stop(fence: number): void {
    this.#runs.get(fence)?.stop();
  }

  #report({ agentId, taskId, fence }: LeasedAttempt, outcome: Outcome, startedAtMs?: number): void {
    this.#options.tell({ type: "report", agentId, taskId, fence, outcome, known: NOTHING_KNOWN, startedAtMs });
  }

  #outcomeOf(fence: number, end: RunEnd): Outcome {
    if (!("result" in end)) return end.outcome;
    try {
      const result = encodeJson(end.result ?? null, RESULT_LIMIT);
      this.#options.keepResult(fence, result);
      return { name: "succeeded", resultBytes: result.length, usage: end.outcome.usage };
    } catch (error) {
      if (!isPoolError(error)) throw error;
      return { name: "failed", blame: "task", error: { code: error.code, message: error.message } };
    }
  }

  /** Every so often each agent that runs something is vouched for, or not. */
  #vouchLater(): void {
    const { state, clock, tell } = this.#options;
    let everyMs = 10_000;
    for (const pool of state.pools.values()) everyMs = Math.min(everyMs, pool.options.lease.renewMs);
    this.#vouching?.cancel();
    this.#vouching = clock.timer(everyMs, () => {
      for (const [agentId, { driver }] of this.#members) {
        if ((state.agents.get(agentId)?.runs.size ?? 0) > 0 && driver.alive()) tell({ type: "agent_alive", agentId });
      }
      this.#vouchLater();
    });
  }

  /** A pool came whose leases may have to be renewed more often. */
  poolCame(): void {
    if (!this.#closed) this.#vouchLater();
  }

  #probeLater(agentId: AgentId, member: Member): void {
    const { state, clock } = this.#options;
    const agent = state.agents.get(agentId);
    const pool = agent === undefined ? undefined : state.pools.get(agent.identity.pool);
    const { driver } = member;
    if (agent === undefined || pool === undefined || driver.probe === undefined || this.#closed) return;
    const probe = templateOf(pool, agent.identity)?.probe ?? pool.options.probe;
    if (probe === false) return;
    member.probing?.cancel();
    member.probing = clock.timer(probe.intervalMs, () => {
      void this.#probe(agentId, driver, probe.timeoutMs).then(() => {
        if (this.#members.get(agentId) !== member) return;
        this.#recycleWorn(agentId, member);
        this.#probeLater(agentId, member);
      });
    });
  }

  async #probe(agentId: AgentId, driver: AgentDriver, timeoutMs: number): Promise<void> {
    const { clock, tell } = this.#options;
    const control = new AbortController();
    const limit = clock.timer(timeoutMs, () => control.abort());
    const good = await (driver.probe?.(control.signal) ?? true);
    limit.cancel();
    tell({ type: "agent_probed", agentId, good });
  }

  /** Stops every agent and then the warden. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#vouching?.cancel();
    for (const run of this.#runs.values()) run.stop();
    const members = [...this.#members.values()];
    this.#members.clear();
    for (const member of members) member.probing?.cancel();
    await Promise.all(members.map(({ driver }) => driver.close()));
    await (await this.#warden)?.close();
  }
}
