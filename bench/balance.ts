/**
 * How well each strategy does with bad agents in the pool, with and without `holdBack`: the core alone, in virtual time.
 *
 *   npm run bench:balance [-- --tasks 60000 --seeds 1,2,3 --load 0.7 --only peak_ewma,score --json]
 *
 * Ten agents of one slot: one takes 10 (exponential), one always fails in 0.05, one fails every fifth task in 0.05, the
 * other seven are good and take 1. The bad ones stand first in the pool, so that ties speak for them. Breaker and
 * passive health are those of a pool that says nothing about them. Tasks arrive at random (Poisson) at 70 % of what the
 * seven can do, and may be tried three times. They are of type `general`, and for `score` once more of the type
 * `quick_analysis`, because its formula has a term for speed there only. Times are from submission to settlement, in
 * units of a good agent's mean; the first tenth is not counted. The goals compare with the seven alone under the same
 * arrivals, which is as much work for each of them as it can be. `weighted` and `priority` know of the slow agent (0.1
 * and 1), the others have to find out.
 */
import { parseArgs } from "node:util";
import { assert } from "../src/base/assert.ts";
import { Heap } from "../src/base/heap.ts";
import { asAgentId, asPoolId, asTaskId, type TaskId } from "../src/base/ids.ts";
import { below, createRandom, type Random } from "../src/base/random.ts";
import type { Command, Known } from "../src/core/command.ts";
import type { LeasedAttempt } from "../src/core/effect.ts";
import type { Outcome } from "../src/core/outcome.ts";
import { emptyState, type NamespaceState } from "../src/core/state.ts";
import { dueFirst, matchLast, step } from "../src/core/step.ts";
import { Turn } from "../src/core/turn.ts";
import { resolvePool } from "../src/engine/options/pool.ts";
import { STRATEGIES, type Strategy } from "../src/policies/balancer/strategies.ts";

const { values } = parseArgs({
  options: {
    tasks: { type: "string", default: "60000" },
    seeds: { type: "string", default: "1,2,3" },
    load: { type: "string", default: "0.7" },
    only: { type: "string" },
    json: { type: "boolean" },
  },
});

/** A good agent's mean. Milliseconds. */
const UNIT_MS = 1_000;
const POOL = asPoolId("bench");
const NOTHING_KNOWN: Known = { tasks: new Map(), keys: new Map() };
/** A failure takes this much of the usual time. */
const FAILS_IN = 0.05;
const KEYS = 100;
const PERCENT = 100;

interface Worker {
  readonly name: string;
  readonly meanMs: number;
  readonly failShare: number;
}

const GOOD: readonly Worker[] = Array.from({ length: 7 }, (_, n) => ({
  name: `good-${n}`,
  meanMs: UNIT_MS,
  failShare: 0,
}));
const BAD: readonly Worker[] = [
  { name: "slow", meanMs: 10 * UNIT_MS, failShare: 0 },
  { name: "fails-fast", meanMs: UNIT_MS, failShare: 1 },
  { name: "fails-20", meanMs: UNIT_MS, failShare: 0.2 },
];

interface Setup {
  readonly strategy: Strategy;
  /** Of all tasks. `score` knows of speed for the quick types only. */
  readonly type: "general" | "quick_analysis";
  readonly holdBack: boolean;
  readonly workers: readonly Worker[];
}

interface Result {
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
  /** Tasks that did not complete, of all. */
  readonly failed: number;
  /** Attempts on each agent, of all. */
  readonly shares: Readonly<Record<string, number>>;
}

