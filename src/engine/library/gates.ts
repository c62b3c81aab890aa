/** Gates in the library: their probes may be functions. */
import type { LocalEngine } from "../engine.ts";
import type { GateFunction } from "../gate-desk.ts";
import { GATE_PROBE_DEFAULTS } from "../gate-options.ts";
import type { GateView } from "../view.ts";
import { without } from "./open.ts";

/** A gate in the library: its probe may be a function of this process. */
export interface GateOptions {
  /** Types that wait while it is closed; as they were when absent. */
  readonly holds?: readonly string[] | undefined;
  /** Stands until the probe says otherwise. Absent: as it was, open at first; a function is asked at once. */
  readonly available?: boolean | undefined;
  /** A URL that the engine polls, or a function that says whether the dependency is there. */
  readonly probe?: string | GateFunction | undefined;
  /** Between two questions; 10 s. Milliseconds. */
  readonly intervalMs?: number | undefined;
  /** Without an answer for so long the gate closes; 2 s. Milliseconds. */
  readonly timeoutMs?: number | undefined;
}

/** What holds types of task back while something they need is away. */
export interface Gates {
  /** Makes or changes one. */
  gate(name: string, options?: GateOptions): Promise<GateView>;
  gates(): GateView[];
}

export function gateOf(engine: LocalEngine, name: string, options: GateOptions = {}): Promise<GateView> {
  const { holds, available, probe, intervalMs, timeoutMs } = { ...GATE_PROBE_DEFAULTS, ...without(options) };
  const gate = { holds: holds && [...holds] };
  if (typeof probe === "function")
    return engine.watchGate(name, { ask: probe, intervalMs, timeoutMs }, { ...gate, ...without({ available }) });
  const known = engine.gates().find((other) => other.name === name);
  const polled = probe === undefined ? {} : { probe: { url: probe, intervalMs, timeoutMs } };
  return engine.putGate(name, { ...gate, ...polled, available: available ?? known?.available ?? true });
}
