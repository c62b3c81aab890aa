/** Gates: set by operators, asked by probes over HTTP or by functions of this process. */
import type { Timer } from "../base/clock.ts";
import { messageOf, PoolError } from "../base/errors.ts";
import type { Gate } from "../core/gate.ts";
import type { Frame } from "./frame.ts";
import { type GateInput, resolveGate } from "./gate-options.ts";
import { iso } from "./instant.ts";
import type { GateView } from "./view.ts";

/** Says whether the dependency is there; a throw is a no. */
export type GateFunction = (call: { readonly signal: AbortSignal }) => boolean | Promise<boolean>;

/** How one gate is asked. */
interface Watch {
  readonly ask: GateFunction;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  timer?: Timer | undefined;
}

export class GateDesk {
  readonly #frame: Frame;
  readonly #watches = new Map<string, Watch>();
  /** Functions of this process, by gate. */
  readonly #functions = new Map<string, Watch>();
  readonly #shown = new Map<string, boolean>();
  readonly #stop = new AbortController();

  constructor(frame: Frame) {
    this.#frame = frame;
    for (const { name, available } of frame.state.gates.values()) this.#shown.set(name, available);
  }

  /** After a start: every gate with a probe is asked at once. */
  begin(): void {
    for (const { name } of this.#frame.state.gates.values()) this.#watch(name, 0);
  }

  /** The state is that of a new term: every gate is asked as it says there. */
  review(): void {
    for (const name of [...this.#watches.keys()]) if (!this.#frame.state.gates.has(name)) this.#watch(name);
    for (const name of this.#frame.state.gates.keys()) this.changed(name);
  }

  list(): GateView[] {
    return [...this.#frame.state.gates.values()].map(gateView);
  }

  get(name: string): GateView {
    const gate = this.#frame.state.gates.get(name);
    if (gate === undefined) throw new PoolError("not_found", `no gate ${name}`, { details: { gate: name } });
    return gateView(gate);
  }

  /** The operator's word; a probe says its own an interval later. */
  async put(name: string, input: GateInput): Promise<GateView> {
    await this.#frame.loop.ask({ type: "set_gate", ...resolveGate(name, input) });
    return this.get(name);
  }

  /** A gate that a function of this process watches. Without a word on its availability it is asked at once. */
  async putFunction(
    name: string,
    { ask, intervalMs, timeoutMs }: { ask: GateFunction; intervalMs: number; timeoutMs: number },
    input: Partial<GateInput>,
  ): Promise<GateView> {
    const known = this.#frame.state.gates.get(name);
    const available = input.available ?? known?.available ?? true;
    const set = resolveGate(name, { ...input, available });
    this.#functions.set(name, { ask, intervalMs, timeoutMs });
    await this.#frame.loop.ask({ type: "set_gate", ...set, probe: null });
    if (input.available === undefined) await this.#probe(name, this.#functions.get(name));
    return this.get(name);
  }

  /** It has changed: say so once, and ask as it now wants to be asked. */
  changed(name: string): void {
    const gate = this.#frame.state.gates.get(name);
    if (gate === undefined) return;
    const { available, reason, holds } = gate;
    if ((this.#shown.get(name) ?? true) !== available) {
      if (available) this.#frame.log({ level: "info", event: "gate.opened", gate: name, holds });
      else this.#frame.log({ level: "warn", event: "gate.closed", gate: name, holds, reason });
    }
    this.#shown.set(name, available);
    this.#watch(name);
  }

  close(): void {
    this.#stop.abort();
    for (const { timer } of this.#watches.values()) timer?.cancel();
    this.#watches.clear();
  }

  #watch(name: string, delayMs?: number): void {
    const gate = this.#frame.state.gates.get(name);
    const wanted = this.#functions.get(name) ?? (gate?.probe === undefined ? undefined : httpWatch(gate.probe));
    this.#watches.get(name)?.timer?.cancel();
    this.#watches.delete(name);
    if (wanted === undefined || this.#stop.signal.aborted) return;
    const watch = { ...wanted };
    this.#watches.set(name, watch);
    this.#askLater(name, watch, delayMs ?? watch.intervalMs);
  }

  #askLater(name: string, watch: Watch, delayMs: number): void {
    watch.timer = this.#frame.clock.timer(delayMs, () => {
      void this.#probe(name, watch).then(() => {
        if (this.#watches.get(name) === watch) this.#askLater(name, watch, watch.intervalMs);
      });
    });
  }

  /** One question; what it answers counts unless the gate was changed meanwhile. */
  async #probe(name: string, watch: Watch | undefined): Promise<void> {
    if (watch === undefined) return;
    const asked = this.#frame.state.gates.get(name);
    const answer = await this.#ask(watch);
    if (this.#stop.signal.aborted || this.#frame.state.gates.get(name) !== asked) return;
    await this.#frame.loop.ask({ type: "gate_probed", name, ...answer }).catch(() => {});
  }

  async #ask({ ask, timeoutMs }: Watch): Promise<{ available: boolean; reason: string }> {
    const late = new AbortController();
    const timer = this.#frame.clock.timer(timeoutMs, () => late.abort());
    const signal = AbortSignal.any([late.signal, this.#stop.signal]);
    const over = new Promise<false>((resolve) =>
      signal.addEventListener("abort", () => resolve(false), { once: true }),
    );
    try {
      const available = await Promise.race([ask({ signal }), over]);
      const reason = late.signal.aborted ? `its probe did not answer within ${timeoutMs} ms` : "its probe says no";
      return { available: available === true, reason };
    } catch (error) {
      return { available: false, reason: `its probe failed: ${messageOf(error)}` };
    } finally {
      timer.cancel();
    }
  }
}

function httpWatch({ url, intervalMs, timeoutMs }: NonNullable<Gate["probe"]>): Watch {
  const ask: GateFunction = async ({ signal }) => {
    const response = await fetch(url, { redirect: "manual", signal });
    await response.body?.cancel();
    return response.ok;
  };
  return { ask, intervalMs, timeoutMs };
}

function gateView({ name, available, holds, reason, probe, changedAtMs }: Gate): GateView {
  return {
    name,
    available,
    holds,
    ...(reason === "" ? {} : { reason }),
    ...(probe === undefined ? {} : { probe }),
    changedAt: iso(changedAtMs),
  };
}
