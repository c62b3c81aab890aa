/** Pools of supervised daemons, seen through HTTP: real children, real ports, real deaths. */
import { createServer } from "node:net";
import { expect, test } from "vitest";
import type { PoolHealthView, PoolMemoryView, TaskView } from "../src/engine/view.ts";
import { daemonOf, type Problem, served } from "./served.ts";

const { ask } = served("daemons");

interface Unstarted extends Problem {
  readonly failures?: readonly {
    readonly agent: string;
    readonly reason: string;
    readonly logTail: readonly string[];
  }[];
}

const daemon = (...options: string[]) => daemonOf(options);
const fixed = (count: number) => ({ min: count, default: count, max: count });
const quick = { delayMs: 0, jitter: "none" };

const make = (pool: object) =>
  ask<Unstarted>("POST", "/v1/pools", { agents: [{ kind: "daemon" }], restart: quick, ...pool });
const remove = (id: string) => ask("DELETE", `/v1/pools/${id}?timeoutMs=0`);
const health = async (id: string): Promise<PoolHealthView> =>
  (await ask<PoolHealthView>("GET", `/health/pool?pool=${id}`)).body;
const run = async (pool: string, prompt: string, more: object = {}): Promise<TaskView> =>
  (await ask<TaskView>("POST", `/v1/pools/${pool}/tasks?waitMs=20000`, { prompt, ...more })).body;

/** Never 0 by mistake: that would be our own process group. */
function kill(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) throw new Error("the daemon has no process");
  process.kill(pid, signal);
}

/** A port with `count` free ones from it on. */
async function freeRange(count: number): Promise<number> {
  const isFree = (port: number): Promise<boolean> =>
    new Promise((done) => {
      const trial = createServer();
      trial.once("error", () => done(false));
      trial.listen(port, "127.0.0.1", () => trial.close(() => done(true)));
    });
  for (let base = 21_000; base < 60_000; base += 100) {
    const free = await Promise.all(Array.from({ length: count }, (_, i) => isFree(base + i)));
    if (free.every(Boolean)) return base;
  }
  throw new Error("no free ports");
}

test("S2-01 daemon i is called daemon_i and listens on base port + i", async () => {
  const basePort = await freeRange(3);
  expect((await make({ id: "ports", size: fixed(3), daemon: { ...daemon(), basePort } })).status).toBe(201);
  await expect.poll(async () => (await health("ports")).instances_healthy).toBe(3);
  const { instances } = await health("ports");
  expect(instances.map(({ id, port }) => [id, port])).toEqual([
    ["daemon_0", basePort],
    ["daemon_1", basePort + 1],
    ["daemon_2", basePort + 2],
  ]);
  await remove("ports");
});

test("a daemon that has had its share of attempts is started anew, and no task is lost or charged for it", async () => {
  await make({ id: "recycled", size: fixed(1), daemon: { ...daemon(), recycleAfter: 2 } });
  const tasks: TaskView[] = [];
  for (let n = 0; n < 5; n++) tasks.push(await run("recycled", "facts"));
  expect(tasks.map(({ status, attemptCount }) => [status, attemptCount])).toEqual(Array(5).fill(["completed", 1]));
  const pids = tasks.map(({ result }) => (result as { pid: number }).pid);
  expect(pids[1]).toBe(pids[0]);
  expect(pids[3]).toBe(pids[2]);
  expect(new Set(pids).size).toBe(3);
  const { daemon_restarts, failed_requests } = await health("recycled");
  expect([daemon_restarts, failed_requests]).toEqual([2, 0]);
  await remove("recycled");
});

test.runIf(process.platform === "linux")(
  "S2-24 S2-31 the memory of each daemon is told, and the limit if there is one",
  async () => {
    await make({ id: "told", size: fixed(2), daemon: daemon() });
    await expect.poll(async () => (await health("told")).instances_healthy).toBe(2);
    const { status, body } = await ask<PoolMemoryView>("GET", "/health/pool/memory?pool=told");
    expect(status).toBe(200);
    expect(body.instances.map(({ id, pid }) => [id, pid])).toEqual(
      (await health("told")).instances.map(({ id, pid }) => [id, pid]),
    );
    const held = body.instances.map(({ memory_mb }) => memory_mb ?? 0);
    for (const megabytes of held) expect(megabytes).toBeGreaterThan(5);
    expect(body.total_mb).toBeCloseTo((held[0] ?? 0) + (held[1] ?? 0), 1);
    expect(body.container_limit_mb ?? 1).toBeGreaterThan(0);
    expect((await ask<Problem>("GET", "/health/pool/memory?pool=none")).status).toBe(404);
    await remove("told");
  },
);

