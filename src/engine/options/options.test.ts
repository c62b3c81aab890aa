import { expect, test } from "vitest";
import { systemEntropy } from "../../base/random.ts";
import { refusal } from "../../testing/world.ts";
import { submissionOf } from "../submission.ts";
import { parseWith } from "./parse.ts";
import { type PoolOptionsInput, resolvePool } from "./pool.ts";
import { checkedTask, prioritySchema, quicklyChecked, taskSchema } from "./task.ts";

const NOW = Date.parse("2030-01-01T00:00:00Z");

const pool = (input: unknown = {}) => resolvePool(input, () => "pool-1");
const SOURCES = { turnClock: { now: () => NOW }, entropy: systemEntropy };
const task = (input: Record<string, unknown> = {}) =>
  submissionOf(checkedTask({ prompt: "do it", ...input }), pool(), SOURCES).spec;
/** Where the first problem lies. */
const poolPath = (input: unknown): unknown => pathOf(() => pool(input));
const taskPath = (input: unknown): unknown => pathOf(() => checkedTask(input));

function pathOf(act: () => unknown): unknown {
  const error = refusal(act);
  expect(error.code).toBe("invalid");
  return error.details.path;
}

test("an empty pool has every default", () => {
  expect(pool()).toMatchObject({
    id: "pool-1",
    types: undefined,
    unknownType: "refuse",
    size: { min: 1, default: 4, max: 16 },
    agents: [],
    queue: { limit: 10_000, blockedLimit: 10_000, delayedLimit: 10_000 },
    ageing: { stepMs: 600_000 },
    retry: {
      maxAttempts: 3,
      failover: "immediate",
      refundLimit: 20,
      backoff: { baseMs: 200, factor: 2, capMs: 20_000, jitter: "full" },
    },
    lease: { ttlMs: 30_000, renewMs: 10_000 },
    timeoutMs: undefined,
    stopMs: 5_000,
    abandonMs: 60_000,
    restart: {
      delayMs: 1_000,
      factor: 2,
      capMs: 60_000,
      jitter: "full",
      max: 5,
      windowMs: 60_000,
      stableMs: 600_000,
      quarantineMs: 300_000,
    },
    probe: { intervalMs: 10_000, timeoutMs: 2_000, fall: 3, rise: 2 },
  });
});

test("nothing at all is an empty pool", () => {
  expect(pool(undefined)).toEqual(pool({}));
});

test("S4-02 an id that is given is kept, else it is drawn", () => {
  expect([pool({ id: "mine" }).id, pool().id]).toEqual(["mine", "pool-1"]);
});

test("what is given of a group goes over its defaults, what is absent or undefined does not", () => {
  expect(pool({ retry: { maxAttempts: 1, backoff: { baseMs: 5, factor: undefined } } }).retry).toMatchObject({
    maxAttempts: 1,
    refundLimit: 20,
    backoff: { baseMs: 5, factor: 2, capMs: 20_000 },
  });
  expect(pool({ queue: { limit: 0 } }).queue).toMatchObject({ limit: 0, blockedLimit: 10_000, delayedLimit: 10_000 });
});

test("ageing may be off, on with its default, or on with a step of its own", () => {
  expect([pool({ ageing: false }).ageing, pool({ ageing: {} }).ageing, pool({ ageing: { stepMs: 1 } }).ageing]).toEqual(
    [false, { stepMs: 600_000 }, { stepMs: 1 }],
  );
});

test("an unknown field is refused by its path, at any depth", () => {
  expect(poolPath({ sise: {} })).toBe("sise");
  expect(poolPath({ retry: { backoff: { baseMS: 1 } } })).toBe("retry.backoff.baseMS");
  expect(poolPath({ agents: [{ kind: "function" }, { kind: "function", nome: "x" }] })).toBe("agents[1].nome");
  expect(taskPath({ prompt: "x", prio: 1 })).toBe("prio");
});

test("the path of a problem may begin where the value stands in a request", () => {
  expect(pathOf(() => parseWith(taskSchema, { prompt: 3 }, "tasks[2]"))).toBe("tasks[2].prompt");
  expect(pathOf(() => parseWith(taskSchema, null, "tasks[2]"))).toBe("tasks[2]");
});

