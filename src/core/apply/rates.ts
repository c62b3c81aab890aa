/** Agents with a limit per minute, alone or by a key that they share. */
import type { AgentId } from "../../base/ids.ts";
import type { AgentIdentity } from "../agent.ts";
import { Rate } from "../rate.ts";
import { agentOf, type NamespaceState } from "../state.ts";
import { refresh } from "./seat.ts";

export function rateOf(state: NamespaceState, { id, rate: options }: AgentIdentity): Rate | undefined {
  leaveRate(state, id);
  if (options === undefined) return undefined;
  const key = options.key === undefined ? `agent ${id}` : `key ${options.key}`;
  const rate = state.rates.get(key) ?? new Rate(options);
  rate.agentIds.add(id);
  state.rates.set(key, rate);
  return rate;
}

export function leaveRate(state: NamespaceState, id: AgentId): void {
  for (const [key, rate] of state.rates) {
    if (rate.agentIds.delete(id) && rate.agentIds.size === 0) state.rates.delete(key);
  }
}

/** Something of the rate was used: those who share it are looked at now, and again when there is room. */
export function usedRate(state: NamespaceState, rate: Rate, nowMs: number): void {
  const atMs = rate.roomAtMs(nowMs);
  if (atMs <= nowMs) return;
  for (const agentId of rate.agentIds) {
    refresh(state, agentOf(state, agentId), nowMs);
    state.due.add({ kind: "recheck", atMs, agentId });
  }
}
