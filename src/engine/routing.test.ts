/** Routing between real pools of one troupe. */
import { afterEach, expect, test } from "vitest";
import { AgentError } from "../agents/agent-error.ts";
import type { AgentFunction } from "../agents/function.ts";
import { functionAgent } from "./library/agents.ts";
import type { LibraryPoolOptions, TroupeOptions } from "./library/open.ts";
import { createTroupe, type Troupe } from "./library/troupe.ts";
import { FITNESS_MINIMUM } from "./routing.ts";

const troupes: Troupe[] = [];
afterEach(async () => {
  for (const troupe of troupes.splice(0)) await troupe.close({ drainMs: 0 });
});

async function aTroupe(options: TroupeOptions = {}): Promise<Troupe> {
  const troupe = await createTroupe(options);
  troupes.push(troupe);
  return troupe;
}

const forever: AgentFunction = ({ signal }) =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));

async function addPool(
  troupe: Troupe,
  id: string,
  run: AgentFunction = () => id,
  { agents = 1, ...options }: { agents?: number; capabilities?: string[] } & Omit<LibraryPoolOptions, "agents"> = {},
) {
  const { capabilities, ...pool } = options;
  const members = Array.from({ length: agents }, (_, n) =>
    functionAgent(`${id}-${n}`, run, capabilities === undefined ? {} : { capabilities }),
  );
  return troupe.create({ id, agents: members, stopMs: 0, abandonMs: 0, ...pool });
}

test("S4-19 R-03 S4-B07 round_robin goes round: 0, 1, 2, 0; a pool that comes later joins in", async () => {
  const troupe = await aTroupe();
  for (const id of ["p0", "p1", "p2"]) await addPool(troupe, id);
  const next = async () => (await troupe.route("x", { selector: "round_robin" })).pool;
  expect([await next(), await next(), await next(), await next()]).toEqual(["p0", "p1", "p2", "p0"]);
  await addPool(troupe, "p3");
  expect([await next(), await next()]).toEqual(["p3", "p1"]);
  await troupe.delete("p2");
  expect([await next(), await next()]).toEqual(["p0", "p3"]);
});

test("S4-19 R-01 the default is the least loaded; pool and result are given back", async () => {
  const troupe = await aTroupe();
  await addPool(troupe, "a");
  await addPool(troupe, "b");
  expect(await troupe.route("x")).toEqual({
    pool: "a",
    selector: "least_loaded",
    considered: ["a", "b"],
    result: "a",
  });
});

test("S4-B09 R-B01 the load is what waits and what runs, by the number of slots", async () => {
  const troupe = await aTroupe();
  const big = await addPool(troupe, "big", forever, { agents: 4 });
  await addPool(troupe, "small", () => "small", { agents: 1 });
  await big.submit("runs");
  // One of four slots is busy: more load than none of one.
  expect((await troupe.route("x")).pool).toBe("small");
  const held = await addPool(troupe, "held", forever, { agents: 1 });
  for (const prompt of ["runs", "waits"]) await held.submit(prompt);
  const allow = ["big", "held"];
  const routed = troupe.route("y", { allow, timeoutMs: 1_000 });
  await expect.poll(async () => (await big.tasks()).items.length).toBe(2);
  await expect(routed).rejects.toMatchObject({ code: "deadline_exceeded" });
});

test("S4-19 no pool, none that is allowed, none that takes the type: no_capacity", async () => {
  const troupe = await aTroupe();
  await expect(troupe.route("x")).rejects.toMatchObject({ code: "no_capacity", retryable: true });
  await addPool(troupe, "a", () => 1, { types: ["poem"] });
  await expect(troupe.route("x", { allow: ["b"] })).rejects.toMatchObject({ code: "no_capacity" });
  await expect(troupe.route({ type: "song", prompt: "x" })).rejects.toMatchObject({ code: "no_capacity" });
  expect((await troupe.route({ type: "poem", prompt: "x" }, { allow: ["*"] })).pool).toBe("a");
});