test.runIf(process.platform === "linux")(
  "a daemon that holds too much memory is started anew once it is empty",
  async () => {
    await make({ id: "grown", size: fixed(1), daemon: { ...daemon(), memoryLimitMb: 300 } });
    const first = await run("grown", "grow 1");
    expect((await run("grown", "grow 1")).result).toBe(first.result);
    expect((await run("grown", "grow 400")).result).toBe(first.result);
    expect((await run("grown", "grow 1")).result).not.toBe(first.result);
    expect(await health("grown")).toMatchObject({ daemon_restarts: 1, failed_requests: 0 });
    await remove("grown");
  },
);

test.each([
  [{ recycleAfter: 0 }, "daemon.recycleAfter"],
  [{ memoryLimitMb: 0 }, "daemon.memoryLimitMb"],
])("%j is refused by its path", async (options, path) => {
  const { status, body } = await make({ id: "worn", daemon: { ...daemon(), ...options } });
  expect([status, body.code, body.path]).toEqual([422, "invalid", path]);
});

test.each([
  [{ size: fixed(101) }, "size.max"],
  [{ size: { min: 0 } }, "size.min"],
])("S2-02 a pool of daemons has 1 to 100: %j is refused", async (size, path) => {
  const { status, body } = await make({ id: "sized", daemon: daemon(), ...size });
  expect([status, body.code, body.path]).toEqual([422, "invalid", path]);
});

test.each([
  [65_535, 1, true],
  [65_531, 5, true],
  [65_532, 5, false],
  [65_535, 2, false],
])("S2-03 S2-B10 base port %i for %i daemons fits below 65536: %s", async (basePort, count, fits) => {
  const missing = { ...daemon(), program: "/no/such/program", basePort };
  const { status, body } = await make({ id: "range", size: fixed(count), daemon: missing });
  // What fits is refused for the program only, so that no port is needed to know.
  expect([status, body.path]).toEqual([422, fits ? "agents[0].daemon.program" : "daemon.basePort"]);
});

test("S2-04 a program that is not there is refused before anything starts", async () => {
  const { status, body } = await make({ id: "gone", daemon: { ...daemon(), program: "/no/such/program" } });
  expect([status, body.code, body.path]).toEqual([422, "invalid", "agents[0].daemon.program"]);
  expect((await ask("GET", "/v1/pools/gone")).status).toBe(404);
});

test("S2-05 S2-B03 a pool starts when half of its daemons come up, and the others go on trying", async () => {
  const agents = [
    { kind: "daemon", count: 1 },
    { kind: "daemon", name: "broken", daemon: daemon("exit=3") },
  ];
  const restart = { delayMs: 60_000, jitter: "none" };
  expect((await make({ id: "half", agents, daemon: daemon(), restart })).status).toBe(201);
  await expect
    .poll(async () => (await health("half")).instances_by_state)
    .toEqual({ healthy: 1, unhealthy: 0, crashed: 1, restarting: 0 });
  expect((await run("half", "length abc")).status).toBe("completed");
  await remove("half");
});

test("S2-05 S2-L07 below half everything is stopped and the answer says why, with the log", async () => {
  const agents = [
    { kind: "daemon", count: 1 },
    { kind: "daemon", name: "b1", daemon: daemon("cry=out of luck", "exit=3") },
    { kind: "daemon", name: "b2", daemon: daemon("exit=4") },
  ];
  const { status, body } = await make({ id: "most", agents, daemon: daemon() });
  expect([status, body.code]).toEqual([503, "start_failed"]);
  expect(body.failures?.map(({ agent }) => agent).sort()).toEqual(["b1", "b2"]);
  expect(body.failures?.find(({ agent }) => agent === "b1")?.logTail.join("\n")).toContain("out of luck");
  expect((await ask("GET", "/v1/pools/most")).status).toBe(404);
});

