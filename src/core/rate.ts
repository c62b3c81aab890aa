/** Limits per minute of an agent, or of all agents that share a key. Starts anew with the engine. */
import type { AgentId } from "../base/ids.ts";
import { RateWindow } from "../policies/rate-window.ts";

export interface RateOptions {
  /** Attempts that may begin in a minute. Undefined = any number. */
  readonly requestsPerMinute?: number | undefined;
  /** Tokens that attempts may report in a minute; what is over delays the next. Undefined = any number. */
  readonly tokensPerMinute?: number | undefined;
  /** Agents with the same key share one limit, in all pools. Undefined = the agent's own. */
  readonly key?: string | undefined;
}

export class Rate {
  readonly #options: RateOptions;
  readonly #requests = new RateWindow();
  readonly #tokens = new RateWindow();
  /** Who shares it. */
  readonly agentIds = new Set<AgentId>();

  constructor(options: RateOptions) {
    this.#options = options;
  }

  /** When the next attempt may begin; `nowMs` if at once. */
  roomAtMs(nowMs: number): number {
    const { requestsPerMinute: requests, tokensPerMinute: tokens } = this.#options;
    return Math.max(
      requests === undefined ? nowMs : this.#requests.freeAtMs(requests, nowMs),
      tokens === undefined ? nowMs : this.#tokens.freeAtMs(tokens, nowMs),
    );
  }

  begin(nowMs: number): void {
    this.#requests.add(1, nowMs);
  }

  spend(tokens: number, nowMs: number): void {
    this.#tokens.add(tokens, nowMs);
  }
}