test("S4-19 R-03 an unknown selector and an affinity without a pool are refused, naming the field", async () => {
  const troupe = await aTroupe();
  await addPool(troupe, "a");
  const unknown = troupe.route("x", { selector: "best" as never });
  await expect(unknown).rejects.toMatchObject({ code: "invalid", details: { path: "selector" } });
  const nowhere = troupe.route("x", { selector: "affinity" });
  await expect(nowhere).rejects.toMatchObject({ code: "invalid", details: { path: "pool" } });
});

test("R-11 types of a category go to its pool, by its id or by what its agents offer", async () => {
  const troupe = await aTroupe();
  await addPool(troupe, "plain");
  await addPool(troupe, "strong", () => "strong", { capabilities: ["gpu", "general"] });
  const category = { selector: "category" } as const;
  for (const type of ["vision", "ml_inference", "embedding"]) {
    expect(await troupe.route({ type, prompt: "x" }, category)).toMatchObject({ pool: "strong", selector: "category" });
  }
  expect(await troupe.route("x", category)).toMatchObject({ pool: "plain", selector: "least_loaded" });
  const own = await aTroupe({ categories: { poets: ["poem"] } });
  await addPool(own, "others");
  await addPool(own, "poets");
  expect((await own.route({ type: "poem", prompt: "x" }, category)).pool).toBe("poets");
  expect((await own.route({ type: "vision", prompt: "x" }, category)).pool).toBe("others");
});

test("R-09 types that go by fitness leave the pool that fails them, once enough was measured", async () => {
  const troupe = await aTroupe({ fitness: ["poem"] });
  const fails: AgentFunction = () => {
    throw new AgentError({ message: "no", blame: "task" });
  };
  await addPool(troupe, "bad", fails);
  await addPool(troupe, "good");
  const poem = { type: "poem", prompt: "x" };
  for (let n = 0; n < FITNESS_MINIMUM; n++) {
    await expect(troupe.route(poem)).rejects.toMatchObject({ code: "failed" });
  }
  for (let n = 0; n < FITNESS_MINIMUM + 1; n++) {
    expect(await troupe.route(poem)).toMatchObject({ pool: "good", selector: "fitness" });
  }
  await expect(troupe.route({ type: "song", prompt: "x" })).rejects.toMatchObject({ code: "failed" });
});

test("S4-B10 a pool that is being deleted is never chosen", async () => {
  const troupe = await aTroupe();
  const held = await addPool(troupe, "a", forever);
  await addPool(troupe, "b");
  await held.submit("runs");
  const deleted = troupe.delete("a", { timeoutMs: 60_000 });
  await expect.poll(() => troupe.list().find(({ id }) => id === "a")?.health).toBe("not_running");
  for (let n = 0; n < 3; n++) expect((await troupe.route("x", { selector: "round_robin" })).pool).toBe("b");
  await held.cancel((await held.tasks()).items[0]?.id ?? "");
  await deleted;
});

test("a repeated request finds its task where the first one put it", async () => {
  const troupe = await aTroupe();
  const a = await addPool(troupe, "a");
  await addPool(troupe, "b");
  const once = { prompt: "x", idempotencyKey: "k" };
  for (let n = 0; n < 3; n++) expect((await troupe.route(once, { selector: "round_robin" })).pool).toBe("a");
  expect((await a.tasks()).items).toHaveLength(1);
});

test("R-B02 a known key does not lead to a pool outside the allow list", async () => {
  const troupe = await aTroupe();
  await addPool(troupe, "a");
  await addPool(troupe, "b");
  const once = { prompt: "x", idempotencyKey: "k" };
  expect((await troupe.route(once)).pool).toBe("a");
  await expect(troupe.route(once, { allow: ["b"] })).rejects.toMatchObject({ code: "conflict" });
});
