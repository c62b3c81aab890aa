/**
 * Watches breakers and health from outside, turn by turn: what they hold is volatile, so no log tells of it. Knows what
 * attempts came to by the auditor's books, and counts for itself.
 */
import type { Agent } from "../../core/agent.ts";
import type { NamespaceState } from "../../core/state.ts";
import type { Breaker } from "../../policies/breaker/breaker.ts";
import type { BreakerOptions } from "../../policies/breaker/options.ts";
import type { AuditTools } from "./audited.ts";
import type { Ended } from "./ended.ts";

/** A look comes a little after what it sees. Milliseconds. */
const SLACK_MS = 20;

/** An agent as it was at the last look. */
interface Seen {
  readonly breaker: Breaker;
  readonly lifecycle: Agent["lifecycle"];
  /** New with every spawn, also with one that took no time. */
  readonly incarnation: string;
  /** The newest fence there was then, in the namespace. */
  readonly fence: number;
  readonly passive: boolean;
  /** Fences above it belong to what the breaker counts now: its generation began after them. */
  readonly since: number;
  /** Outcomes before it are forgotten: it came up anew, or its breaker closed. */
  readonly freshFromMs: number;
}

export class Watch {
  readonly #tools: Pick<AuditTools, "violate" | "reach">;
  readonly #endsOn: (agentId: string, state: NamespaceState) => readonly Ended[];
  #seen = new Map<string, Seen>();
  #nowMs = 0;

  #endedOn: (agentId: string) => readonly Ended[] = () => [];

  /** @param endsOn - attempts of an agent that have ended, oldest first */
  constructor(
    tools: Pick<AuditTools, "violate" | "reach">,
    endsOn: (agentId: string, state: NamespaceState) => readonly Ended[],
  ) {
    this.#tools = tools;
    this.#endsOn = endsOn;
  }

  /** Another engine begins: breakers and health start anew. */
  started(): void {
    this.#seen = new Map();
  }

  /** After a turn, or several of one instant. */
  look(state: NamespaceState, nowMs: number): void {
    this.#nowMs = nowMs;
    this.#endedOn = (agentId) => this.#endsOn(agentId, state);
    const newestFence = state.epoch * 2 ** 32 + state.fences;
    const seen = new Map<string, Seen>();
    for (const [id, agent] of state.agents) {
      const options = state.pools.get(agent.identity.pool)?.options;
      const before = this.#seen.get(id);
      if (options === undefined) continue;
      if (options.breaker !== false) this.#breaker(agent, before, options.breaker);
      const { lifecycle } = agent;
      const incarnation = agent.isolation.contextWindowId;
      const isNew = before?.lifecycle !== lifecycle || before.incarnation !== incarnation;
      const moved = before?.breaker.generation !== agent.breaker.generation;
      const passive = agent.findings.get("passive")?.health === "unhealthy";
      seen.set(id, {
        breaker: agent.breaker,
        lifecycle,
        incarnation,
        fence: newestFence,
        passive,
        since: moved ? (before?.fence ?? 0) : before.since,
        freshFromMs: isNew || moved ? nowMs : before.freshFromMs,
      });
      this.#health(agent, seen.get(id) as Seen, options.health);
    }
    this.#seen = seen;
  }

