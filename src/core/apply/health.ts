/** What all sources say of an agent's health, made one word. */
import { begin } from "../../policies/balancer/slow-start.ts";
import type { Agent, Health, HealthSource } from "../agent.ts";
import { type NamespaceState, poolOf } from "../state.ts";

export function hear(
  agent: Agent,
  { source, health, reason }: { source: HealthSource; health: Health; reason: string },
  nowMs: number,
): void {
  const before = agent.health;
  const findings = new Map(agent.findings);
  findings.delete(source);
  if (health !== "healthy") findings.set(source, { health, reason });
  judge(agent, findings);
  if (before === "unhealthy" && agent.health !== "unhealthy") agent.warming = begin(nowMs);
}

export function hearOperator(agent: Agent, nowMs: number): void {
  const { failed } = agent.identity;
  hear(
    agent,
    { source: "operator", health: failed === undefined ? "healthy" : "unhealthy", reason: failed ?? "" },
    nowMs,
  );
}

/** The worst word counts. */
export function judge(agent: Agent, findings: Agent["findings"]): void {
  const all = [...findings.values()];
  const worst = all.find(({ health }) => health === "unhealthy") ?? all[0];
  agent.findings = findings;
  agent.health = worst?.health ?? "healthy";
  agent.healthReason = worst?.reason ?? "";
}

/** Only outcomes that speak against an agent need be forgotten in time. */
export function forgetInTime(state: NamespaceState, agent: Agent): void {
  const { health } = poolOf(state, agent.identity.pool).options;
  if (health === false || !agent.findings.has("passive")) return;
  const { oldestAtMs } = agent.outcomes;
  if (oldestAtMs === undefined) return;
  state.due.add({ kind: "recheck", atMs: oldestAtMs + health.maxAgeMs + 1, agentId: agent.identity.id });
}
