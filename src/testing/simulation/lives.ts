/**
 * The engine's lives in a run: it is started over what the disk kept, killed, stopped, held up and suspended, and started
 * again.
 */
import type { Store } from "../../stores/store.ts";
import type { Disk } from "./disk.ts";
import type { Fold } from "./fold.ts";
import type { PoolPlan } from "./plan.ts";
import type { Scene } from "./scene.ts";
import { Term } from "./term.ts";
import { ProcessClock, type WorldTime } from "./time.ts";

/** Between two thoughts of what goes wrong with the engine. */
const NEMESIS_MS = 500;

export interface LivesOptions {
  readonly scene: Scene;
  readonly seed: number;
  readonly pools: readonly PoolPlan[];
  readonly time: WorldTime;
  readonly disk: Disk;
  readonly fold: Fold;
}

export class Lives {
  readonly #scene: Scene;
  readonly #options: LivesOptions;
  /** Fences of leases that were held over a standstill longer than a lease. */
  readonly stoodStill = new Set<number>();
  term: Term | undefined;
  starts = 0;
  #isStarting = false;

  constructor(options: LivesOptions) {
    this.#options = options;
    this.#scene = options.scene;
  }

  async start(): Promise<void> {
    const store = await this.#options.disk.open();
    this.starts += 1;
    const pools = this.#options.pools.filter((pool) => pool.ofFile && (this.starts === 1 || this.#isOpen(pool)));
    const clock = new ProcessClock(this.#options.time);
    const seed = this.#options.seed * 8 + 4 + this.starts * 1_000_003;
    const term = new Term({ scene: this.#scene, seed, pools, clock, ended: () => this.#startLater() });
    this.term = term;
    this.#scene.processBegins(clock);
    await term.start(await this.#checked(store));
    if (term.isOver && this.term === term) this.#startLater();
  }

  /** A pool of the file that was deleted comes again, unless its programs would have to be looked up. */
  #isOpen({ options }: PoolPlan): boolean {
    const needsPrograms = options.agents?.some(({ kind }) => kind === "daemon" || kind === "command") === true;
    return !needsPrograms || this.#scene.audit.pools.has(options.id);
  }

  /** What a start finds is what the log says. */
  async #checked(store: Store): Promise<Store> {
    return {
      ...store,
      load: async () => {
        const loaded = await store.load();
        const difference = this.#options.fold.differsFromOpen(loaded.open);
        if (difference !== undefined) this.#scene.violate(`log and rows tell the same: ${difference}`);
        return loaded;
      },
    };
  }

  #startLater(): void {
    if (this.#isStarting) return;
    this.#isStarting = true;
    this.#options.time.timer(this.#scene.dice.between(0, 600), () => {
      this.#isStarting = false;
      this.#scene.spawn(() => this.start());
    });
  }

  die(): void {
    this.#scene.trace("the engine is killed");
    this.term?.kill();
    this.#startLater();
  }

  async play(): Promise<void> {
    const { dice } = this.#scene;
    while (!dice.calm) {
      await this.#scene.sleep(NEMESIS_MS);
      const term = this.term;
      if (term?.engine === undefined || term.clock.isHeldUp || dice.calm) continue;
      if (dice.happens("wall_jumps")) term.clock.jump(dice.between(-20_000, 20_000));
      if (dice.happens("killed")) this.die();
      else if (dice.happens("stopped")) await this.#stop(term);
      else if (dice.happens("held_up")) this.#holdUp(term, false);
      else if (dice.happens("suspended")) this.#holdUp(term, true);
    }
  }

  async #stop(term: Term): Promise<void> {
    this.#scene.trace("the engine is stopped");
    await term.stop(this.#scene.dice.between(0, 600));
    this.#scene.reach("the engine stopped in order");
    this.#startLater();
  }

  #holdUp({ clock, engine }: Term, suspended: boolean): void {
    const forMs = this.#scene.dice.between(500, 9_000);
    this.#scene.trace(`the engine stands still for ${forMs}`);
    for (const task of engine?.state.tasks.values() ?? []) {
      if (task.state.name !== "leased") continue;
      const ttlMs = engine?.state.pools.get(task.spec.pool)?.options.lease.ttlMs ?? 0;
      if (forMs > ttlMs) this.stoodStill.add(task.state.lease.fence);
    }
    clock.holdUp(forMs, { suspended });
  }
}