test("S2-06 a daemon that never answers its health URL is not ready, and the pool does not start", async () => {
  const options = { ...daemon(), healthPath: "/nothing-here", readyTimeoutMs: 500, readyIntervalMs: 50 };
  const { status, body } = await make({ id: "mute", size: fixed(1), daemon: options });
  expect([status, body.code]).toEqual([503, "start_failed"]);
});

test("S2-08 daemons take turns, each with one request at a time", async () => {
  await make({ id: "turns", size: fixed(3), daemon: daemon(), strategy: "round_robin" });
  await expect.poll(async () => (await health("turns")).instances_healthy).toBe(3);
  const names: string[] = [];
  for (let n = 0; n < 6; n++) names.push((await run("turns", "length x")).attempts[0]?.agentName ?? "");
  expect(names).toEqual(["daemon_0", "daemon_1", "daemon_2", "daemon_0", "daemon_1", "daemon_2"]);
  const slow = Array.from({ length: 4 }, () => ask<TaskView>("POST", "/v1/pools/turns/tasks", { prompt: "hang" }));
  const ids = (await Promise.all(slow)).map(({ body }) => body.id);
  await expect.poll(async () => (await health("turns")).instances.filter(({ busy }) => busy).length).toBe(3);
  const states = await Promise.all(ids.map(async (id) => (await ask<TaskView>("GET", `/v1/tasks/${id}`)).body.status));
  expect(states.filter((status) => status === "pending")).toHaveLength(1);
  await remove("turns");
});

test("S2-07 S2-B02 S2-30 a daemon killed under load is seen crashed, restarting, healthy on the same port; no task is lost", async () => {
  await make({
    id: "load",
    size: fixed(3),
    daemon: daemon(),
    restart: { delayMs: 300, jitter: "none" },
    retry: { maxAttempts: 4 },
  });
  await expect.poll(async () => (await health("load")).instances_healthy).toBe(3);
  const before = await health("load");
  const [victim] = before.instances;
  const tasks = Array.from({ length: 60 }, (_, n) => ({ prompt: `length ${"x".repeat(n)}` }));
  const batch = await ask<{ items: TaskView[] }>("POST", "/v1/pools/load/tasks/batch", { tasks });
  const seen = new Set<string>();
  const watch = (async () => {
    while (!seen.has("healthy again")) {
      const state = (await health("load")).instances.find(({ id }) => id === victim?.id)?.state ?? "";
      if (state === "healthy" && seen.has("restarting")) seen.add("healthy again");
      else if (state !== "healthy") seen.add(state);
    }
  })();
  kill(victim?.pid, "SIGKILL");
  const settled = await Promise.all(
    batch.body.items.map(async ({ id }) => (await ask<TaskView>("GET", `/v1/tasks/${id}?waitMs=60000`)).body),
  );
  expect(settled.map(({ status, result }) => [status, result])).toEqual(tasks.map((_, n) => ["completed", n]));
  await watch;
  expect([...seen]).toEqual(["crashed", "restarting", "healthy again"]);
  const after = (await health("load")).instances.find(({ id }) => id === victim?.id);
  expect(after).toMatchObject({ port: victim?.port, restart_count: 1 });
  expect(after?.pid).not.toBe(victim?.pid);
  await remove("load");
});

test("S2-17 S2-18 after its restarts are used up a daemon stays crashed, and the count is kept", async () => {
  await make({
    id: "budget",
    size: fixed(2),
    daemon: daemon(),
    restart: { ...quick, max: 2, quarantineMs: 0 },
    retry: { maxAttempts: 10 },
  });
  await expect.poll(async () => (await health("budget")).instances_healthy).toBe(2);
  const one = async () => (await health("budget")).instances[0];
  const stateAndCount = async () => {
    const seen = await one();
    return [seen?.state, seen?.restart_count];
  };
  for (let death = 1; death <= 3; death++) {
    kill((await one())?.pid, "SIGKILL");
    if (death === 3) break;
    await expect.poll(stateAndCount, { timeout: 10_000 }).toEqual(["healthy", death]);
  }
  await expect.poll(async () => (await one())?.state).toBe("crashed");
  const agents = await ask<{ items: object[] }>("GET", "/v1/pools/budget/agents");
  expect(agents.body.items[0]).toMatchObject({
    lifecycle: "quarantined",
    restarts: 2,
    lastExit: { signal: "SIGKILL" },
  });
  expect((await run("budget", "length abc")).status).toBe("completed");
  await remove("budget");
});

