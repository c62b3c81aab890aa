/** One life of the engine's process: it starts over what the disk kept, and ends in order, by force, or by itself. */
import type { AgentDriver } from "../../agents/agent.ts";
import type { AgentFunction } from "../../agents/function.ts";
import { isPoolError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { createRandom, seededEntropy } from "../../base/random.ts";
import type { AgentIdentity } from "../../core/agent.ts";
import { functionKey } from "../../engine/crew.ts";
import { type LocalEngine, startEngine } from "../../engine/engine.ts";
import type { Store } from "../../stores/store.ts";
import { ScriptedChild } from "./child-agent.ts";
import { scriptedFunction } from "./function-agent.ts";
import type { PoolPlan } from "./plan.ts";
import { Lost, type Scene, Unreachable } from "./scene.ts";
import type { ProcessClock } from "./time.ts";

export interface TermOptions {
  readonly scene: Scene;
  readonly seed: number;
  readonly pools: readonly PoolPlan[];
  readonly clock: ProcessClock;
  /** It has ended by itself. */
  readonly ended: () => void;
}

export class Term {
  readonly clock: ProcessClock;
  readonly #options: TermOptions;
  #engine: LocalEngine | undefined;
  #isOver = false;
  readonly #waiting = new Set<(error: Error) => void>();

  constructor(options: TermOptions) {
    this.#options = options;
    this.clock = options.clock;
  }

  /** While it runs. */
  get engine(): LocalEngine | undefined {
    return this.#isOver ? undefined : this.#engine;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  async start(store: Store): Promise<void> {
    const { scene, seed, pools } = this.#options;
    const random: Random = createRandom(seed);
    try {
      const engine = await startEngine({
        store,
        dataDir: "/nowhere",
        pools: pools.map((pool) => pool.options),
        functions: this.#functions(),
        drivers: (identity) => this.#driver(identity),
        clock: this.clock,
        random,
        entropy: seededEntropy(random),
        onFatal: (error) => this.#fatal(error),
        log: ({ event, code, error, stack }) => {
          if (event !== "engine.term_ended" || this.#isOver) return;
          scene.trace(`the engine's term ends: ${code}`);
          scene.termBegins();
          if (code === "internal") scene.violate(`the engine goes on without a broken invariant: ${stack ?? error}`);
        },
      });
      this.#engine = engine;
    } catch (error) {
      this.#fatal(error);
    }
    scene.trace(this.#isOver ? "the engine did not start" : "the engine runs");
  }

  #functions(): Map<string, AgentFunction> {
    const functions = new Map<string, AgentFunction>();
    for (const { options, functions: names } of this.#options.pools) {
      for (const name of names)
        functions.set(functionKey(options.id, name), scriptedFunction(this.#options.scene, this.clock));
    }
    return functions;
  }

  #driver(identity: AgentIdentity): AgentDriver | undefined {
    if (identity.kind === "function") return undefined;
    return new ScriptedChild(identity, this.#options.scene, this.clock);
  }

  /** Asks the engine as somebody outside of its process does. */
  async call<T>(ask: (engine: LocalEngine) => Promise<T>): Promise<T> {
    while (this.clock.isHeldUp && !this.#isOver) await this.#options.scene.sleep(20);
    const { engine } = this;
    if (engine === undefined) throw new Unreachable("the engine does not run");
    return new Promise<T>((resolve, reject) => {
      this.#waiting.add(reject);
      const over = (): boolean => this.#waiting.delete(reject);
      ask(engine).then(
        (value) => over() && resolve(value),
        (error: unknown) => over() && reject(error),
      );
    });
  }

  /** The process is gone in this moment. */
  kill(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.clock.end();
    this.#hangUp();
  }

  /** Asked to stop: what is still asked is answered, or refused. */
  async stop(drainMs: number): Promise<void> {
    const { engine } = this;
    if (engine === undefined) return;
    await engine.close({ drainMs });
    this.kill();
  }

  #fatal(error: unknown): void {
    const { scene, ended } = this.#options;
    if (!isPoolError(error)) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      scene.violate(`the engine goes on without a broken invariant: ${text}`);
    }
    if (this.#isOver) return;
    // What it still has to say to those who wait, it says; then the process ends.
    this.clock.timer(0, () => {
      if (this.#isOver) return;
      this.kill();
      ended();
    });
  }

  #hangUp(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const reject of waiting) reject(new Lost("the connection broke"));
  }
}
