/** One agent of a pool, in the hand of whoever runs it. */
import type { LocalEngine } from "../engine.ts";
import type { AgentChangeInput } from "../options/agent.ts";
import type { FailedAgent, LogPage, StopOptions } from "../troupe.ts";
import type { AgentView } from "../view.ts";

/** Every method rejects with `not_found` once the agent is gone. */
export interface PoolAgent {
  readonly id: string;
  view(): AgentView;
  /** What is not named stays. Slots that are taken away while they are in use run out. */
  change(change: AgentChangeInput): Promise<AgentView>;
  /** The capability counts for what tasks require from now on, never for their type. */
  verify(capability: string): Promise<AgentView>;
  /** It is unhealthy until `recover`; what runs on it is lost and tried elsewhere. */
  fail(reason?: string): Promise<FailedAgent>;
  /** It takes no more work until `recover`; what runs on it goes on. */
  drain(): Promise<AgentView>;
  /** Takes back `fail` and `drain`. */
  recover(): Promise<AgentView>;
  /** Forgets what its work has said of it; an open breaker becomes half-open. */
  reset(): Promise<AgentView>;
  /** Drains it for `timeoutMs` (30 s) and starts it anew, without its memory; resolves once that is under way. */
  restart(options?: Pick<StopOptions, "timeoutMs">): Promise<AgentView>;
  /** It finishes what it has for `timeoutMs` (30 s); what is left goes to others. Then it is gone. */
  remove(options?: StopOptions): Promise<{ released: number }>;
  /** What it has written, the last of it; with `after`, whole lines after that many. */
  logs(options?: { after?: number | undefined }): LogPage;
}

export function poolAgent(engine: LocalEngine, id: string): PoolAgent {
  return {
    id,
    view: () => engine.agent(id),
    change: (change) => engine.changeAgent(id, change),
    verify: (capability) => engine.verifyCapability(id, capability),
    fail: (reason) => engine.failAgent(id, reason),
    drain: () => engine.drainAgent(id),
    recover: () => engine.recoverAgent(id),
    reset: () => engine.resetAgent(id),
    restart: (options) => engine.restartAgent(id, options),
    remove: (options) => engine.removeAgent(id, options),
    logs: (options) => engine.logs(id, options),
  };
}
