/**
 * What a claim costs when many tasks wait, and what choosing costs among many agents: the core alone.
 *
 *   npm run bench:queue-depth [-- --depths 1000,10000,100000,1000000 --agents 10,100,10000 --only plain,gate --json]
 *
 * A claim is the turn in which an agent reports a success and is leased its next task. In every kind of backlog but
 * `plain` nobody free may run what waits; what the agent is leased comes behind all of it. A choice is the strategy
 * alone, over so many free agents; the turn beside it hands one task in and leases it. Each line is a process of its
 * own; the middle of many small rounds is quoted, so that a busy machine shows little.
 */
import { execFileSync } from "node:child_process";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createRandom } from "../src/base/random.ts";
import type { LeasedAttempt } from "../src/core/effect.ts";
import type { Priority } from "../src/core/task.ts";
import type { Candidate, Candidates } from "../src/policies/balancer/balancer.ts";
import { BALANCERS, STRATEGIES, type Strategy } from "../src/policies/balancer/strategies.ts";
import { aChoice } from "../src/testing/candidates.ts";
import { BareCore, type BareTask } from "./bare-core.ts";

/** What waits. */
const BACKLOGS = ["plain", "ranked", "types", "capability", "gate", "failed"] as const;
type Backlog = (typeof BACKLOGS)[number];

const { values } = parseArgs({
  options: {
    depths: { type: "string", default: "1000,10000,100000,1000000" },
    agents: { type: "string", default: "10,100,10000" },
    only: { type: "string", default: [...BACKLOGS, "choice"].join(",") },
    strategies: { type: "string", default: STRATEGIES.join(",") },
    rounds: { type: "string", default: "200" },
    json: { type: "boolean" },
    /** One line, in this process. */
    claim: { type: "string" },
    choice: { type: "string" },
  },
});
const rounds = Number(values.rounds);
/** Claims per round. */
const CLAIMS = 50;
const KINDS = 1_000;
const WORKERS = 10;

interface Claim {
  readonly backlog: Backlog;
  readonly depth: number;
  readonly nanos: number;
  readonly bytes: number;
}

interface Pick {
  readonly strategy: Strategy;
  readonly agents: number;
  readonly nanos: number;
  readonly turnNanos: number;
}

const middle = (figures: number[]): number => figures.sort((a, b) => a - b)[figures.length >> 1] ?? Number.NaN;

/** What nobody free may run, or with `plain` and `ranked` what everybody may. */
function waiting(backlog: Backlog, n: number): BareTask {
  if (backlog === "types") return { type: `kind-${n % KINDS}` };
  if (backlog === "capability") return { requires: ["gpu"] };
  if (backlog === "gate") return { type: "gated" };
  if (backlog === "plain" || backlog === "ranked") return { priority: (1 + (n % 4)) as Priority };
  return {};
}

function coreWith(backlog: Backlog): { core: BareCore; running: LeasedAttempt[] } {
  const workers = backlog === "failed" ? 1 : WORKERS;
  const agents = Array.from({ length: workers }, (_, n) => ({ name: `a${n}`, capabilities: ["general", "work"] }));
  const core = new BareCore(
    { strategy: backlog === "ranked" ? "score" : "peak_ewma", breaker: false, health: false },
    backlog === "types" ? agents.map(({ name }) => ({ name, capabilities: ["work"] })) : agents,
  );
  core.closeGate("gated");
  return { core, running: agents.flatMap(() => core.submit({ type: "work" })) };
}

/** Fails every task once on the one agent that is free; another, who is busy for good, could still serve them. */
function failOnce(core: BareCore, depth: number, running: LeasedAttempt[]): LeasedAttempt[] {
  for (const attempt of running) core.succeed(attempt);
  core.forget(running);
  core.add({ name: "busy", priority: -1 });
  const [first] = core.submit();
  const [second] = core.submit();
  if (first === undefined || second === undefined) throw new Error("two agents take two tasks");
  const kept = first.agentId === "busy" ? second : first;
  core.succeed(kept);
  core.forget([kept]);
  for (let n = 0; n < depth; n++) for (const attempt of core.submit()) core.fail(attempt);
  return [...core.submit({ type: "work" })];
}

function heapBytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

function measureClaims(backlog: Backlog, depth: number): Claim {
  const set = coreWith(backlog);
  const { core } = set;
  let { running } = set;
  const before = heapBytes();
  if (backlog === "failed") running = failOnce(core, depth, running);
  else for (let n = 0; n < depth; n++) core.submit(waiting(backlog, n));
  const bytes = (heapBytes() - before) / depth;
  let refilled = 0;
  const nanos: number[] = [];
  for (let round = 0; round < rounds; round++) {
    core.pass(1);
    const isEligible = backlog === "plain" || backlog === "ranked";
    for (let n = 0; n < CLAIMS; n++) core.submit(isEligible ? waiting(backlog, refilled++) : { type: "work" });
    const ended: LeasedAttempt[] = [];
    const from = performance.now();
    for (let n = 0; n < CLAIMS; n++) {
      const attempt = running.shift();
      if (attempt === undefined) throw new Error("somebody runs something");
      for (const next of core.succeed(attempt)) running.push(next);
      ended.push(attempt);
    }
    nanos.push(((performance.now() - from) * 1e6) / CLAIMS);
    core.forget(ended);
  }
  if (core.waiting < depth) throw new Error(`${core.waiting} tasks wait, expected ${depth}`);
  return { backlog, depth, nanos: middle(nanos), bytes };
}

