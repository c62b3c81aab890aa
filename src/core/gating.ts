/** Gates open and close: by an operator's word, by their probes, by attempts that blame a dependency. */
import { PoolError } from "../base/errors.ts";
import { type Command, DONE, type Reply } from "./command.ts";
import { GATE_LIMIT, type Gate } from "./gate.ts";
import type { Outcome } from "./outcome.ts";
import type { NamespaceState } from "./state.ts";
import type { Turn } from "./turn.ts";

/** The operator's word: it stands until a probe or an attempt says otherwise. What is not given stays as it was. */
export function setGate(state: NamespaceState, command: Extract<Command, { type: "set_gate" }>, turn: Turn): Reply {
  const { name, available, holds, probe } = command;
  const known = state.gates.get(name);
  if (known === undefined && state.gates.size >= GATE_LIMIT) {
    throw new PoolError("invalid", `name: there are ${GATE_LIMIT} gates already`, { details: { path: "name" } });
  }
  const isSame = known !== undefined && known.available === available;
  const gate: Gate = {
    name,
    holds: holds ?? known?.holds ?? [],
    available,
    reason: available ? "" : isSame ? known.reason : "closed by an operator",
    probe: probe === undefined ? known?.probe : (probe ?? undefined),
    changedAtMs: isSame ? known.changedAtMs : turn.nowMs,
  };
  turn.record({ type: "gate.changed", gate });
  turn.request({ type: "watch_gate", name });
  return DONE;
}

/** A probe tells how the dependency is. Says nothing when that is known. */
export function gateProbed(
  state: NamespaceState,
  command: Extract<Command, { type: "gate_probed" }>,
  turn: Turn,
): Reply {
  turnGate(state, command.name, command, turn);
  return DONE;
}

function turnGate(
  state: NamespaceState,
  name: string,
  { available, reason }: { readonly available: boolean; readonly reason: string },
  turn: Turn,
): void {
  const gate = state.gates.get(name);
  if (gate === undefined || gate.available === available) return;
  const changed = { ...gate, available, reason: available ? "" : reason, changedAtMs: turn.nowMs };
  turn.record({ type: "gate.changed", gate: changed });
  turn.request({ type: "watch_gate", name });
}

/** An attempt that blames a dependency closes the gate that it names in `details.gate`. */
export function closeBlamed(state: NamespaceState, outcome: Outcome, turn: Turn): void {
  if (outcome.name !== "failed" || outcome.blame !== "dependency") return;
  const { details, message } = outcome.error;
  if (typeof details !== "object" || details === null || Array.isArray(details)) return;
  const { gate } = details as { readonly gate?: unknown };
  if (typeof gate === "string") turnGate(state, gate, { available: false, reason: message }, turn);
}