/** A field, the largest value below it that is refused, its bounds, and the smallest above. */
const BOUNDS: readonly [path: string, below: number, min: number, max: number, above: number][] = [
  ["size.max", 0, 4, 10_000, 10_001],
  ["queue.limit", -1, 0, 10_000_000, 10_000_001],
  ["queue.blockedLimit", -1, 0, 10_000_000, 10_000_001],
  ["queue.delayedLimit", -1, 0, 10_000_000, 10_000_001],
  ["retry.maxAttempts", 0, 1, 1_000, 1_001],
  ["retry.refundLimit", -1, 0, 10_000, 10_001],
  ["retry.backoff.baseMs", -1, 0, 2_592_000_000, 2_592_000_001],
  ["retry.backoff.factor", 0.99, 1, 100, 100.01],
  ["ageing.stepMs", 0, 1, 2_592_000_000, 2_592_000_001],
  ["timeoutMs", 0, 1, 2_592_000_000, 2_592_000_001],
  ["stopMs", -1, 0, 2_592_000_000, 2_592_000_001],
  ["abandonMs", -1, 0, 2_592_000_000, 2_592_000_001],
  ["restart.max", -1, 0, 1_000_000, 1_000_001],
  ["restart.windowMs", 0, 1, 2_592_000_000, 2_592_000_001],
  ["restart.quarantineMs", -1, 0, 2_592_000_000, 2_592_000_001],
  ["probe.fall", 0, 1, 1_000, 1_001],
  ["probe.rise", 0, 1, 1_000, 1_001],
  ["probe.intervalMs", 9, 10, 2_592_000_000, 2_592_000_001],
];

for (const [path, below, min, max, above] of BOUNDS) {
  test(`${path} is ${min} to ${max}`, () => {
    const at = (value: unknown): unknown => path.split(".").reduceRight((inner, key) => ({ [key]: inner }), value);
    for (const allowed of [min, max]) expect(() => pool(at(allowed)), `${allowed}`).not.toThrow();
    for (const refused of [below, above, Number.NaN, Number.POSITIVE_INFINITY, "1", null]) {
      expect(String(poolPath(at(refused))).startsWith(path.split(".")[0] ?? ""), `${refused}`).toBe(true);
    }
  });
}

test("S0-B13 sizes are at least 1", () => {
  for (const field of ["min", "default", "max"]) {
    for (const size of [0, -1, 1.5]) expect(poolPath({ size: { [field]: size } })).toBe(`size.${field}`);
    expect(() => pool({ size: { [field]: 1 } })).not.toThrow();
  }
});

test("min, default and max of a size must agree", () => {
  expect(pool({ size: { min: 2, default: 3, max: 4 } }).size).toEqual({ min: 2, default: 3, max: 4 });
  expect(pool({ size: { min: 3, default: 3, max: 3 } }).size).toEqual({ min: 3, default: 3, max: 3 });
  expect(poolPath({ size: { min: 5, max: 4 } })).toBe("size.min");
  expect(poolPath({ size: { min: 2, default: 1 } })).toBe("size.default");
  expect(poolPath({ size: { default: 5, max: 4 } })).toBe("size.default");
});

test("what is absent of a size follows what is given", () => {
  expect(pool({ size: { min: 20 } }).size).toEqual({ min: 20, default: 20, max: 20 });
  expect(pool({ size: { default: 30 } }).size).toEqual({ min: 1, default: 30, max: 30 });
  expect(pool({ size: { max: 2 } }).size).toEqual({ min: 1, default: 2, max: 2 });
  expect(pool({ size: { min: 6 } }).size).toEqual({ min: 6, default: 6, max: 16 });
});

test("a lease is renewed at least twice in its time", () => {
  expect(pool({ lease: { ttlMs: 1_000, renewMs: 500 } }).lease).toEqual({ ttlMs: 1_000, renewMs: 500 });
  expect(poolPath({ lease: { ttlMs: 1_000, renewMs: 501 } })).toBe("lease.renewMs");
  expect(poolPath({ lease: { ttlMs: 19_999 } })).toBe("lease.renewMs");
  expect(poolPath({ lease: { ttlMs: 99, renewMs: 10 } })).toBe("lease.ttlMs");
  expect(poolPath({ lease: { renewMs: 9 } })).toBe("lease.renewMs");
});