  #holds(condition: boolean, shouldHold: string): void {
    if (!condition) this.#tools.violate(shouldHold);
  }

  // --- breakers (I13) ---

  #breaker({ identity, breaker, runs }: Agent, before: Seen | undefined, options: BreakerOptions): void {
    const { name } = identity;
    const { reach } = this.#tools;
    if (breaker.name === "closed") {
      const { length, failures, inARow } = breaker.outcomes;
      const counts = [length, failures, inARow, length - failures].every((count) => count >= 0);
      this.#holds(
        counts && length <= options.window,
        `the breaker of ${name} counts at most its window, and no less than 0`,
      );
    }
    if (breaker.name === "half_open") {
      const out = breaker.leases.filter(({ expiresAtMs }) => expiresAtMs > this.#nowMs);
      this.#holds(out.length <= options.permits, `the breaker of ${name} lets ${options.permits} through at a time`);
      if (breaker.leases.length > out.length) reach("a permit was handed out for a call that hung");
    }
    if (before === undefined) return;
    const moves = breaker.generation - before.breaker.generation;
    // A run that was stopped at once has given its permit back already.
    const fresh = [...runs.values()].filter(({ fence, orphaned }) => fence > before.fence && !orphaned);
    if (moves === 0 && breaker.name === "open") {
      this.#holds(fresh.length === 0, `agent ${name} is given nothing while its breaker is open`);
    }
    if (moves === 0 && breaker.name === "half_open") {
      const numbers = new Set(breaker.leases.map(({ number }) => number));
      const permitted = fresh.every(
        ({ permit }) => permit.generation === breaker.generation && numbers.has(permit.number),
      );
      this.#holds(permitted, `agent ${name} is given nothing without a permit while its breaker is half-open`);
    }
    if (moves === 1) this.#moved(identity, before, breaker, options);
  }

  /** One change of state since the last look: it must have had a cause. */
  #moved(
    { id, name }: Agent["identity"],
    { breaker: was, since }: Seen,
    breaker: Breaker,
    options: BreakerOptions,
  ): void {
    const { reach } = this.#tools;
    const ended = this.#endedOn(id).filter(({ fence }) => fence > since);
    // One that comes up anew begins with a closed breaker.
    if (breaker.name === "closed" && breaker.sinceMs === undefined) return;
    if (was.name === "half_open" && breaker.name === "closed") {
      reach("a breaker closed by the work that it let through");
      const good = ended.filter(({ good }) => good).length;
      this.#holds(
        good >= options.successes,
        `the breaker of ${name} closes by ${options.successes} calls that it let through`,
      );
    }
    if (was.name === "half_open" && breaker.name === "open") {
      reach("a breaker opened again");
      this.#holds(
        ended.some(({ bad }) => bad),
        `the breaker of ${name} opens again by a call that it let through`,
      );
    }
    if (was.name === "open" && breaker.name === "half_open") {
      const isEarly = breaker.generation > 0 && this.#nowMs < was.untilMs;
      if (isEarly) reach("a breaker was half-open before its time");
    }
    if (was.name !== "closed" || breaker.name !== "open") return;
    reach(breaker.reason === "ratio" ? "a breaker opened by its ratio" : "a breaker opened by failures in a row");
    const recent = ended.filter(
      ({ atMs, good, bad }) => (good || bad) && atMs >= this.#nowMs - options.maxAgeMs - SLACK_MS,
    );
    const failures = recent.filter(({ bad }) => bad).length;
    if (breaker.reason === "ratio") {
      const most = recent.length >= options.minimum && failures >= options.minimum * (options.ratio ?? 1);
      this.#holds(
        most,
        `the breaker of ${name} opens by at least ${options.minimum} outcomes of the last ${options.maxAgeMs} ms`,
      );
    }
    const waitsMs = breaker.untilMs - this.#nowMs;
    const longestMs = Math.min(options.capMs, options.openMs * options.factor ** (breaker.times - 1));
    this.#holds(waitsMs <= longestMs, `the breaker of ${name} is open for at most ${longestMs} ms, not ${waitsMs}`);
  }

  // --- health ---

  #health(
    { identity, health, findings, breaker, stats }: Agent,
    { passive, freshFromMs }: Seen,
    options: { readonly consecutive?: number | undefined; readonly maxAgeMs: number; readonly window: number } | false,
  ): void {
    const { id, name, failed } = identity;
    this.#holds(
      failed === undefined || health === "unhealthy",
      `agent ${name} is unhealthy until its operator recovers it`,
    );
    for (const { health: found } of findings.values()) {
      this.#holds(
        found !== "unhealthy" || health === "unhealthy",
        `agent ${name} is as healthy as the worst word on it`,
      );
    }
    if (passive) this.#tools.reach("an agent was unhealthy by its work");
    if (options === false || options.consecutive === undefined || breaker.name !== "closed") return;
    const { consecutive, maxAgeMs } = options;
    if (passive || stats.consecutiveFailures < consecutive) return;
    const fromMs = Math.max(freshFromMs + 1, this.#nowMs - maxAgeMs);
    const last = this.#endedOn(id)
      .filter(({ good, bad }) => good || bad)
      .slice(-consecutive);
    const inARow =
      last.length === consecutive && last.every(({ atMs, bad, isSure }) => bad && isSure && atMs >= fromMs);
    this.#holds(!inARow, `agent ${name} is unhealthy after ${consecutive} failures in a row`);
  }
}
