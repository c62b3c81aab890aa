/**
 * What the tricks of the hot path are worth, each beside the plain way of doing the same.
 *
 *   npm run bench:units
 *
 * CPU time per operation, the middle of five interleaved rounds; bytes that stay, after a full collection.
 */
import { randomUUID } from "node:crypto";
import { IntMap } from "../src/base/int-map.ts";
import { systemEntropy } from "../src/base/random.ts";
import { SlotMap } from "../src/base/slot-map.ts";
import { quicklyChecked, taskSchema } from "../src/engine/options/task.ts";
import { NO_OUTCOMES } from "../src/policies/outcomes.ts";

interface Case {
  readonly name: string;
  readonly plain: () => unknown;
  readonly ours: () => unknown;
}

const REACH = { window: 20, maxAgeMs: 300_000 };

function outcomesCopied(): () => unknown {
  let outcomes: readonly { atMs: number; failed: boolean }[] = [];
  let atMs = 0;
  return () => {
    atMs += 1;
    outcomes = [...outcomes, { atMs, failed: atMs % 9 === 0 }].slice(-REACH.window);
    return outcomes.filter(({ failed }) => failed).length;
  };
}

function outcomesViewed(): () => unknown {
  let outcomes = NO_OUTCOMES;
  let atMs = 0;
  return () => {
    atMs += 1;
    outcomes = outcomes.with({ atMs, failed: atMs % 9 === 0 }, REACH);
    return outcomes.failures;
  };
}

interface Churned {
  set(key: number, value: object): unknown;
  get(key: number): object | undefined;
  delete(key: number): boolean;
}

/** So many are in it at any time. */
const STAYING = 64;

/** One comes, one is asked for, one goes, in a map that has grown old. */
function churn(map: Churned): () => unknown {
  let key = 0;
  const once = (): object | undefined => {
    key += 1;
    map.set(key, { key, body: new Array(60).fill(key) });
    map.delete(key - STAYING);
    return map.get(key - 1);
  };
  once();
  let old: unknown;
  for (let n = 0; n < 1_000_000; n++) old = Array.from({ length: 20 }, () => old === undefined);
  return once;
}

const CASES: readonly Case[] = [
  { name: "id of a task", plain: randomUUID, ours: systemEntropy.uuid },
  { name: "map of what passes", plain: churn(new Map()), ours: churn(new IntMap()) },
  { name: "the same, slots", plain: churn(new Map()), ours: churn(new SlotMap()) },
  { name: "one more outcome", plain: outcomesCopied(), ours: outcomesViewed() },
  {
    name: "check of a task",
    plain: () => taskSchema.safeParse({ prompt: "x", type: "review" }),
    ours: () => quicklyChecked({ prompt: "x", type: "review" }),
  },
];

const TIMES = 300_000;

function nanosOf(run: () => unknown): number {
  const before = process.cpuUsage();
  let kept: unknown;
  for (let n = 0; n < TIMES; n++) kept = run();
  const { user, system } = process.cpuUsage(before);
  return kept === undefined ? Number.NaN : ((user + system) * 1_000) / TIMES;
}

function bytesOf(run: () => unknown): number {
  const kept: unknown[] = Array.from({ length: TIMES / 10 }, () => 0);
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  for (let n = 0; n < kept.length; n++) kept[n] = run();
  globalThis.gc?.();
  return (process.memoryUsage().heapUsed - before) / kept.length;
}

const middle = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

console.log("                        plain ns    ours ns   plain bytes   ours bytes");
for (const { name, plain, ours } of CASES) {
  const rounds = Array.from({ length: 5 }, () => [nanosOf(plain), nanosOf(ours)] as const);
  const figures = [
    middle(rounds.map(([nanos]) => nanos)),
    middle(rounds.map(([, nanos]) => nanos)),
    bytesOf(plain),
    bytesOf(ours),
  ];
  const [first = "", second = "", third = "", fourth = ""] = figures.map((figure) => figure.toFixed(0));
  console.log(
    `${name.padEnd(22)}${first.padStart(10)}${second.padStart(11)}${third.padStart(14)}${fourth.padStart(13)}`,
  );
}