function measureChoice(strategy: Strategy, count: number): Pick {
  const names = Array.from({ length: count }, (_, n) => ({ name: `a${n}` }));
  const core = new BareCore({ strategy }, names);
  const handIn = (): readonly LeasedAttempt[] => core.submit({ affinityKey: `key-${refilled++ % 100}` });
  let refilled = 0;
  const turnNanos: number[] = [];
  for (let round = 0; round < rounds; round++) {
    core.pass(1);
    const held: LeasedAttempt[] = [];
    const from = performance.now();
    // A tenth of the agents at most, so that about as many are free all the time.
    const times = Math.max(1, Math.min(CLAIMS, count / 10));
    for (let n = 0; n < times; n++) for (const attempt of handIn()) held.push(attempt);
    turnNanos.push(((performance.now() - from) * 1e6) / times);
    for (const attempt of held) core.succeed(attempt);
    core.forget(held);
  }
  return { strategy, agents: count, nanos: choiceAlone(strategy, core), turnNanos: middle(turnNanos) };
}

function choiceAlone(strategy: Strategy, core: BareCore): number {
  const seats = core.seats() as unknown as Candidates<Candidate>;
  const choose = BALANCERS[strategy];
  const random = createRandom(7);
  const choice = aChoice({ nowMs: 1_000_000, affinityKey: "key", crew: { inFlight: 1, agents: seats.length } });
  const times = Math.max(20, Math.round(20_000 / seats.length));
  const nanos: number[] = [];
  let seen = 0;
  for (let round = 0; round < rounds; round++) {
    const from = performance.now();
    for (let n = 0; n < times; n++) seen += choose(seats, choice, random)?.ordinal ?? 0;
    nanos.push(((performance.now() - from) * 1e6) / times);
  }
  if (seen < 0) throw new Error("somebody is chosen");
  return middle(nanos);
}

function inOwnProcess<T>(kind: "claim" | "choice", of: string): T {
  const flags = ["--expose-gc", "--max-old-space-size=8192", "--conditions=troupe-source"];
  const args = [...flags, fileURLToPath(import.meta.url), `--${kind}`, of, "--rounds", values.rounds];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" })) as T;
}

const list = (words: string): string[] => words.split(",");

/** Last is how much dearer a claim among 1e6 is than among 1e4. */
function claimLine(backlog: Backlog, claims: readonly Claim[]): string {
  const at = (depth: number): number | undefined => claims.find((claim) => claim.depth === depth)?.nanos;
  const [few, many] = [at(10_000), at(1_000_000)];
  const ratio = few === undefined || many === undefined ? "" : (many / few).toFixed(2);
  const nanos = claims.map((claim) => claim.nanos.toFixed(0).padStart(10)).join("");
  const bytes = claims[claims.length - 1]?.bytes.toFixed(0) ?? "";
  return `${backlog.padEnd(12)}${nanos}${bytes.padStart(12)}${ratio.padStart(12)}`;
}

if (values.claim !== undefined) {
  const [backlog = "", depth = ""] = list(values.claim);
  console.log(JSON.stringify(measureClaims(backlog as Backlog, Number(depth))));
} else if (values.choice !== undefined) {
  const [strategy = "", count = ""] = list(values.choice);
  console.log(JSON.stringify(measureChoice(strategy as Strategy, Number(count))));
} else {
  const depths = list(values.depths);
  const backlogs = BACKLOGS.filter((name) => list(values.only).includes(name));
  const wanted = list(values.only).includes("choice") ? list(values.strategies) : [];
  const say = (line: string): void => {
    if (!values.json) console.log(line);
  };
  say(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? "?"}\n`);
  say(`ns per claim among …${depths.map((depth) => depth.padStart(9)).join(" ")}  bytes/task   1e6 ÷ 1e4`);
  const claims = backlogs.flatMap((backlog) => {
    const found = depths.map((depth) => inOwnProcess<Claim>("claim", `${backlog},${depth}`));
    say(claimLine(backlog, found));
    return found;
  });
  const counts = list(values.agents);
  say(`\nns per choice (per turn) among …${counts.map((count) => count.padStart(17)).join("")}`);
  const choices = wanted.flatMap((strategy) => {
    const found = counts.map((count) => inOwnProcess<Pick>("choice", `${strategy},${count}`));
    const cells = found.map(({ nanos, turnNanos }) => `${nanos.toFixed(0)} (${turnNanos.toFixed(0)})`.padStart(17));
    say(`${strategy.padEnd(31)}${cells.join("")}`);
    return found;
  });
  if (values.json) console.log(JSON.stringify({ node: process.version, claims, choices }));
}
