/**
 * One run: a world drawn from its seed, in which an engine works while things go wrong, and then no longer.
 *
 * What must hold, and who looks:
 *
 * - I1 what was acknowledged is found, and ends: `look-back.ts`, `Ledger.checkEnd`
 * - I2 one accepted settlement in a life, under the highest fence: `end-audit.ts`
 * - I3 fences grow, also over restarts: `life-audit.ts`
 * - I4 at most one live lease per task: `life-audit.ts`, `core/invariants.ts`
 * - I5 nothing runs before its dependencies, cycles are refused: `permission.ts`, `life-audit.ts`, `Client.#cycle`
 * - I6 one key, one task; another body, a conflict: `Ledger.acknowledged`, `Client.#changeBody`, `life-audit.ts`
 * - I7 attempts, refunds, retries and poison have their limits: `end-audit.ts`, `budget.ts`, `suspicion.ts`
 * - I8 queues keep their bounds, refusals say when to come back: `bounds.ts`, `Client.#reachRefusal`
 * - I9 nothing is overtaken against the rules: `order.ts`
 * - I10 what was told to be cancelled stays so: `Ledger.checkEnd`, `Ledger.saw`
 * - I11 log and rows tell the same: `fold.ts`
 * - I12 everything ends once nothing goes wrong any more, and nobody idles beside work: `play`, `work-left.ts`
 * - I13 breakers let nothing through while open, and half-open what they permit: `watch.ts`
 * - sizes, spending and schedules keep to their rules: `size-audit.ts`, `spend-audit.ts`, `schedule-audit.ts`
 * - agents that work badly are replaced where their pool says so: `sight.ts`
 */
import type { Clock } from "../../base/clock.ts";
import { createRandom } from "../../base/random.ts";
import type { LocalEngine } from "../../engine/engine.ts";
import type { Commit } from "../../stores/store.ts";
import { Audit } from "./audit.ts";
import type { Books } from "./books.ts";
import { Chronicle, type RunReport } from "./chronicle.ts";
import { Client } from "./client.ts";
import { Dice } from "./dice.ts";
import { Disk } from "./disk.ts";
import { Fold } from "./fold.ts";
import { Ledger } from "./ledger.ts";
import { lineOf } from "./line.ts";
import { Lives } from "./lives.ts";
import { lookBack } from "./look-back.ts";
import { Operator } from "./operator.ts";
import { BOMB, drawPools, type PoolPlan, type RemotePlan } from "./plan.ts";
import { RemoteAgent } from "./remote-agent.ts";
import type { Scene } from "./scene.ts";
import { Sight } from "./sight.ts";
import type { Situation } from "./situations.ts";
import { WorldTime } from "./time.ts";

export interface RunOptions {
  readonly seed: number;
  /** About how many tasks are submitted. */
  readonly tasks: number;
  /** How many of the last lines of the story are kept. */
  readonly lines?: number | undefined;
}

const START_MS = 1_700_000_000_000;
/** Once nothing goes wrong any more everything must end within this time: all the waits that options may ask for, and slack. */
const CALM_LIMIT_MS = 180_000;
/** So many tasks more may need as much again: limits per minute let them through only so fast. */
const CALM_TASKS = 50;
/** A run that is not over by then hangs. */
const STEP_LIMIT = 400_000;

export async function simulateSeed(options: RunOptions): Promise<RunReport> {
  return new Run(options).play();
}

class Run implements Scene {
  readonly time: WorldTime;
  readonly dice: Dice;
  readonly audit: Books;
  readonly ledger = new Ledger();
  readonly #options: RunOptions;
  readonly #pools: readonly [PoolPlan, ...PoolPlan[]];
  readonly #disk: Disk;
  readonly #audit: Audit;
  readonly #chronicle: Chronicle;
  readonly #sight: Sight;
  readonly #remotes: RemoteAgent[] = [];
  readonly #fold = new Fold();
  readonly #lives: Lives;
  /** The last turn in which an agent may have been lost without a durable trace. */
  #disturbedTurn = 0;
  #lost = 0;
  #actors = 0;

