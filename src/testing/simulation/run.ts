/**
 * One run: a world drawn from its seed, in which an engine works while things go wrong, and then no longer.
 *
 * What must hold, and who looks:
 *
 * - I1 what was acknowledged is found, and ends: `look-back.ts`, `Ledger.checkEnd`
 * - I2 one accepted settlement in a life, under the highest fence: `Audit.#settled`, `Audit.#ended`
 * - I3 fences grow, also over restarts: `Audit.#leased`
 * - I4 at most one live lease per task: `Audit.#leased`, `core/invariants.ts`
 * - I5 nothing runs before its dependencies, cycles are refused: `permission.ts`, `Audit.#met`, `Client.#cycle`
 * - I6 one key, one task; another body, a conflict: `Ledger.acknowledged`, `Client.#changeBody`, `Audit.#submitted`
 * - I7 attempts, refunds, retries and poison have their limits: `Audit.#ended`, `budget.ts`, `suspicion.ts`
 * - I8 queues keep their bounds, refusals say when to come back: `bounds.ts`, `Client.#reachRefusal`
 * - I9 nothing is overtaken against the rules: `order.ts`
 * - I10 what was told to be cancelled stays so: `Ledger.checkEnd`, `Ledger.saw`
 * - I11 log and rows tell the same: `fold.ts`
 * - I12 everything ends once nothing goes wrong any more, and nobody idles beside work: `play`, `work-left.ts`
 * - I13 breakers let nothing through while open, and half-open what they permit: `watch.ts`
 */
import { createHash } from "node:crypto";
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import { createRandom } from "../../base/random.ts";
import { checkInvariants } from "../../core/invariants.ts";
import type { LocalEngine } from "../../engine/engine.ts";
import type { Commit, Store } from "../../stores/store.ts";
import { Audit } from "./audit.ts";
import { Client } from "./client.ts";
import { Dice, type Fault } from "./dice.ts";
import { Disk } from "./disk.ts";
import { endsOn } from "./ended.ts";
import { Fold } from "./fold.ts";
import { Ledger } from "./ledger.ts";
import { lineOf } from "./line.ts";
import { lookBack } from "./look-back.ts";
import { Operator } from "./operator.ts";
import { BOMB, drawPools, type PoolPlan, type RemotePlan } from "./plan.ts";
import { RemoteAgent } from "./remote-agent.ts";
import type { Scene } from "./scene.ts";
import type { Situation } from "./situations.ts";
import { Term } from "./term.ts";
import { ProcessClock, promisesRun, WorldTime } from "./time.ts";
import { Watch } from "./watch.ts";
import { workLeft } from "./work-left.ts";

export interface RunOptions {
  readonly seed: number;
  /** About how many tasks are submitted. */
  readonly tasks: number;
  /** How many of the last lines of the story are kept; 40 by default. */
  readonly lines?: number | undefined;
}

export interface RunReport {
  readonly seed: number;
  /** What must never be, and was. */
  readonly violation: { readonly message: string; readonly step: number; readonly atMs: number } | undefined;
  readonly steps: number;
  /** Acknowledged. */
  readonly tasks: number;
  readonly attempts: number;
  readonly events: number;
  readonly starts: number;
  readonly settledTwice: number;
  readonly lost: number;
  readonly faults: ReadonlyMap<Fault, number>;
  readonly situations: ReadonlySet<Situation>;
  /** Of all that happened, in order: the same seed gives the same one. */
  readonly trace: string;
  /** The last of what happened. */
  readonly tail: readonly string[];
}

const START_MS = 1_700_000_000_000;
/** Between two thoughts of what goes wrong with the engine. */
const NEMESIS_MS = 500;
/** Once nothing goes wrong any more everything must end within this time: all the waits that options may ask for, and slack. */
const CALM_LIMIT_MS = 180_000;
/** So many tasks more may need as much again: limits per minute let them through only so fast. */
const CALM_TASKS = 50;
/** A run that is not over by then hangs. */
const STEP_LIMIT = 400_000;
const LINES = 40;

export async function simulateSeed(options: RunOptions): Promise<RunReport> {
  return new Run(options).play();
}

class Run implements Scene {
  readonly time: WorldTime;
  readonly dice: Dice;
  readonly audit: Audit;
  readonly ledger = new Ledger();
  readonly #options: RunOptions;
  readonly #pools: readonly [PoolPlan, ...PoolPlan[]];
  readonly #disk: Disk;
  readonly #watch: Watch;
  readonly #situations = new Set<Situation>();
  readonly #hash = createHash("sha256");
  readonly #tail: string[] = [];
  readonly #remotes: RemoteAgent[] = [];
  readonly #quarantined = new Set<string>();
  /** Fences of leases that were held over a standstill longer than a lease. */
  readonly #stoodStill = new Set<number>();
  #fold = new Fold();
  #term: Term | undefined;
  #starts = 0;
  #steps = 0;
  #seenPasses = 0;
  /** The last turn in which an agent may have been lost without a durable trace. */
  #disturbedTurn = 0;
  #lost = 0;
  #actors = 0;
  #violation: RunReport["violation"];

