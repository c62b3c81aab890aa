/** A troupe's life: started, stopped, started again; and the one of the process. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { functionAgent } from "./agents.ts";
import { createTroupe, sharedTroupe } from "./troupe.ts";

const directories: string[] = [];
afterEach(async () => {
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true, force: true });
});

const agents = [functionAgent("ada", () => "done")];

test("S4-16: starting twice is once, and stopping twice is once", async () => {
  const troupe = await createTroupe();
  await troupe.start();
  await troupe.create({ id: "p", agents });
  await Promise.all([troupe.start(), troupe.start()]);
  expect(troupe.list().map(({ id }) => id)).toEqual(["p"]);
  expect(troupe.running).toBe(true);
  await Promise.all([troupe.stop(), troupe.stop()]);
  expect(troupe.running).toBe(false);
  await troupe.stop();
  await troupe.close();
});

test("S4-16: a stop shuts all pools and empties the list; started again it is as new", async () => {
  const troupe = await createTroupe();
  const pool = await troupe.create({ id: "p", agents });
  await troupe.stop();
  await expect(pool.execute("late")).rejects.toMatchObject({ code: expect.any(String) });
  expect(() => troupe.list()).toThrow(expect.objectContaining({ code: "not_running" }));
  await expect(troupe.create({ id: "q" })).rejects.toMatchObject({ code: "not_running" });
  await expect(troupe.gate("db")).rejects.toMatchObject({ code: "not_running" });
  await troupe.start();
  expect(troupe.list()).toEqual([]);
  expect(troupe.get("p")).toBeUndefined();
  const again = await troupe.create({ id: "p", agents });
  expect(await again.execute("x")).toBe("done");
  await troupe.stop();
});

test("a durable troupe that was stopped has its pools and tasks when it starts again", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "troupe-life-"));
  directories.push(dataDir);
  const troupe = await createTroupe({ store: "sqlite:troupe.db", dataDir });
  const pool = await troupe.create({ id: "p", agents });
  const task = await pool.submit({ id: "t", prompt: "x" });
  await task.settled();
  await troupe.stop();
  await troupe.start();
  expect(troupe.list().map(({ id }) => id)).toEqual(["p"]);
  expect((await troupe.get("p")?.task("t"))?.status).toBe("completed");
  const taken = await troupe.create({ id: "p", agents });
  expect(await taken.execute("y")).toBe("done");
  await troupe.stop();
});

test("S4-21: the shared troupe is one, made on first use, and started again after a stop", async () => {
  const [one, two] = await Promise.all([sharedTroupe(), sharedTroupe()]);
  expect(two).toBe(one);
  expect(one.running).toBe(true);
  await one.create({ id: "p", agents });
  await one.stop();
  const again = await sharedTroupe();
  expect(again).toBe(one);
  expect(again.list()).toEqual([]);
  await again.stop();
});

test("S4-17: create refuses a duplicate, get knows no stranger, delete says whether, list keeps the order", async () => {
  await using troupe = await createTroupe();
  for (const id of ["b", "a", "c"]) await troupe.create({ id, agents });
  expect(troupe.list().map(({ id }) => id)).toEqual(["b", "a", "c"]);
  await expect(troupe.create({ id: "a", agents })).rejects.toMatchObject({ code: "conflict" });
  expect(troupe.get("nobody")).toBeUndefined();
  expect(await troupe.delete("a")).toBe(true);
  expect(await troupe.delete("a")).toBe(false);
  expect(troupe.get("a")).toBeUndefined();
  expect(troupe.list().map(({ id }) => id)).toEqual(["b", "c"]);
});