test("`size` drives the one entry with neither name nor count; a second such entry is refused", () => {
  const agents = [{ kind: "function" }, { kind: "function", name: "x" }, { kind: "function", count: 7 }];
  expect(pool({ size: { default: 3 }, agents }).agents.map(({ count }) => count)).toEqual([3, 1, 7]);
  expect(poolPath({ agents: [{ kind: "function" }, { kind: "function" }] })).toBe("agents");
});

test("an entry with a name is one agent, and a name stands once", () => {
  expect(poolPath({ agents: [{ kind: "function", name: "x", count: 2 }] })).toBe("agents[0].count");
  expect(
    poolPath({
      agents: [
        { kind: "function", name: "x" },
        { kind: "function", name: "x" },
      ],
    }),
  ).toBe("agents[1].name");
});

test("an entry has every default, and its capabilities once", () => {
  const [agent] = pool({ agents: [{ kind: "function", name: "x", capabilities: ["b", "a", "b"] }] }).agents;
  expect(agent).toMatchObject({ count: 1, capabilities: ["b", "a"], concurrency: 1, weight: 1, priority: 0, env: {} });
});

test("`restart` and `probe` of an entry go over the pool's, and those over the defaults", () => {
  const { agents } = pool({
    restart: { max: 7, delayMs: 5 },
    probe: { fall: 9 },
    agents: [
      { kind: "function", name: "own", restart: { delayMs: 6 }, probe: { rise: 4 } },
      { kind: "function", name: "plain" },
    ],
  });
  expect(agents[0]).toMatchObject({ restart: { max: 7, delayMs: 6, factor: 2 }, probe: { fall: 9, rise: 4 } });
  expect(agents[1]).toMatchObject({ restart: { max: 7, delayMs: 5, factor: 2 }, probe: { fall: 9, rise: 2 } });
});

test("remote agents join by themselves and can't be listed", () => {
  expect(poolPath({ agents: [{ kind: "remote", name: "x" }] })).toBe("agents[0].kind");
});

test("a pool with `daemon` and no entries has one entry of daemons", () => {
  const { agents } = pool({ daemon: { program: "/bin/server" }, size: { default: 2 } });
  expect(agents).toMatchObject([
    {
      kind: "daemon",
      count: 2,
      daemon: {
        program: "/bin/server",
        args: [],
        path: "/",
        basePort: 8080,
        healthPath: "/health",
        readyTimeoutMs: 30_000,
        readyIntervalMs: 200,
        readyProbeMs: 500,
        readyShare: 0.5,
        link: [],
      },
    },
  ]);
});

test("a daemon needs to know how it is started, a command what it runs", () => {
  expect(poolPath({ agents: [{ kind: "daemon", name: "x" }] })).toBe("agents[0].daemon");
  expect(poolPath({ agents: [{ kind: "command", name: "x" }] })).toBe("agents[0].program");
});

test("an entry's own `daemon` goes instead of the pool's", () => {
  const { agents } = pool({
    daemon: { program: "/bin/a" },
    agents: [
      { kind: "daemon", name: "a" },
      { kind: "daemon", name: "b", daemon: { program: "/bin/b" } },
    ],
  });
  expect(agents.map(({ daemon }) => daemon?.program)).toEqual(["/bin/a", "/bin/b"]);
});

test("a command may stand in the entry itself or under `command`, with its defaults", () => {
  const defaults = { args: [], stdin: "prompt", output: "text", exitCodes: { task: [65], throttle: [75] } };
  const { agents } = pool({
    agents: [
      { kind: "command", name: "a", program: "cat" },
      { kind: "command", name: "b", command: { program: "cat", exitCodes: { task: [3] } } },
    ],
  });
  expect(agents[0]?.command).toEqual({ program: "cat", ...defaults });
  expect(agents[1]?.command).toEqual({ program: "cat", ...defaults, exitCodes: { task: [3], throttle: [75] } });
});

test("the last port that daemons need is at most 65535, and port 0 lets the system choose", () => {
  const daemons = (basePort: number, count: number) =>
    pool({ daemon: { program: "x", basePort }, agents: [{ kind: "daemon", count }] });
  expect(() => daemons(65_533, 3)).not.toThrow();
  expect(pathOf(() => daemons(65_533, 4))).toBe("daemon.basePort");
  expect(() => daemons(0, 50)).not.toThrow();
});