/** One run of one setup: arrivals and ends in the order of time, one turn each. */
class Run {
  readonly #setup: Setup;
  readonly #state: NamespaceState = emptyState(1);
  readonly #choices: Random;
  readonly #arrivals: Random;
  readonly #work: Random;
  readonly #ends = new Heap<{ readonly atMs: number; readonly attempt: LeasedAttempt; readonly outcome: Outcome }>(
    (a, b) => a.atMs < b.atMs,
  );
  readonly #workers: ReadonlyMap<string, Worker>;
  readonly #attempts = new Map<string, number>();
  readonly #submittedAtMs = new Map<TaskId, number>();
  readonly #tookMs: number[] = [];
  #nowMs = 0;
  #settled = 0;
  #failed = 0;

  constructor(setup: Setup, seed: number) {
    this.#setup = setup;
    this.#choices = createRandom(seed);
    this.#arrivals = createRandom(seed + 1_000);
    this.#work = createRandom(seed + 2_000);
    this.#workers = new Map(setup.workers.map((worker) => [worker.name, worker]));
  }

  result(tasks: number, perMs: number): Result {
    this.#open();
    let arrivesAtMs = 0;
    for (let submitted = 0; this.#settled < tasks; ) {
      const next = this.#ends.peek();
      const dueMs = this.#state.due.nextAtMs ?? Number.POSITIVE_INFINITY;
      const endMs = next?.atMs ?? Number.POSITIVE_INFINITY;
      const comesMs = submitted < tasks ? arrivesAtMs : Number.POSITIVE_INFINITY;
      if (dueMs <= endMs && dueMs <= comesMs) this.#turn(dueMs, { type: "tick" });
      else if (endMs <= comesMs) this.#end();
      else {
        this.#submit(`t${submitted}`, arrivesAtMs);
        submitted += 1;
        arrivesAtMs += Math.max(1, Math.round(exponential(this.#arrivals) / perMs));
      }
    }
    return this.#summary(tasks);
  }

  #open(): void {
    const { strategy, holdBack, workers } = this.#setup;
    // Nobody renews here.
    const lease = { ttlMs: 20 * 24 * 3_600_000, renewMs: 10_000 };
    const options = resolvePool({ id: POOL, strategy, holdBack, lease }, () => POOL);
    this.#turn(0, { type: "create_pool", options });
    for (const { name, meanMs } of workers) {
      const agent = {
        id: asAgentId(name),
        pool: POOL,
        name,
        kind: "function" as const,
        capabilities: [],
        concurrency: 1,
        weight: UNIT_MS / meanMs,
        priority: meanMs > UNIT_MS ? 1 : 0,
        isolation: { contextWindowId: name, toolSessionId: name, memoryHandleId: name },
      };
      this.#turn(0, { type: "add_agent", agent });
      this.#turn(0, { type: "agent_ready", agentId: agent.id });
    }
  }

  #submit(id: string, atMs: number): void {
    const taskId = asTaskId(id);
    const spec = {
      id: taskId,
      pool: POOL,
      type: this.#setup.type,
      requires: [],
      priority: 3 as const,
      dependencies: [],
      onDependencyFailure: "cancel" as const,
      affinityKey: `key-${below(this.#arrivals, KEYS)}`,
      maxAttempts: 3,
      retryable: true,
      createdAtMs: atMs,
      bodySize: 0,
    };
    this.#submittedAtMs.set(taskId, atMs);
    this.#turn(atMs, { type: "submit", specs: [spec], partial: false, known: NOTHING_KNOWN });
  }

  #end(): void {
    const ended = this.#ends.pop();
    assert(ended !== undefined, "something ends");
    const { agentId, taskId, fence } = ended.attempt;
    const { outcome } = ended;
    this.#turn(ended.atMs, { type: "report", agentId, taskId, fence, outcome, known: NOTHING_KNOWN });
  }

  #turn(atMs: number, command: Command): void {
    this.#nowMs = Math.max(this.#nowMs, atMs);
    const turn = new Turn(this.#state, this.#nowMs, this.#choices);
    dueFirst(this.#state, turn);
    step(this.#state, command, turn);
    matchLast(this.#state, turn);
    for (const effect of turn.effects) if (effect.type === "run") this.#begin(effect.attempt);
    for (const event of turn.durable) if (event.type === "task.settled") this.#took(event.taskId);
  }

  #begin(attempt: LeasedAttempt): void {
    const worker = this.#workers.get(attempt.agentId);
    assert(worker !== undefined, "attempts go to workers");
    if (this.#counts()) this.#attempts.set(worker.name, (this.#attempts.get(worker.name) ?? 0) + 1);
    const fails = this.#work.next() < worker.failShare;
    const tookMs = exponential(this.#work) * worker.meanMs * (fails ? FAILS_IN : 1);
    const outcome: Outcome = fails
      ? { name: "failed", blame: "agent", error: { code: "failed", message: "it failed" } }
      : { name: "succeeded", resultBytes: 0 };
    this.#ends.push({ atMs: this.#nowMs + Math.round(tookMs), attempt, outcome });
  }

  #counts(): boolean {
    return this.#settled >= Number(values.tasks) / 10;
  }

  #took(taskId: TaskId): void {
    const state = this.#state.tasks.get(taskId)?.state;
    const submittedAtMs = this.#submittedAtMs.get(taskId);
    assert(state?.name === "settled" && submittedAtMs !== undefined, "what is settled was submitted");
    if (this.#counts()) {
      this.#tookMs.push(this.#nowMs - submittedAtMs);
      if (state.settlement.status !== "completed") this.#failed += 1;
    }
    this.#settled += 1;
    this.#submittedAtMs.delete(taskId);
    const turn = new Turn(this.#state, this.#nowMs, this.#choices);
    step(this.#state, { type: "forget", taskIds: [taskId] }, turn);
  }

  #summary(tasks: number): Result {
    const sorted = Float64Array.from(this.#tookMs).sort();
    const at = (share: number): number => (sorted[Math.floor(share * sorted.length)] ?? Number.NaN) / UNIT_MS;
    let attempts = 0;
    for (const count of this.#attempts.values()) attempts += count;
    const shares = Object.fromEntries(
      this.#setup.workers.map(({ name }) => [name, (this.#attempts.get(name) ?? 0) / attempts]),
    );
    assert(this.#settled === tasks, "every task is settled once");
    const mean = sorted.reduce((sum, tookMs) => sum + tookMs, 0) / sorted.length / UNIT_MS;
    return { mean, p50: at(0.5), p99: at(0.99), failed: this.#failed / sorted.length, shares };
  }
}

function exponential(random: Random): number {
  return -Math.log(1 - random.next());
}

const tasks = Number(values.tasks);
const seeds = values.seeds.split(",").map(Number);
const perMs = (Number(values.load) * GOOD.length) / UNIT_MS;
const wanted = STRATEGIES.filter((name) => values.only === undefined || values.only.split(",").includes(name));

function over(setup: Setup): Result {
  const results = seeds.map((seed) => new Run(setup, seed).result(tasks, perMs));
  const mean = (of: (result: Result) => number): number =>
    results.reduce((sum, one) => sum + of(one), 0) / seeds.length;
  return {
    mean: mean((result) => result.mean),
    p50: mean(({ p50 }) => p50),
    p99: mean(({ p99 }) => p99),
    failed: mean(({ failed }) => failed),
    shares: Object.fromEntries(setup.workers.map(({ name }) => [name, mean(({ shares }) => shares[name] ?? 0)])),
  };
}

interface Row extends Result {
  readonly strategy: Strategy;
  readonly type: Setup["type"];
  readonly holdBack: boolean;
  readonly p99Ratio: number;
}

const percent = (share = Number.NaN): number => share * PERCENT;

const reference = over({ strategy: "least_loaded", type: "general", holdBack: false, workers: GOOD });
const rows: readonly Row[] = wanted.flatMap((strategy) => {
  const held = strategy === "peak_ewma" || strategy === "score" ? [false, true] : [false];
  const types = strategy === "score" ? (["general", "quick_analysis"] as const) : (["general"] as const);
  return types.flatMap((type) =>
    held.map((holdBack) => {
      const result = over({ strategy, type, holdBack, workers: [...BAD, ...GOOD] });
      return { strategy, type, holdBack, ...result, p99Ratio: result.p99 / reference.p99 };
    }),
  );
});

function titleOf({ strategy, type }: Row): string {
  return type === "general" ? strategy : `${strategy}, quick`;
}

/** What is asked of the strategies that see how fast and how sound an agent is. */
const GOALS = [
  { what: "p99 ÷ p99 of the good agents alone", limit: 1.3, of: ({ p99Ratio }: Row) => p99Ratio },
  {
    what: "attempts on the agent that fails fast, %",
    limit: 0.1,
    of: ({ shares }: Row) => percent(shares["fails-fast"]),
  },
  { what: "failed tasks, %", limit: 0, of: ({ failed }: Row) => percent(failed) },
];
const JUDGED: readonly Strategy[] = ["peak_ewma", "score"];
const goals = rows
  .filter(({ strategy }) => JUDGED.includes(strategy))
  .flatMap((row) =>
    GOALS.map(({ what, limit, of }) => {
      const name = row.holdBack ? `${titleOf(row)}, holdBack` : titleOf(row);
      return { name, what, limit, found: of(row), met: of(row) <= limit };
    }),
  );

if (values.json) {
  const load = Number(values.load);
  console.log(JSON.stringify({ node: process.version, tasks, seeds, load, reference, rows, goals }));
} else {
  console.log(`${seeds.length} × ${tasks} tasks, seeds ${seeds.join(", ")}, load ${values.load} of the good agents\n`);
  console.log(
    "strategy         holdBack   mean    p50    p99  p99 ÷ ref.   failed %   slow %  fails-fast %  fails-20 %   each good %",
  );
  console.log(line("seven good only", "", reference, ""));
  for (const row of rows) console.log(line(titleOf(row), row.holdBack ? "yes" : "no", row, row.p99Ratio.toFixed(2)));
  console.log("\ngoals");
  for (const { name, what, limit, found, met } of goals) {
    const verdict = met ? "met" : `missed by ${(found - limit).toFixed(3)}`;
    console.log(`${name.padEnd(24)} ${what.padEnd(42)} ${found.toFixed(3).padStart(7)} ≤ ${limit}   ${verdict}`);
  }
}

function line(name: string, held: string, { mean, p50, p99, failed, shares }: Result, ratio: string): string {
  const share = (worker: string): string => percent(shares[worker] ?? 0).toFixed(3);
  const good = GOOD.map(({ name: worker }) => percent(shares[worker]));
  const range = `${Math.min(...good).toFixed(1)} – ${Math.max(...good).toFixed(1)}`;
  return [
    name.padEnd(16),
    held.padStart(8),
    mean.toFixed(2).padStart(7),
    p50.toFixed(2).padStart(6),
    p99.toFixed(2).padStart(6),
    ratio.padStart(10),
    (failed * PERCENT).toFixed(3).padStart(10),
    share("slow").padStart(8),
    share("fails-fast").padStart(13),
    share("fails-20").padStart(11),
    range.padStart(13),
  ].join(" ");
}