  constructor(options: RunOptions) {
    const { seed } = options;
    this.#options = options;
    this.time = new WorldTime(createRandom(seed * 8 + 1), START_MS);
    this.#chronicle = new Chronicle({ seed, time: this.time, lines: options.lines });
    this.dice = new Dice(createRandom(seed * 8 + 2));
    this.#pools = drawPools(this.dice);
    this.#audit = new Audit({
      violate: (message) => this.violate(message),
      reach: (situation) => this.reach(situation),
      isChoosy: ({ pool, name }) => this.#planOf(pool, name)?.types !== undefined,
      disturbed: () => this.#turn() <= this.#disturbedTurn,
    });
    this.audit = this.#audit.books;
    this.#sight = new Sight(this);
    const clock: Clock = {
      now: () => this.time.now(),
      monotonic: () => this.time.monotonic(),
      timer: (ms, fire) => (this.#lives.term?.clock ?? this.time).timer(ms, fire),
      defer: (fire) => this.time.defer(fire),
    };
    this.#disk = new Disk({
      seed: seed * 8 + 3,
      dice: this.dice,
      clock,
      kept: (commit) => this.#kept(commit),
      died: () => this.#lives.die(),
    });
    this.#lives = new Lives({
      scene: this,
      seed,
      pools: this.#pools,
      time: this.time,
      disk: this.#disk,
      fold: this.#fold,
    });
  }

  // --- what the actors see ---

  readonly reach = (situation: Situation): void => {
    this.#chronicle.situations.add(situation);
  };

  readonly violate = (message: string): void => {
    this.#chronicle.violate(message);
  };

  trace(line: string): void {
    this.#chronicle.trace(line);
  }

  disturb(): void {
    this.#disturbedTurn = this.#turn() + 1;
  }

  /** Number of the engine's turn that is under way or was the last one. */
  #turn(): number {
    return this.#lives.term?.clock.passes ?? 0;
  }

  processBegins(clock: Clock): void {
    this.termBegins();
    this.ledger.clockBegins(clock.now());
    this.#sight.begins();
    this.#disturbedTurn = 0;
  }

  termBegins(): void {
    this.#audit.started();
    this.#sight.termBegins();
  }

  explodes(prompt: string | undefined): boolean {
    if (prompt !== BOMB || this.dice.calm) return false;
    // Not before everything that this instant sets off is done.
    const term = this.#lives.term;
    this.time.timer(this.dice.between(0, 30), () => {
      if (term === this.#lives.term && term?.isOver === false) this.#lives.die();
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
    const term = this.#lives.term;
    return term === undefined ? Promise.reject(new TypeError("the run has not begun")) : term.call(ask);
  }

  // --- the play ---

  async play(): Promise<RunReport> {
    await this.#open();
    const { tasks } = this.#options;
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
    this.spawn(() => this.#lives.play());
    await this.#until(() => this.#actors === 0);
    this.dice.calm = true;
    this.trace("calm");
    const limitMs = this.time.now() + CALM_LIMIT_MS * Math.max(1, Math.ceil(tasks / CALM_TASKS));
    const isOver = (): boolean => this.audit.open === 0 && this.#lives.term?.engine !== undefined;
    await this.#until(() => isOver() || this.time.now() > limitMs);
    if (!isOver())
      this.violate(
        `everything ends once nothing goes wrong any more: ${this.#lives.term?.engine === undefined ? "the engine does not run" : this.audit.unfinished()}`,
      );
    if (this.#chronicle.violation === undefined) await this.#lookBack();
    for (const remote of this.#remotes) remote.end();
    operator.end();
    this.#lives.term?.kill();
    return this.#report();
  }

  #planOf(pool: string, name: string): RemotePlan | undefined {
    return this.#pools.find(({ options }) => options.id === pool)?.remotes.find((remote) => remote.name === name);
  }

  /** The first start, without faults: pools are made, programs looked up. Time stands still. */
  async #open(): Promise<void> {
    this.dice.calm = true;
    await this.time.still(this.#lives.start());
    for (const { options, ofFile } of this.#pools) {
      if (!ofFile) await this.time.still(this.call((engine) => engine.createPool(options)));
    }
    this.dice.calm = false;
  }

  #act(play: () => Promise<void>): void {
    this.#actors += 1;
    this.spawn(async () => {
      await play();
      this.#actors -= 1;
    });
  }

  async #until(isOver: () => boolean): Promise<void> {
    while (this.#chronicle.violation === undefined && !isOver()) {
      this.#chronicle.steps += 1;
      if (!(await this.time.step())) return this.violate("somebody waits for something that comes");
      this.#sight.look(this.#lives.term);
      if (this.#chronicle.steps > STEP_LIMIT) this.violate("the run comes to an end");
    }
  }

  // --- what is kept ---

  #kept(commit: Commit): void {
    for (const event of commit.events) this.trace(lineOf(event));
    this.#audit.commit(commit);
    this.#fold.add(commit);
    const epoch = this.#lives.term?.engine?.state.epoch ?? 0;
    for (const event of commit.events) {
      const attempt = "attempt" in event ? event.attempt : undefined;
      if (attempt?.error?.code === "lease_expired") this.ledger.expired(attempt.fence, commit.atMs, this);
      if (attempt?.outcome !== "succeeded") continue;
      if (Math.floor(attempt.fence / 2 ** 32) < epoch) {
        const isRemote = this.audit.agents.get(attempt.agentId)?.kind === "remote";
        this.reach(isRemote ? "a remote attempt outlived its engine" : "an attempt outlived the engine's term");
      }
      if (this.#lives.stoodStill.has(attempt.fence)) this.reach("a lease outlived a standstill longer than itself");
    }
  }

  // --- the end ---

  /** Everything that anybody was promised, compared with what is there. */
  async #lookBack(): Promise<void> {
    this.#lost = await this.time.during(lookBack(this));
    const engine = this.#lives.term?.engine;
    if (engine === undefined) return this.violate("the engine runs to the end");
    for (const task of engine.state.tasks.values()) {
      if (task.state.name !== "settled") this.violate(`task ${task.spec.id} has ended in the core as well`);
    }
    this.#disk.tell(this.reach);
    const store = await this.#disk.open();
    const { open } = await store.load();
    const difference = this.#fold.differsFromOpen(open) ?? (await this.#fold.differsFromHistory(store));
    if (difference !== undefined) this.violate(`log and rows tell the same: ${difference}`);
  }

  #report(): RunReport {
    const { audit, ledger, dice } = this;
    return this.#chronicle.report({
      tasks: ledger.entries.size,
      attempts: audit.attempts,
      events: audit.events,
      starts: this.#lives.starts,
      settledTwice: audit.settledTwice,
      lost: this.#lost,
      faults: dice.counts,
    });
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
