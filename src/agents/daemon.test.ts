import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, readlink, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { basename, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import {
  aContext,
  aDirectory,
  daemonOptions,
  isAlive,
  killAfterwards,
  until,
} from "../../test/fixtures/agents/world.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import type { DaemonOptions } from "../core/pool.ts";
import { agentContract, anAttempt, anIdentity, EventLog, runBy } from "../testing/agent-contract.ts";
import type { Attempt, RunEnd } from "./agent.ts";
import { type DaemonDriver, daemonDriver } from "./daemon.ts";
import type { ProcessContext } from "./process-context.ts";
import { RESULT_LIMIT_BYTES } from "./run-end.ts";

const get = async (port: number | undefined, path: string): Promise<unknown> =>
  (await fetch(`http://127.0.0.1:${port}${path}`)).json();

agentContract("daemon", async () => {
  const context = await aContext();
  const driver = daemonDriver(anIdentity({ kind: "daemon" }), daemonOptions(), context);
  return {
    driver,
    diesAsAWhole: true,
    stopsRuns: true,
    hanging: (count) => until(async () => (await get(driver.port, "/hanging")) === count, `${count} runs hang`),
    close: () => context.warden.close(),
  };
});

interface Setup {
  readonly words?: readonly string[];
  readonly options?: Partial<DaemonOptions>;
  readonly context?: Partial<ProcessContext>;
  readonly ordinal?: number;
}

interface World {
  readonly driver: DaemonDriver;
  readonly events: EventLog;
  readonly context: ProcessContext;
  ask(prompt: string | undefined, signal?: AbortSignal): Promise<RunEnd>;
}

async function open({ words = [], options = {}, context: given = {}, ordinal = 0 }: Setup = {}): Promise<World> {
  const context = await aContext(given);
  const driver = daemonDriver(anIdentity({ kind: "daemon", ordinal }), daemonOptions(words, options), context);
  onTestFinished(() => driver.close());
  const events = new EventLog();
  driver.start(events);
  const ask = (prompt: string | undefined, signal = new AbortController().signal): Promise<RunEnd> =>
    runBy(driver, anAttempt({ prompt }, signal));
  return { driver, events, context, ask };
}

async function openReady(setup: Setup = {}): Promise<World> {
  const world = await open(setup);
  await world.events.untilReady();
  return world;
}

interface Facts {
  readonly pid: number;
  readonly cwd: string;
  readonly argv: readonly string[];
  readonly env: Record<string, string>;
  readonly headers: Record<string, string>;
  readonly url: string;
  readonly connections: number;
  readonly body: unknown;
}

function resultOf<T = Facts>(end: RunEnd): T {
  if (!("result" in end)) throw new Error(`expected a result, got ${JSON.stringify(end.outcome)}`);
  return end.result as T;
}

/** A server that is none of ours, on a port of its own. */
async function aStranger(): Promise<{ server: Server; port: number }> {
  const server = createServer((_, response) => response.end("ok"));
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  onTestFinished(() => void server.close());
  return { server, port: (server.address() as AddressInfo).port };
}

/** A port that was free a moment ago. */
async function aFreePort(): Promise<number> {
  const { server, port } = await aStranger();
  await new Promise((closed) => server.close(closed));
  return port;
}

test("S2-L08 S4-L07 posts { taskId, attempt, type, prompt, input, context } to its path", async () => {
  const { driver } = await openReady({ options: { path: "/run?now=1" } });
  const task: Partial<Attempt["task"]> = { type: "research", attempt: 2, input: { a: 1 }, context: { b: [2] } };
  const facts = resultOf(await runBy(driver, anAttempt(task)));
  expect(facts.url).toBe("/run?now=1");
  expect(facts.body).toEqual({ taskId: "task-1", attempt: 2, type: "research", input: { a: 1 }, context: { b: [2] } });
  expect(facts.headers).toMatchObject({ "content-type": "application/json" });
  expect(facts.headers).not.toHaveProperty("authorization");
});

test("S2-B12 sends its token with every request", async () => {
  const { ask } = await openReady({ options: { token: "secret" } });
  expect(resultOf(await ask("facts")).headers.authorization).toBe("Bearer secret");
});

test("S2-01 daemon i listens on base port + i, told by {port}, {id} and PORT", async () => {
  const port = await aFreePort();
  const ordinal = 3;
  const { driver, ask } = await openReady({
    ordinal,
    words: ["{id}", "x{dir}x"],
    options: { basePort: port - ordinal },
  });
  const { argv, env, cwd } = resultOf(await ask("facts"));
  expect(driver.port).toBe(port);
  expect(argv.slice(2)).toEqual([String(port), "3", `x${cwd}x`]);
  expect(env.PORT).toBe(String(port));
});

test("S2-20 S2-B13 works in a directory of its own, for itself alone, with links to what it shares", async () => {
  const shared = await aDirectory();
  await writeFile(join(shared, "model.bin"), "weights");
  const { ask, context } = await openReady({ options: { link: [shared, join(shared, "model.bin")] } });
  const { cwd } = resultOf(await ask("facts"));
  expect(cwd.startsWith(context.dir)).toBe(true);
  expect((await stat(cwd)).mode & 0o777).toBe(0o700);
  expect(await readlink(join(cwd, "model.bin"))).toBe(join(shared, "model.bin"));
  expect(await readFile(join(cwd, basename(shared), "model.bin"), "utf8")).toBe("weights");
});

test("S2-19 closing removes its directory, not what is linked there", async () => {
  const shared = await aDirectory();
  await mkdir(join(shared, "kept"));
  const { driver, context } = await openReady({ options: { link: [shared] } });
  await driver.close();
  expect(await readdir(context.dir)).toEqual([]);
  expect(existsSync(join(shared, "kept"))).toBe(true);
});

test("a link to what is not there ends the start with a reason", async () => {
  const { events } = await open({ options: { link: ["/nowhere/at/all"] } });
  expect((await events.untilExited()).reason).toContain("/nowhere/at/all");
});

test("sees the allowed part of our environment and what was declared, no secret of ours", async () => {
  process.env.TROUPE_TEST_SECRET = "secret";
  onTestFinished(() => void delete process.env.TROUPE_TEST_SECRET);
  const { ask } = await openReady({ context: { env: { DECLARED: "yes", TZ: "UTC" } } });
  const { env } = resultOf(await ask("facts"));
  expect(env).toMatchObject({ DECLARED: "yes", TZ: "UTC", PATH: process.env.PATH });
  const allowed = ["PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "DECLARED", "PORT", "TROUPE_MARK"];
  expect(Object.keys(env).filter((name) => !allowed.includes(name))).toEqual([]);
});

test("S2-25 S2-B13 its output goes to its own log, appended, and into the tail", async () => {
  const logs = join(await aDirectory(), "made", "on the way");
  const options = { logTemplate: join(logs, "daemon_{id}.log") };
  const { driver, events } = await openReady({ ordinal: 7, words: ["say=hello", "cry=ouch"], options });
  process.kill(driver.pid as number, "SIGKILL");
  const { logTail } = await events.untilExited();
  expect([...logTail].sort()).toEqual(["hello", "ouch"]);
  driver.start(events);
  await events.untilReady(2);
  await driver.close();
  const log = join(logs, "daemon_7.log");
  await until(async () => (await readFile(log, "utf8")).split("hello").length === 3, "both starts are in the log");
});

test("a log that can't be written does not stop it", async () => {
  const { ask } = await openReady({ words: ["say=hello"], options: { logTemplate: "/dev/full" } });
  expect(await ask("echo 1")).toMatchObject({ result: 1 });
});

test("S2-06 is ready only when its health answers 200", async () => {
  const { driver, ask } = await openReady({ words: ["unwell=3"] });
  expect(resultOf<{ healthChecks: number }>(await ask("facts")).healthChecks).toBe(4);
  expect(await driver.probe?.(new AbortController().signal)).toBe(true);
});

test.each([204, 301, 503])("S2-06 a health answer of %i is none", async (status) => {
  const { events } = await open({ words: [`health=${status}`], options: { readyTimeoutMs: 600 } });
  expect((await events.untilExited()).reason).toBe("start timeout");
  expect(events.readyCount).toBe(0);
});

test("S2-06 a health check that hangs is given up after readyProbeMs, the start after readyTimeoutMs", async () => {
  const options = { readyTimeoutMs: 800, readyProbeMs: 50 };
  const { driver, events } = await open({ words: ["hang-health", "say=up"], options });
  const exit = await events.untilExited();
  expect(exit).toMatchObject({ reason: "start timeout", signal: "SIGTERM" });
  expect(driver.pid).toBeUndefined();
});

test("an end during the start is told with its code and its last words", async () => {
  const { events } = await open({ words: ["exit=3", "cry=no model"] });
  const exit = await events.untilExited();
  expect(exit).toEqual({ code: 3, signal: null, reason: "exited with code 3 during its start", logTail: ["no model"] });
});

test("a program that is not there is told", async () => {
  const { events } = await open({ options: { program: "/nowhere/daemon" } });
  expect((await events.untilExited()).reason).toMatch(/^could not be started: .*ENOENT/);
});

test("S2-L06 S2-B20 a port in use is told at once, by its number", async () => {
  const { port } = await aStranger();
  const { driver, events } = await open({ options: { basePort: port, readyTimeoutMs: 3_600_000 } });
  expect(await events.untilExited()).toMatchObject({ code: null, reason: `port ${port} is in use` });
  expect(driver.pid).toBeUndefined();
});

test("S2-L06 a port that the system chose is kept over restarts, and left when somebody else took it", async () => {
  const { driver, events } = await openReady();
  const { port } = driver;
  process.kill(driver.pid as number, "SIGKILL");
  await events.untilExited();
  driver.start(events);
  await events.untilReady(2);
  expect(driver.port).toBe(port);

  await driver.close();
  const stranger = createServer();
  await new Promise<void>((listening) => stranger.listen(port, "127.0.0.1", listening));
  onTestFinished(() => void stranger.close());
  driver.start(events);
  await events.untilReady(3);
  expect(driver.port).not.toBe(port);
});

test("S2-L06 daemons that start together get different ports", async () => {
  const context = await aContext();
  const drivers = [0, 1, 2].map((ordinal) =>
    daemonDriver(anIdentity({ kind: "daemon", ordinal }), daemonOptions(), context),
  );
  onTestFinished(async () => void (await Promise.all(drivers.map((driver) => driver.close()))));
  await Promise.all(
    drivers.map((driver) => {
      const events = new EventLog();
      driver.start(events);
      return events.untilReady();
    }),
  );
  expect(new Set(drivers.map((driver) => driver.port)).size).toBe(3);
});

test("S2-B03 a daemon whose first start failed can be started again", async () => {
  const flag = join(await aDirectory(), "flag");
  const { driver, events, ask } = await open({ words: [`exit-once=${flag}`] });
  await events.untilExited();
  driver.start(events);
  await until(() => events.readyCount === 1, "it is ready");
  expect(await ask("echo 1")).toMatchObject({ result: 1 });
});

test("S2-B02 a death is told by itself, with code, signal and reason", async () => {
  const { driver, events } = await openReady();
  process.kill(driver.pid as number, "SIGKILL");
  expect(await events.untilExited()).toEqual({
    code: null,
    signal: "SIGKILL",
    reason: "killed by SIGKILL",
    logTail: [],
  });
});

test("S2-29 connections are reused", async () => {
  const { ask } = await openReady();
  const before = resultOf(await ask("facts")).connections;
  await ask("echo 1");
  expect(resultOf(await ask("facts")).connections).toBe(before);
});

test("S2-B20 the first request after a restart uses no connection of the one before", async () => {
  const { driver, events, ask } = await openReady();
  await ask("echo 1");
  process.kill(driver.pid as number, "SIGKILL");
  await events.untilExited();
  driver.start(events);
  await events.untilReady(2);
  expect(await ask("echo 2")).toMatchObject({ result: 2 });
});

test("a kept connection that the daemon closed without a word fails no request", async () => {
  const { ask } = await openReady();
  for (let i = 0; i < 5; i++) expect(await ask(`closeAfter ${i}`)).toMatchObject({ result: i });
});

test("a request that breaks at once on a kept connection is sent once more, not oftener", async () => {
  const { ask } = await openReady();
  await ask("echo 1");
  expect((await ask("break 0")).outcome).toMatchObject({ name: "failed", blame: "agent" });
  expect(resultOf<{ breaks: number }>(await ask("facts")).breaks).toBe(2);
});

test("a request that breaks on a kept connection after a second of work is not sent again", async () => {
  const hurried = { ...systemClock, monotonic: () => systemClock.monotonic() * 1_000 };
  const { ask } = await openReady({ context: { clock: hurried } });
  await ask("echo 1");
  expect((await ask("break 20")).outcome).toMatchObject({ name: "failed", blame: "agent" });
  expect(resultOf<{ breaks: number }>(await ask("facts")).breaks).toBe(1);
});

test("a result of 16 MB is taken, a byte more is the task's fault", async () => {
  const { ask } = await openReady();
  expect(resultOf<string>(await ask(`bytes ${RESULT_LIMIT_BYTES}`))).toHaveLength(RESULT_LIMIT_BYTES);
  const end = await ask(`bytes ${RESULT_LIMIT_BYTES + 1}`);
  expect(end.outcome).toMatchObject({ name: "failed", blame: "task", error: { code: "too_large" } });
  expect(await ask("echo 1")).toMatchObject({ result: 1 });
});

test("a status says whose fault it is, over a real connection", async () => {
  const { ask } = await openReady();
  const answer = (status: number, headers = {}): Promise<RunEnd> =>
    ask(`raw ${JSON.stringify([status, headers, "because"])}`);
  expect((await answer(400)).outcome).toMatchObject({ blame: "task", error: { code: "http_400" } });
  expect((await answer(500)).outcome).toMatchObject({ blame: "agent", error: { code: "http_500" } });
  expect((await answer(301, { location: "/" })).outcome).toMatchObject({ blame: "agent" });
  expect((await answer(503, { "retry-after": "7" })).outcome).toMatchObject({ name: "throttled", retryAfterMs: 7_000 });
});

test.each(["break 0", "half now"])(
  "%s: a connection that breaks while the daemon lives is the agent's fault",
  async (prompt) => {
    const { driver, events, ask } = await openReady();
    const end = await ask(prompt);
    expect(end.outcome).toMatchObject({ name: "failed", blame: "agent", error: { code: "broken_connection" } });
    expect(events.exits).toEqual([]);
    expect(driver.alive()).toBe(true);
  },
);

test.each(["die now", "exit 0", "exit 1", "breakAndDie 0", "breakAndDie 100"])(
  "%s: a connection that breaks because the daemon died is a kill, told after the death",
  async (prompt) => {
    const { events, ask } = await openReady();
    await ask("echo 1");
    const end = await ask(prompt);
    expect(end.outcome).toMatchObject({ name: "lost", blame: "agent", kill: true });
    expect(events.exits).toHaveLength(1);
  },
);

test("an answer that came before the death is a success", async () => {
  const { events, ask } = await openReady();
  expect(await ask("answerAndDie last words")).toMatchObject({ result: "last words" });
  await events.untilExited();
});

test("a run on a daemon that is not running is given back, not lost", async () => {
  const { driver, events, ask } = await openReady();
  process.kill(driver.pid as number, "SIGKILL");
  await events.untilExited();
  expect((await ask("echo 1")).outcome.name).toBe("released");
});

test("a stopped process is not alive, and is again when it goes on", async () => {
  const { driver } = await openReady();
  const pid = driver.pid as number;
  process.kill(pid, "SIGSTOP");
  await until(() => !driver.alive(), "it is seen stopped");
  process.kill(pid, "SIGCONT");
  await until(() => driver.alive(), "it is seen going on");
});

test("S2-15 a probe is bad when it is aborted, and when there is no process", async () => {
  const { driver } = await openReady({ context: { stopMs: 50 } });
  process.kill(driver.pid as number, "SIGSTOP");
  const stop = new AbortController();
  const probe = driver.probe?.(stop.signal);
  stop.abort();
  expect(await probe).toBe(false);
  await driver.close();
  expect(await driver.probe?.(new AbortController().signal)).toBe(false);
});

test("S2-19 closing asks first: a daemon that listens ends by SIGTERM, told as stopped", async () => {
  const { driver, events } = await openReady({ context: { stopMs: 3_600_000 } });
  await driver.close();
  expect(events.exits).toEqual([{ code: null, signal: "SIGTERM", asked: true, reason: "stopped", logTail: [] }]);
});

test("S2-19 a daemon that ignores SIGTERM is killed after stopMs", async () => {
  const { driver, events } = await openReady({ words: ["ignore-sigterm"], context: { stopMs: 50 } });
  const pid = driver.pid as number;
  await driver.close();
  expect(isAlive(pid)).toBe(false);
  expect(events.exits).toMatchObject([{ signal: "SIGKILL", reason: "stopped" }]);
});

test("a stopped process can be closed", async () => {
  const { driver } = await openReady({ context: { stopMs: 50 } });
  const pid = driver.pid as number;
  process.kill(pid, "SIGSTOP");
  await driver.close();
  expect(isAlive(pid)).toBe(false);
});

test("closing during the start ends it", async () => {
  const { driver, events } = await open({ words: ["hang-health"] });
  await until(() => driver.pid !== undefined, "it has a process");
  const pid = driver.pid as number;
  await driver.close();
  expect(isAlive(pid)).toBe(false);
  expect(events.readyCount).toBe(0);
  expect(events.exits).toMatchObject([{ reason: "stopped" }]);
});

test("closing before the process began leaves none", async () => {
  const { driver, events } = await open();
  await driver.close();
  expect(driver.pid).toBeUndefined();
  expect(events.exits).toMatchObject([{ reason: "stopped" }]);
});

test("a start right after a close waits for its end", async () => {
  const { driver, events, ask } = await openReady();
  const first = driver.pid as number;
  const closed = driver.close();
  driver.start(events);
  await closed;
  await events.untilReady(2);
  expect(isAlive(first)).toBe(false);
  expect(await ask("echo 1")).toMatchObject({ result: 1 });
});

test("a death is told, and a run on it ends, though a grandchild holds its output open", async () => {
  const { driver, events, ask } = await openReady();
  const { grandchild } = resultOf<{ grandchild: number }>(await ask("hold now"));
  killAfterwards(grandchild);
  const hung = ask("hang");
  await until(async () => (await get(driver.port, "/hanging")) === 1, "it hangs");
  process.kill(driver.pid as number, "SIGKILL");
  expect((await hung).outcome).toMatchObject({ name: "lost", kill: true });
  await events.untilExited();
  await until(() => !isAlive(grandchild), "the grandchild is gone");
});

test("a death is told before what the daemon leaves behind has been swept", async () => {
  // Whoever waits for the rest of the output, or for the sweep, waits for ever.
  const clock: Clock = {
    ...systemClock,
    timer: (ms, fire) => (ms >= 500 ? { cancel: () => {} } : systemClock.timer(ms, fire)),
  };
  const { driver, events, ask } = await openReady({ words: ["say=last words"], context: { clock } });
  const { grandchild } = resultOf<{ grandchild: number }>(await ask("hold unmarked"));
  killAfterwards(grandchild);
  process.kill(driver.pid as number, "SIGKILL");
  expect(await events.untilExited()).toMatchObject({ signal: "SIGKILL", logTail: ["last words"] });
  expect(isAlive(grandchild)).toBe(true);
});