  constructor(options: RunOptions) {
    const { seed } = options;
    this.#options = options;
    this.time = new WorldTime(createRandom(seed * 8 + 1), START_MS);
    this.dice = new Dice(createRandom(seed * 8 + 2));
    this.#pools = drawPools(this.dice);
    this.audit = new Audit({
      violate: (message) => this.violate(message),
      reach: (situation) => this.reach(situation),
      isChoosy: ({ pool, name }) => this.#planOf(pool, name)?.types !== undefined,
      disturbed: () => this.#turn() <= this.#disturbedTurn,
    });
    this.#watch = new Watch(this, (agentId, state) => endsOn(agentId, this.audit, state));
    const clock: Clock = {
      now: () => this.time.now(),
      monotonic: () => this.time.monotonic(),
      timer: (ms, fire) => (this.#term?.clock ?? this.time).timer(ms, fire),
      defer: (fire) => this.time.defer(fire),
    };
    this.#disk = new Disk({
      seed: seed * 8 + 3,
      dice: this.dice,
      clock,
      kept: (commit) => this.#kept(commit),
      died: () => this.#die(),
    });
  }

  // --- what the actors see ---

  readonly reach = (situation: Situation): void => {
    this.#situations.add(situation);
  };

  readonly violate = (message: string): void => {
    if (this.#violation !== undefined) return;
    this.#violation = { message, step: this.#steps, atMs: this.time.now() - START_MS };
    this.trace(`VIOLATION: ${message}`);
  };

  trace(line: string): void {
    const text = `${this.time.now() - START_MS} ${line}\n`;
    this.#hash.update(text);
    this.#tail.push(text);
    const { lines = LINES } = this.#options;
    if (this.#tail.length > 2 * lines) this.#tail.splice(0, this.#tail.length - lines);
  }

  disturb(): void {
    this.#disturbedTurn = this.#turn() + 1;
  }

  /** Number of the engine's turn that is under way or was the last one. */
  #turn(): number {
    return this.#term?.clock.passes ?? 0;
  }

  termBegins(): void {
    this.audit.started();
    this.#watch.started();
  }

  explodes(prompt: string | undefined): boolean {
    if (prompt !== BOMB || this.dice.calm) return false;
    // Not before everything that this instant sets off is done.
    const term = this.#term;
    this.time.timer(this.dice.between(0, 30), () => {
      if (term === this.#term && term?.isOver === false) this.#die();
    });
    return true;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.time.timer(ms, resolve);
    });
  }

  spawn(play: () => Promise<void>): void {
    play().catch((error: unknown) => this.violate(`nobody throws what nobody expects: ${stackOf(error)}`));
  }

  call<T>(ask: (engine: LocalEngine) => Promise<T>): Promise<T> {
    const term = this.#term;
    return term === undefined ? Promise.reject(new TypeError("the run has not begun")) : term.call(ask);
  }

  // --- the play ---

  async play(): Promise<RunReport> {
    await this.#open();
    const { tasks, seed } = this.#options;
    const clients = 3;
    for (let n = 0; n < clients; n++) {
      const client = new Client(this, `c${n}`, { pools: this.#pools, tasks: Math.ceil(tasks / clients) });
      this.#act(() => client.play());
    }
    for (const { options, remotes } of this.#pools) {
      for (const plan of remotes) this.#remotes.push(new RemoteAgent(this, options.id, plan));
    }
    for (const remote of this.#remotes) remote.begin();
    const operator = new Operator(this, this.#pools);
    this.spawn(() => operator.play());
    this.spawn(() => this.#nemesis());
    await this.#until(() => this.#actors === 0);
    this.dice.calm = true;
    this.trace("calm");
    const limitMs = this.time.now() + CALM_LIMIT_MS * Math.max(1, Math.ceil(tasks / CALM_TASKS));
    const isOver = (): boolean => this.audit.open === 0 && this.#term?.engine !== undefined;
    await this.#until(() => isOver() || this.time.now() > limitMs);
    if (!isOver()) this.violate(`everything ends once nothing goes wrong any more: ${this.#unfinished()}`);
    if (this.#violation === undefined) await this.#lookBack();
    for (const remote of this.#remotes) remote.end();
    operator.end();
    this.#term?.kill();
    return this.#report(seed);
  }

  #planOf(pool: string, name: string): RemotePlan | undefined {
    return this.#pools.find(({ options }) => options.id === pool)?.remotes.find((remote) => remote.name === name);
  }

  /** The first start, without faults: pools are made, programs looked up. Time stands still. */
  async #open(): Promise<void> {
    this.dice.calm = true;
    await this.#settled(this.#start());
    for (const { options, ofFile } of this.#pools) {
      if (!ofFile) await this.#settled(this.call((engine) => engine.createPool(options)));
    }
    this.dice.calm = false;
  }

  /** What only needs promises, or reality. */
  async #settled<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settle = (): void => {
      isSettled = true;
    };
    promise.then(settle, settle);
    while (!isSettled) await this.time.settle();
    return promise;
  }

  #act(play: () => Promise<void>): void {
    this.#actors += 1;
    this.spawn(async () => {
      await play();
      this.#actors -= 1;
    });
  }

  async #until(isOver: () => boolean): Promise<void> {
    while (this.#violation === undefined && !isOver()) {
      this.#steps += 1;
      if (!(await this.time.step())) return this.violate("somebody waits for something that comes");
      this.#look();
      if (this.#steps > STEP_LIMIT) this.violate("the run comes to an end");
    }
  }

  /** After every step in which the engine made a turn. */
  #look(): void {
    const engine = this.#term?.engine;
    const passes = this.#term?.clock.passes ?? 0;
    if (engine === undefined || passes === this.#seenPasses) return;
    this.#seenPasses = passes;
    try {
      checkInvariants(engine.state);
    } catch (error) {
      this.violate(messageOf(error));
    }
    if (this.#term?.clock.isHeldUp === true) return;
    this.#watch.look(engine.state, engine.nowMs());
    const left = workLeft(engine.state, engine.nowMs());
    if (left !== undefined) this.violate(left);
    this.#reachAgents(engine);
  }

  #reachAgents({ state }: LocalEngine): void {
    for (const [id, { lifecycle, health, cooldownUntilMs, stats, identity }] of state.agents) {
      if (lifecycle === "quarantined") {
        this.reach("an agent was quarantined");
        this.#quarantined.add(id);
      } else if (lifecycle === "ready" && this.#quarantined.has(id)) this.reach("a quarantined agent came back");
      if (health === "unhealthy") this.reach("an agent was unhealthy by its probes");
      if (lifecycle === "crashed" && identity.kind === "remote") this.reach("a silent agent was taken for dead");
      if (cooldownUntilMs > 0) this.reach("an agent rested after throttling");
      if (stats.abandoned > 0) this.reach("a slot was abandoned");
    }
  }

  // --- the engine's lives ---

  async #start(): Promise<void> {
    const store = await this.#disk.open();
    this.#starts += 1;
    const pools = this.#pools.filter((pool) => pool.ofFile && (this.#starts === 1 || this.#isOpen(pool)));
    const clock = new ProcessClock(this.time);
    const seed = this.#options.seed * 8 + 4 + this.#starts * 1_000_003;
    const term = new Term({ scene: this, seed, pools, clock, ended: () => this.#startLater() });
    this.#term = term;
    this.termBegins();
    this.ledger.clockBegins(clock.now());
    this.#seenPasses = 0;
    this.#disturbedTurn = 0;
    await term.start(await this.#checked(store));
    if (term.isOver && this.#term === term) this.#startLater();
  }

  /** A pool of the file that was deleted comes again, unless its programs would have to be looked up. */
  #isOpen({ options }: PoolPlan): boolean {
    const needsPrograms = options.agents?.some(({ kind }) => kind === "daemon" || kind === "command") === true;
    return !needsPrograms || this.audit.pools.has(options.id);
  }

  /** What a start finds is what the log says. */
  async #checked(store: Store): Promise<Store> {
    return {
      ...store,
      load: async () => {
        const loaded = await store.load();
        const difference = this.#fold.differsFromOpen(loaded.open);
        if (difference !== undefined) this.violate(`log and rows tell the same: ${difference}`);
        return loaded;
      },
    };
  }

  #isStarting = false;

  #startLater(): void {
    if (this.#isStarting) return;
    this.#isStarting = true;
    this.time.timer(this.dice.between(0, 600), () => {
      this.#isStarting = false;
      this.spawn(() => this.#start());
    });
  }

  #die(): void {
    this.trace("the engine is killed");
    this.#term?.kill();
    this.#startLater();
  }

  async #nemesis(): Promise<void> {
    const { dice } = this;
    while (!dice.calm) {
      await this.sleep(NEMESIS_MS);
      const term = this.#term;
      if (term?.engine === undefined || term.clock.isHeldUp || dice.calm) continue;
      if (dice.happens("wall_jumps")) term.clock.jump(dice.between(-20_000, 20_000));
      if (dice.happens("killed")) this.#die();
      else if (dice.happens("stopped")) await this.#stop(term);
      else if (dice.happens("held_up")) this.#holdUp(term, false);
      else if (dice.happens("suspended")) this.#holdUp(term, true);
    }
  }

  async #stop(term: Term): Promise<void> {
    this.trace("the engine is stopped");
    await term.stop(this.dice.between(0, 600));
    this.reach("the engine stopped in order");
    this.#startLater();
  }

  #holdUp({ clock, engine }: Term, suspended: boolean): void {
    const forMs = this.dice.between(500, 9_000);
    this.trace(`the engine stands still for ${forMs}`);
    for (const task of engine?.state.tasks.values() ?? []) {
      if (task.state.name !== "leased") continue;
      const ttlMs = engine?.state.pools.get(task.spec.pool)?.options.lease.ttlMs ?? 0;
      if (forMs > ttlMs) this.#stoodStill.add(task.state.lease.fence);
    }
    clock.holdUp(forMs, { suspended });
  }

  // --- what is kept ---

  #kept(commit: Commit): void {
    for (const event of commit.events) this.trace(lineOf(event));
    this.audit.commit(commit);
    this.#fold.add(commit);
    const epoch = this.#term?.engine?.state.epoch ?? 0;
    for (const event of commit.events) {
      const attempt = "attempt" in event ? event.attempt : undefined;
      if (attempt?.error?.code === "lease_expired") this.ledger.expired(attempt.fence, commit.atMs, this);
      if (attempt?.outcome !== "succeeded") continue;
      if (Math.floor(attempt.fence / 2 ** 32) < epoch) {
        const isRemote = this.audit.agents.get(attempt.agentId)?.kind === "remote";
        this.reach(isRemote ? "a remote attempt outlived its engine" : "an attempt outlived the engine's term");
      }
      if (this.#stoodStill.has(attempt.fence)) this.reach("a lease outlived a standstill longer than itself");
    }
  }

  // --- the end ---

  #unfinished(): string {
    if (this.#term?.engine === undefined) return "the engine does not run";
    const open = [...this.audit.tasks].filter(([, task]) => task.state !== "settled");
    const some = open.slice(0, 3).map(([id, { state, reason, spec, agentId }]) => {
      const where = state === "leased" ? `to ${this.audit.agents.get(agentId)?.name}` : `for ${reason}`;
      return `${id} of ${spec.pool} is ${state} ${where}`;
    });
    return `${open.length} tasks are open: ${some.join(", ")}`;
  }

  /** Everything that anybody was promised, compared with what is there. */
  async #lookBack(): Promise<void> {
    this.#lost = await this.#during(lookBack(this));
    const engine = this.#term?.engine;
    if (engine === undefined) return this.violate("the engine runs to the end");
    for (const task of engine.state.tasks.values()) {
      if (task.state.name !== "settled") this.violate(`task ${task.spec.id} has ended in the core as well`);
    }
    this.#countDiskFaults();
    const store = await this.#disk.open();
    const { open } = await store.load();
    const difference = this.#fold.differsFromOpen(open) ?? (await this.#fold.differsFromHistory(store));
    if (difference !== undefined) this.violate(`log and rows tell the same: ${difference}`);
  }

  /** Lets the world go on until the promise is settled. */
  async #during<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settle = (): void => {
      isSettled = true;
    };
    promise.then(settle, settle);
    await promisesRun();
    while (!isSettled && (await this.time.step()));
    return promise;
  }

  #countDiskFaults(): void {
    const { refused, unknownKept, unknownLost } = this.#disk.faults;
    this.dice.count("commit_refused", refused);
    this.dice.count("commit_unknown", unknownKept + unknownLost);
    if (refused > 0) this.reach("a commit was refused");
    if (unknownKept > 0) this.reach("an unknown commit was kept");
    if (unknownLost > 0) this.reach("an unknown commit was not kept");
    if (this.dice.counts.has("killed_before_commit")) this.reach("the engine died before a commit");
    if (this.dice.counts.has("killed_after_commit")) this.reach("the engine died after a commit");
  }

  #report(seed: number): RunReport {
    return {
      seed,
      violation: this.#violation,
      steps: this.#steps,
      tasks: this.ledger.entries.size,
      attempts: this.audit.attempts,
      events: this.audit.events,
      starts: this.#starts,
      settledTwice: this.audit.settledTwice,
      lost: this.#lost,
      faults: this.dice.counts,
      situations: this.#situations,
      trace: this.#hash.digest("hex"),
      tail: this.#tail.slice(-(this.#options.lines ?? LINES)).map((line) => line.trimEnd()),
    };
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
