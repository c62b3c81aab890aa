import { spawn } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { expect, onTestFinished, test } from "vitest";
import { aDirectory, fixture, isAlive, killAfterwards, until } from "../../test/fixtures/agents/world.ts";
import { systemClock } from "../base/clock.ts";
import { systemEntropy } from "../base/random.ts";
import { openWarden, type Ward, type Warden } from "./warden.ts";

const SLEEP = ["-e", "setInterval(() => {}, 1000)"];

async function aWarden(): Promise<Warden> {
  const warden = await openWarden({ clock: systemClock, entropy: systemEntropy });
  onTestFinished(() => warden.close());
  return warden;
}

async function aWard(warden: Warden, args: readonly string[] = SLEEP): Promise<Ward> {
  const cwd = await aDirectory();
  const ward = warden.spawn(process.execPath, args, { cwd, env: {}, stdin: "ignore" });
  killAfterwards(ward.pid as number);
  return ward;
}

/** A stranger that lives as long as the test. */
function aStranger(env: NodeJS.ProcessEnv = {}): number {
  const { pid } = spawn(process.execPath, SLEEP, { detached: true, stdio: "ignore", env });
  killAfterwards(pid as number);
  return pid as number;
}

interface Engine {
  readonly pid: number;
  readonly warden: number;
  /** Of the child, a grandchild in its group, and one that left it. */
  readonly pids: readonly number[];
}