test("S2-19 a daemon that ignores SIGTERM is killed when its pool is deleted", async () => {
  await make({ id: "deaf", size: fixed(1), daemon: daemon("ignore-sigterm"), stopMs: 100 });
  await expect.poll(async () => (await health("deaf")).instances_healthy).toBe(1);
  const pid = (await health("deaf")).instances[0]?.pid ?? 0;
  await remove("deaf");
  await expect
    .poll(
      () => {
        try {
          return process.kill(pid, 0);
        } catch {
          return "gone";
        }
      },
      { timeout: 10_000 },
    )
    .toBe("gone");
});

test("S2-21 S2-22 the status sums requests, failures and restarts, and /health tells of trouble", async () => {
  await make({
    id: "sums",
    size: fixed(2),
    daemon: daemon(),
    restart: { delayMs: 60_000, jitter: "none" },
    retry: { maxAttempts: 1 },
  });
  await expect.poll(async () => (await health("sums")).instances_healthy).toBe(2);
  await run("sums", "length abc");
  await run("sums", 'raw [500, {}, "no"]');
  expect(await health("sums")).toMatchObject({
    pool_size: 2,
    instances_total: 2,
    instances_healthy: 2,
    pool_health_percentage: 100,
    total_requests: 2,
    failed_requests: 1,
    daemon_restarts: 0,
  });
  expect((await ask<{ status: string }>("GET", "/health")).body.status).toBe("healthy");
  kill((await health("sums")).instances[0]?.pid, "SIGKILL");
  await expect.poll(async () => (await health("sums")).pool_health_percentage).toBe(50);
  expect((await ask<{ status: string }>("GET", "/health")).body.status).toBe("degraded");
  await remove("sums");
});

test("S2-B07 bad input is the task's fault: the daemon is unharmed and nobody else is tried", async () => {
  await make({ id: "blame", size: fixed(2), daemon: daemon() });
  await expect.poll(async () => (await health("blame")).instances_healthy).toBe(2);
  const task = await run("blame", "fail");
  expect(task).toMatchObject({ status: "failed", attemptCount: 1, failedAgentIds: [], error: { blame: "task" } });
  expect((await health("blame")).failed_requests).toBe(0);
  await remove("blame");
});

test("an attempt that takes too long is stopped and tried on another daemon", async () => {
  await make({ id: "slow", size: fixed(2), daemon: daemon(), timeoutMs: 300, retry: { maxAttempts: 2 } });
  await expect.poll(async () => (await health("slow")).instances_healthy).toBe(2);
  const task = await run("slow", "hang");
  expect(task).toMatchObject({ status: "failed", attemptCount: 2, error: { code: "exhausted", blame: "agent" } });
  expect(task.attempts.map(({ outcome }) => outcome)).toEqual(["timed_out", "timed_out"]);
  expect(new Set(task.attempts.map(({ agentName }) => agentName)).size).toBe(2);
  await remove("slow");
});

test("a daemon that stops answering loses its lease, and its task goes to another", async () => {
  const lease = { ttlMs: 1_000, renewMs: 200 };
  const probe = { intervalMs: 100, timeoutMs: 100, fall: 3, rise: 1 };
  await make({ id: "frozen", size: fixed(2), daemon: daemon(), lease, probe, strategy: "round_robin" });
  await expect.poll(async () => (await health("frozen")).instances_healthy).toBe(2);
  const [first] = (await health("frozen")).instances;
  const { body } = await ask<TaskView>("POST", "/v1/pools/frozen/tasks", { prompt: "hang" });
  await expect.poll(async () => (await ask<TaskView>("GET", `/v1/tasks/${body.id}`)).body.status).toBe("in_progress");
  kill(first?.pid, "SIGSTOP");
  const moved = async () =>
    (await ask<TaskView>("GET", `/v1/tasks/${body.id}`)).body.attempts.map(({ agentName, outcome }) => [
      agentName,
      outcome,
    ]);
  await expect.poll(moved, { timeout: 15_000 }).toEqual([
    ["daemon_0", "lost"],
    ["daemon_1", undefined],
  ]);
  await remove("frozen");
});