test("a pool has at most as many daemons as the server allows", () => {
  const daemons = (count: number) =>
    resolvePool({ daemon: { program: "x" }, agents: [{ kind: "daemon", count }] }, () => "p", { maxProcesses: 3 });
  expect(() => daemons(3)).not.toThrow();
  expect(pathOf(() => daemons(4))).toBe("size");
  const usual = (count: number) => pool({ daemon: { program: "x" }, agents: [{ kind: "daemon", count }] });
  expect(() => usual(100)).not.toThrow();
  expect(pathOf(() => usual(101))).toBe("size");
});

test("S3-02 S3-B37 priorities are numbers or names, `normal` is medium, and medium is the default", () => {
  const priorities = ["critical", "high", "medium", "normal", "low", 1, 2, 3, 4];
  expect(priorities.map((priority) => task({ priority }).priority)).toEqual([1, 2, 3, 3, 4, 1, 2, 3, 4]);
  expect(task().priority).toBe(3);
  for (const priority of [0, 5, 1.5, "1", "urgent", null]) {
    expect(prioritySchema.safeParse(priority).success, `${priority}`).toBe(false);
  }
});

test("a task needs a prompt or an input, and either may be empty", () => {
  expect(taskPath({})).toBe("prompt");
  expect(() => task({ prompt: "" })).not.toThrow();
  for (const input of [null, 0, "", false, [], {}]) expect(() => checkedTask({ input })).not.toThrow();
});

test("S3-B19 dependencies and requirements stand once, requirements in order", () => {
  const { dependencies, requires } = task({ dependencies: ["b", "a", "b"], requires: ["y", "x", "y"] });
  expect([dependencies, requires]).toEqual([
    ["b", "a"],
    ["x", "y"],
  ]);
  expect([task().dependencies, task().requires]).toEqual([[], []]);
});

test("instants are epoch milliseconds, in whatever offset they were given", () => {
  expect(task({ deadlineAt: "2030-01-01T01:00:00+01:00" }).deadlineAtMs).toBe(NOW);
  expect(task({ runAt: "2030-01-01T00:00:01.5Z" }).runAtMs).toBe(NOW + 1_500);
  for (const instant of ["2030-01-01", "tomorrow", 5, "2030-13-01T00:00:00Z"]) {
    expect(taskPath({ prompt: "x", runAt: instant })).toBe("runAt");
  }
});

test("a delay becomes an instant; none, and a delay of 0, is at once", () => {
  expect([task({ delayMs: 250 }).runAtMs, task({ delayMs: 0 }).runAtMs, task().runAtMs]).toEqual([
    NOW + 250,
    undefined,
    undefined,
  ]);
  expect(taskPath({ prompt: "x", delayMs: -1 })).toBe("delayMs");
});

test("`runAt` and `delayMs` exclude each other", () => {
  expect(taskPath({ prompt: "x", runAt: "2030-01-01T00:00:00Z", delayMs: 1 })).toBe("delayMs");
});

test("ids of tasks follow the rule for ids", () => {
  for (const id of ["", "a b", "x".repeat(129), 7]) expect(taskPath({ prompt: "x", id })).toBe("id");
  expect(task({ id: "x".repeat(128) }).id).toHaveLength(128);
  expect(taskPath({ prompt: "x", dependencies: ["ok", "not ok"] })).toBe("dependencies[1]");
});

test("a task's numbers have bounds", () => {
  const refused: Record<string, unknown[]> = {
    maxAttempts: [0, 1_001, 1.5],
    timeoutMs: [0, 2_592_000_001],
    idempotencyKey: ["", "x".repeat(257)],
    preferredAgent: ["", "x".repeat(129)],
    onDependencyFailure: ["ignore"],
    retryable: ["yes"],
    requires: [Array.from({ length: 65 }, (_, n) => `c${n}`)],
  };
  for (const [field, values] of Object.entries(refused)) {
    for (const value of values) expect(taskPath({ prompt: "x", [field]: value }), field).toBe(field);
  }
  for (const allowed of [
    { maxAttempts: 1 },
    { maxAttempts: 1_000 },
    { timeoutMs: 1 },
    { idempotencyKey: "x".repeat(256) },
  ]) {
    expect(() => task(allowed)).not.toThrow();
  }
});