/** An engine in a process of its own, with a child that has grandchildren. */
async function anEngine(words: readonly string[] = []): Promise<Engine> {
  const child = spawn(process.execPath, [fixture("engine.ts"), await aDirectory(), ...words], {
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  killAfterwards(child.pid as number);
  for await (const line of createInterface({ input: child.stdout })) {
    const engine = { pid: child.pid as number, ...JSON.parse(line) } as Engine;
    for (const pid of [engine.warden, ...engine.pids]) killAfterwards(pid);
    return engine;
  }
  throw new Error("the engine ended without a word");
}

/** Whether it has a handler for SIGHUP, the last it installs; Node itself has some for the others. */
async function catchesSignals(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const [, mask = "0"] = /^SigCgt:\s*([0-9a-f]+)$/m.exec(status) ?? [];
  return (BigInt(`0x${mask}`) & 1n) === 1n;
}

test("has no process before the first child", async () => {
  expect((await aWarden()).pid).toBeUndefined();
});

test("S2-B14 nothing outlives an engine that is killed by SIGKILL, whatever left its group, and no stranger is touched", async () => {
  const stranger = aStranger();
  const namesake = aStranger({ TROUPE_MARK: "0123456789abcdef0123456789abcdef.1" });
  const engine = await anEngine();
  expect(engine.pids).toHaveLength(3);
  for (const pid of [engine.warden, ...engine.pids]) expect(isAlive(pid)).toBe(true);

  process.kill(engine.pid, "SIGKILL");
  for (const pid of [...engine.pids, engine.warden]) await until(() => !isAlive(pid), `${pid} is gone`);
  expect(isAlive(stranger)).toBe(true);
  expect(isAlive(namesake)).toBe(true);
});

test("nothing outlives an engine that is killed with its whole group, though its warden was asked to end before", async () => {
  const engine = await anEngine(["ignore-sigterm"]);
  await until(() => catchesSignals(engine.warden), "the warden is up");
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.kill(engine.warden, signal);
  process.kill(-engine.pid, "SIGKILL");
  for (const pid of [...engine.pids, engine.warden]) await until(() => !isAlive(pid), `${pid} is gone`);
});

test("S2-B14 an engine that exits without closing leaves nothing, and the warden does not keep it alive", async () => {
  const engine = await anEngine(["exit"]);
  for (const pid of [engine.pid, ...engine.pids, engine.warden]) await until(() => !isAlive(pid), `${pid} is gone`);
});

test("an engine inside a child of another is ended with all that it began", async () => {
  const warden = await aWarden();
  const outer = await aWard(warden, [fixture("engine.ts"), await aDirectory()]);
  const [line] = await lines(outer, 1);
  const inner = JSON.parse(line as string) as Engine;
  for (const pid of [inner.warden, ...inner.pids]) killAfterwards(pid);
  await outer.stop(systemClock, 0);
  for (const pid of [...inner.pids, inner.warden]) await until(() => !isAlive(pid), `${pid} is gone`);
});

async function lines(ward: Ward, count: number): Promise<string[]> {
  const read: string[] = [];
  for await (const line of createInterface({ input: ward.stdout })) {
    read.push(line);
    if (read.length === count) break;
  }
  return read;
}

test("the orphan of a child is found by the mark when the child ends", async () => {
  const warden = await aWarden();
  const ward = await aWard(warden, [fixture("parent.mjs")]);
  const pids = (JSON.parse((await lines(ward, 1))[0] as string) as number[]).slice(1);
  pids.forEach(killAfterwards);
  const other = await aWard(warden);
  process.kill(ward.pid as number, "SIGKILL");
  await ward.gone;
  for (const pid of pids) expect(isAlive(pid)).toBe(false);
  expect(other.isRunning()).toBe(true);
});

test("every child has a mark of its own in its environment", async () => {
  const warden = await aWarden();
  const wards = [await aWard(warden), await aWard(warden)];
  const marks = await Promise.all(wards.map(async ({ pid }) => await readFile(`/proc/${pid}/environ`, "latin1")));
  for (const mark of marks) expect(mark).toMatch(/^TROUPE_MARK=[0-9a-f]{32}\.\d+\0$/);
  expect(marks[0]).not.toBe(marks[1]);
});

test("children lead groups of their own, in sessions of their own", async () => {
  const ward = await aWard(await aWarden());
  const stat = await readFile(`/proc/${ward.pid}/stat`, "latin1");
  const [, , group, session] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  expect([group, session]).toEqual([String(ward.pid), String(ward.pid)]);
});

test("closing kills what is left and ends the warden; twice is once; then nothing is started", async () => {
  const warden = await aWarden();
  const wards = [await aWard(warden), await aWard(warden)];
  const { pid } = warden;
  await Promise.all([warden.close(), warden.close()]);
  await warden.close();
  for (const ward of wards) expect(isAlive(ward.pid as number)).toBe(false);
  expect(isAlive(pid as number)).toBe(false);
  expect(() => warden.spawn("true", [], { cwd: "/", env: {}, stdin: "ignore" })).toThrow(/closing/);
});

test("a warden that is killed is replaced, and the new one knows the children", async () => {
  const warden = await aWarden();
  const ward = await aWard(warden);
  const first = warden.pid as number;
  process.kill(first, "SIGKILL");
  await until(() => warden.pid !== undefined && warden.pid !== first, "another warden is there");
  expect(ward.isRunning()).toBe(true);
  await warden.close();
  expect(isAlive(ward.pid as number)).toBe(false);
});

test("closing between two wardens ends the children all the same", async () => {
  const warden = await aWarden();
  const ward = await aWard(warden);
  process.kill(warden.pid as number, "SIGKILL");
  await until(() => warden.pid === undefined, "the death is seen");
  await warden.close();
  expect(isAlive(ward.pid as number)).toBe(false);
});

test("a program that can't be started is gone at once", async () => {
  const warden = await aWarden();
  const ward = warden.spawn("/nowhere/program", [], { cwd: "/", env: {}, stdin: "pipe" });
  expect(ward.pid).toBeUndefined();
  expect(await ward.ended(systemClock)).toMatchObject({ code: null, error: { code: "ENOENT" } });
  await ward.gone;
  await ward.stop(systemClock, 0);
});

test("many short children at once leave nothing behind", async () => {
  const warden = await aWarden();
  const cwd = await aDirectory();
  const ends = Array.from({ length: 40 }, async () => {
    const ward = warden.spawn("/bin/sh", ["-c", "exit 3"], { cwd, env: {}, stdin: "ignore" });
    const exit = await ward.ended(systemClock);
    await ward.gone;
    return exit.code;
  });
  expect(new Set(await Promise.all(ends))).toEqual(new Set([3]));
  expect(await readdir(cwd)).toEqual([]);
});