/** A good and a bad value of each field that is judged by itself. */
const FIELDS: readonly [field: string, good: unknown, bad: unknown][] = [
  ["id", "mine", "no spaces"],
  ["type", "review", 7],
  ["type", "x".repeat(128), "x".repeat(129)],
  ["type", "größer / c++", ""],
  ["context", { a: [1, null] }, { a: () => {} }],
  ["metadata", { a: "b" }, []],
  ["requires", ["x", "x"], ["two\nlines"]],
  ["priority", "high", 5],
  ["dependencies", ["a", "a"], "a"],
  ["onDependencyFailure", "run", "walk"],
  ["preferredAgent", "ada", 1],
  ["fairnessKey", "k", ""],
  ["affinityKey", "k", "x".repeat(257)],
  ["tenant", "x".repeat(256), "x".repeat(257)],
  ["budget", { tokens: 1 }, {}],
  ["idempotencyKey", "k", null],
  ["maxAttempts", 1_000, 1_001],
  ["retryable", false, "no"],
  ["timeoutMs", 1, 0],
  ["parentId", "p", ""],
];

test("what is checked quickly is what the whole schema makes of it", () => {
  for (const [field, good] of FIELDS) {
    const input = { prompt: "do it", [field]: good };
    expect(quicklyChecked(input), field).toEqual(taskSchema.parse(input));
  }
  expect(quicklyChecked(Object.fromEntries([["prompt", "x"], ...FIELDS]))).toMatchObject({ maxAttempts: 1_000 });
  expect(quicklyChecked({ prompt: "", type: undefined })).toEqual(taskSchema.parse({ prompt: "", type: undefined }));
});

test("what is wrong, and what is judged together, is left to the whole schema", () => {
  for (const [field, , bad] of FIELDS) expect(quicklyChecked({ prompt: "x", [field]: bad }), field).toBeUndefined();
  const related = {
    input: 1,
    runAt: "2030-01-01T00:00:00Z",
    delayMs: 1,
    deadlineAt: "2030-01-01T00:00:00Z",
    escalate: {},
  };
  for (const [field, value] of Object.entries(related)) {
    expect(quicklyChecked({ prompt: "x", [field]: value }), field).toBeUndefined();
  }
  const odd: readonly unknown[] = [
    undefined,
    null,
    "x",
    [],
    {},
    { prompt: 3 },
    { type: "a" },
    { prompt: "x", prio: 1 },
    { prompt: "x", constructor: 1 },
  ];
  for (const input of [
    ...odd,
    new (class {
      prompt = "x";
    })(),
    Object.create({ prompt: "x" }),
  ]) {
    expect(quicklyChecked(input)).toBeUndefined();
  }
});

test("each field of a task is judged by itself or together with others", () => {
  const related = ["prompt", "input", "runAt", "delayMs", "deadlineAt", "escalate"];
  expect([...new Set(FIELDS.map(([field]) => field)), ...related].sort()).toEqual(Object.keys(taskSchema.shape).sort());
});

test("a minimum that was not given gives way to a smaller window; one that was given is refused", () => {
  const resolved = (input: PoolOptionsInput) => resolvePool(input, () => "p");
  expect(resolved({ breaker: { window: 3 } }).breaker).toMatchObject({ window: 3, minimum: 3 });
  expect(resolved({ health: { window: 3 } }).health).toMatchObject({ window: 3, minimum: 3 });
  expect(resolved({ health: { unhealthy: 0.2 } }).health).toMatchObject({ degraded: 0.2, unhealthy: 0.2 });
  expect(() => resolved({ breaker: { window: 3, minimum: 4 } })).toThrow(
    "breaker.minimum: expected at most breaker.window (3)",
  );
  expect(() => resolved({ health: { window: 3, minimum: 4 } })).toThrow(
    "health.minimum: expected at most health.window (3)",
  );
  expect(() => resolved({ health: { degraded: 0.3, unhealthy: 0.2 } })).toThrow("health.degraded");
});
