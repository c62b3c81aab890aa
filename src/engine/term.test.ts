/** A commit that fails ends the engine's term, and the next one goes on in the same process with what is stored. */
import { afterEach, describe, expect, test, vi } from "vitest";
import type { AgentFunction } from "../agents/function.ts";
import { PoolError } from "../base/errors.ts";
import { createRandom } from "../base/random.ts";
import type { DurableEvent } from "../core/event.ts";
import { epochOf } from "../core/state.ts";
import { createMemoryStore } from "../stores/memory.ts";
import type { Commit, Store } from "../stores/store.ts";
import { createFlakyStore } from "../testing/flaky-store.ts";
import { createVirtualClock, type VirtualClock } from "../testing/virtual-clock.ts";
import { functionKey } from "./crew.ts";
import { type LocalEngine, startEngine } from "./engine.ts";
import type { LogEvent } from "./engine-options.ts";
import { HOLD_CAP_MS, HOLD_FIRST_MS } from "./retold.ts";
import { BROKEN_AGAIN_MS } from "./term.ts";

const full = () => new PoolError("store_full", "the disk is full", { retryable: true });
const unknown = () => new PoolError("store_failed", "the connection broke", { details: { unknown: true } });
const broken = () => new PoolError("store_failed", "an error on sync", { details: { broken: true } });

type Event = DurableEvent["type"];
const has = (commit: Commit, type: Event): boolean => commit.events.some((event) => event.type === type);

/** A durable store that refuses what it is told to refuse. */
interface Moody {
  readonly store: Store;
  /** Asked for every commit: an error to refuse it with; `kept` does it all the same. */
  mood: (commit: Commit) => { readonly error: unknown; readonly kept?: boolean } | undefined;
  /** Refuses to be loaded. */
  loadError: PoolError | undefined;
  loads: number;
}

function moody(): Moody {
  const inner = createFlakyStore(createMemoryStore(), { random: createRandom(1) });
  const commit: Store["commit"] = async (given) => {
    const fate = state.mood(given);
    if (fate === undefined || fate.kept === true) await inner.commit(given);
    if (fate !== undefined) throw fate.error;
  };
  const load: Store["load"] = async () => {
    state.loads += 1;
    if (state.loadError !== undefined) throw state.loadError;
    return inner.load();
  };
  const store = new Proxy(inner, {
    get(target, name) {
      if (name === "commit") return commit;
      if (name === "load") return load;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const state: Moody = { store, mood: () => undefined, loadError: undefined, loads: 0 };
  return state;
}

/** Refuses the next commit in which this happens. */
function once(disk: Moody, type: Event, error: unknown, kept = false): void {
  disk.mood = (commit) => {
    if (!has(commit, type)) return undefined;
    disk.mood = () => undefined;
    return { error, kept };
  };
}

async function during<T>(clock: VirtualClock, promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const settle = (): void => {
    isSettled = true;
  };
  promise.then(settle, settle);
  for (let n = 0; n < 100 && !isSettled; n++) await clock.settle();
  for (let n = 0; n < 200 && !isSettled; n++) await clock.advance(100);
  expect(isSettled).toBe(true);
  return promise;
}

interface Setting {
  readonly clock: VirtualClock;
  readonly disk: Moody;
  readonly engine: LocalEngine;
  readonly logs: LogEvent[];
  readonly fatal: unknown[];
  within<T>(promise: Promise<T>): Promise<T>;
}

const engines: Setting[] = [];
afterEach(async () => {
  for (const { engine, within } of engines.splice(0)) await within(engine.close({ drainMs: 0 }));
});

/** One pool with the function agent `ada`, and room for remote ones. */
async function setting(run: AgentFunction, options: object = {}): Promise<Setting> {
  const clock = createVirtualClock(1_000_000);
  const disk = moody();
  const logs: LogEvent[] = [];
  const fatal: unknown[] = [];
  const agents = [{ kind: "function" as const, name: "ada" }];
  const starting = startEngine({
    store: disk.store,
    clock,
    dataDir: "/nowhere",
    pools: [
      { id: "main", agents, lease: { ttlMs: 3_000, renewMs: 1_000 }, ...options },
      { id: "far", lease: { ttlMs: 3_000, renewMs: 1_000 } },
    ],
    functions: new Map([[functionKey("main", "ada"), run]]),
    log: (event) => logs.push(event),
    onFatal: (error) => fatal.push(error),
  });
  const engine = await during(clock, starting);
  const made = { clock, disk, engine, logs, fatal, within: <T>(promise: Promise<T>) => during(clock, promise) };
  engines.push(made);
  return made;
}

/** A function that runs until it is let go, and counts how often it was called. */
function patient(): { readonly run: AgentFunction; calls: number; aborted: number; finish(value: unknown): void } {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const counted = {
    calls: 0,
    aborted: 0,
    finish: resolve,
    run: (({ signal }) => {
      counted.calls += 1;
      signal.addEventListener("abort", () => {
        counted.aborted += 1;
      });
      return promise;
    }) as AgentFunction,
  };
  return counted;
}

const ended = (logs: readonly LogEvent[]): unknown[] =>
  logs.filter(({ event }) => event === "engine.term_ended").map(({ code }) => code);

describe("a refused commit", () => {
  test("S3-B15 answers who waits with its code, keeps nothing of the turn, and the next request is taken", async () => {
    const { engine, disk, within, logs, fatal } = await setting(({ task }) => task.prompt);
    once(disk, "task.submitted", full());
    await expect(within(engine.submit("main", { id: "a", prompt: "a" }))).rejects.toMatchObject({ code: "store_full" });
    await expect(within(engine.task("a"))).rejects.toMatchObject({ code: "not_found" });
    await within(engine.submit("main", { id: "a", prompt: "again" }));
    expect(await within(engine.waitFor("a", { waitMs: 1_000 }))).toMatchObject({
      status: "completed",
      result: "again",
    });
    expect(ended(logs)).toEqual(["store_full"]);
    expect(fatal).toEqual([]);
  });

  test("begins a new term with a larger epoch, so that no fence is given twice", async () => {
    const { engine, disk, within } = await setting(() => "done");
    await within(engine.submit("main", { id: "a", prompt: "a" }));
    const before = (await within(engine.waitFor("a", { waitMs: 1_000 }))).attempts[0]?.fence ?? 0;
    once(disk, "task.submitted", full());
    await expect(within(engine.submit("main", { prompt: "b" }))).rejects.toMatchObject({ code: "store_full" });
    await within(engine.submit("main", { id: "c", prompt: "c" }));
    const after = (await within(engine.waitFor("c", { waitMs: 1_000 }))).attempts[0]?.fence ?? 0;
    expect(epochOf(after)).toBeGreaterThan(epochOf(before));
  });

  test("leaves a running attempt alone: it is not stopped, not run twice, and its outcome counts", async () => {
    const slow = patient();
    const { engine, disk, within } = await setting(slow.run);
    await within(engine.submit("main", { id: "a", prompt: "a" }));
    expect(await within(engine.task("a"))).toMatchObject({ status: "in_progress" });
    once(disk, "task.submitted", full());
    await expect(within(engine.submit("main", { prompt: "b" }))).rejects.toMatchObject({ code: "store_full" });
    expect(await within(engine.task("a"))).toMatchObject({ status: "in_progress", attemptCount: 0 });
    slow.finish("done");
    const view = await within(engine.waitFor("a", { waitMs: 1_000 }));
    expect(view).toMatchObject({ status: "completed", result: "done", attemptCount: 1 });
    expect(view.attempts).toHaveLength(1);
    expect({ calls: slow.calls, aborted: slow.aborted }).toEqual({ calls: 1, aborted: 0 });
  });

  test("shows a running attempt as running to whoever reads before the first turn of the new term", async () => {
    const slow = patient();
    const { engine, disk, clock, within } = await setting(slow.run);
    await within(engine.submit("main", { id: "a", prompt: "a" }));
    const { epoch } = engine.state;
    // The turn that begins a term waits here.
    const held: (() => void)[] = [];
    const defer = clock.defer.bind(clock);
    clock.defer = (fire) => {
      if (engine.state.epoch > epoch) held.push(fire);
      else defer(fire);
    };
    once(disk, "task.submitted", full());
    await expect(within(engine.submit("main", { prompt: "b" }))).rejects.toMatchObject({ code: "store_full" });
    expect(held).toHaveLength(1);
    const seen = engine.task("a");
    await clock.settle();
    clock.defer = defer;
    for (const fire of held) defer(fire);
    expect(await within(seen)).toMatchObject({ status: "in_progress" });
  });

  test("keeps the lease of a running attempt alive, though the stored one is over", async () => {
    const slow = patient();
    const { engine, disk, clock, within } = await setting(slow.run);
    await within(engine.submit("main", { id: "a", prompt: "a" }));
    for (let n = 0; n < 10; n++) await clock.advance(1_000);
    once(disk, "task.submitted", full());
    await expect(within(engine.submit("main", { prompt: "b" }))).rejects.toMatchObject({ code: "store_full" });
    for (let n = 0; n < 10; n++) await clock.advance(1_000);
    const view = await within(engine.task("a"));
    expect(view).toMatchObject({ status: "in_progress", attempts: [{ number: 1 }] });
    expect(view.attempts[0]?.outcome).toBeUndefined();
    expect(slow.calls).toBe(1);
  });

  test("the time that a running attempt may take counts from when it began", async () => {
    const slow = patient();
    const { engine, disk, clock, within } = await setting(slow.run);
    await within(engine.submit("main", { id: "a", prompt: "a", timeoutMs: 2_000, maxAttempts: 1 }));
    const { startedAt } = await within(engine.task("a"));
    for (let n = 0; n < 3; n++) await clock.advance(500);
    once(disk, "task.submitted", full());
    await expect(within(engine.submit("main", { prompt: "b" }))).rejects.toMatchObject({ code: "store_full" });
    expect((await within(engine.task("a"))).startedAt).toBe(startedAt);
    await clock.advance(400);
    expect(await within(engine.task("a"))).toMatchObject({ status: "in_progress" });
    await clock.advance(200);
    expect((await within(engine.task("a"))).attempts).toMatchObject([{ outcome: "timed_out" }]);
  });

  test("of an outcome has it reported again, with its result and its fence", async () => {
    const slow = patient();
    const { engine, disk, within, logs } = await setting(slow.run);
    await within(engine.submit("main", { id: "a", prompt: "a" }));
    const settled = engine.settlement("a" as never);
    once(disk, "task.settled", full());
    slow.finish({ big: "result" });
    expect(await within(settled)).toMatchObject({ result: '{"big":"result"}' });
    const view = await within(engine.task("a"));
    expect(view).toMatchObject({ status: "completed", result: { big: "result" }, attemptCount: 1 });
    expect(view.attempts).toMatchObject([{ number: 1, outcome: "succeeded", startedAt: expect.any(String) }]);
    expect(slow.calls).toBe(1);
    expect(ended(logs)).toEqual(["store_full"]);
  });

  test("that is refused again and again loses nothing: the outcome is stored once there is room", async () => {
    const slow = patient();
    const { engine, disk, clock, within, logs } = await setting(slow.run);
    await within(engine.submit("main", { id: "a", prompt: "a" }));
    disk.mood = (commit) => (has(commit, "task.settled") ? { error: full() } : undefined);
    slow.finish("kept");
    for (let n = 0; n < 50; n++) await clock.advance(100);
    expect(ended(logs).length).toBeGreaterThan(3);
    // What is stored can be read all the while.
    expect(await within(engine.task("a"))).toMatchObject({ status: "in_progress", attempts: [{ number: 1 }] });
    disk.mood = () => undefined;
    await clock.advance(HOLD_CAP_MS);
    expect(await within(engine.task("a"))).toMatchObject({ status: "completed", result: "kept" });
    expect(slow.calls).toBe(1);
  });

  test("of an outcome that never fits keeps nothing else from being stored", async () => {
    const slow = patient();
    const { engine, disk, clock, within } = await setting(slow.run, {
      agents: [{ kind: "function", name: "ada", concurrency: 4 }],
    });
    for (const id of ["big", "b", "c"]) await within(engine.submit("main", { id, prompt: id }));
    const isBig = ({ settled }: Commit): boolean => settled.some(({ facts }) => facts.spec.id === "big");
    disk.mood = (commit) => (isBig(commit) ? { error: full() } : undefined);
    // All three are told in one turn.
    slow.finish("done");
    for (const id of ["b", "c"]) {
      expect(await within(engine.waitFor(id, { waitMs: 10_000 }))).toMatchObject({
        status: "completed",
        result: "done",
      });
    }
    for (let n = 0; n < 20; n++) {
      await clock.advance(500);
      await within(engine.submit("main", { id: `more-${n}`, prompt: "x" }));
      expect(await within(engine.waitFor(`more-${n}`, { waitMs: 10_000 }))).toMatchObject({ status: "completed" });
    }
    expect(await within(engine.task("big"))).toMatchObject({ status: "in_progress" });
    disk.mood = () => undefined;
    await clock.advance(HOLD_CAP_MS);
    expect(await within(engine.task("big"))).toMatchObject({ status: "completed", result: "done", attemptCount: 1 });
    expect(slow.calls).toBe(3 + 20);
  });

  test("of a lease has the task leased anew, and its agent called once", async () => {
    const calls: number[] = [];
    const { engine, disk, within } = await setting(({ task }) => calls.push(task.fence));
    await within(engine.setMode("main", "paused"));
    await within(engine.submit("main", { id: "a", prompt: "a" }));
    once(disk, "task.leased", full());
    await expect(within(engine.setMode("main", "running"))).rejects.toMatchObject({ code: "store_full" });
    expect(calls).toEqual([]);
    await within(engine.setMode("main", "running"));
    await within(engine.waitFor("a", { waitMs: 1_000 }));
    expect(calls).toHaveLength(1);
  });

  test("of a pool leaves no agent of it behind", async () => {
    const { engine, disk, within } = await setting(() => "done");
    disk.mood = (commit) => (has(commit, "pool.created") ? { error: full() } : undefined);
    const agents = [{ kind: "function" as const, name: "new" }];
    const make = () => engine.openPool({ id: "new", agents }, new Map([["new", () => "new"]]));
    await expect(within(make())).rejects.toMatchObject({ code: "store_full" });
    disk.mood = () => undefined;
    expect(engine.pools().map(({ id }) => id)).toEqual(["main", "far"]);
    expect([...engine.state.agents.values()].map(({ identity }) => identity.name)).toEqual(["ada"]);
    await within(make());
    await within(engine.submit("new", { id: "n", prompt: "n" }));
    expect(await within(engine.waitFor("n", { waitMs: 1_000 }))).toMatchObject({ status: "completed", result: "new" });
  });

  test("refuses those who wait for room in a full queue", async () => {
    const slow = patient();
    const { engine, disk, within } = await setting(slow.run, {
      queue: { limit: 1, overflow: "wait", maxWaitMs: 60_000 },
    });
    await within(engine.submit("main", { prompt: "runs" }));
    await within(engine.submit("main", { prompt: "waits" }));
    const held = engine.submit("main", { id: "held", prompt: "held" });
    const refused = expect(held).rejects.toMatchObject({ code: "store_full" });
    once(disk, "task.submitted", full());
    await expect(within(engine.submit("far", { prompt: "x" }))).rejects.toMatchObject({ code: "store_full" });
    await refused;
    await expect(within(engine.task("held"))).rejects.toMatchObject({ code: "not_found" });
  });

  test("a run whose task has gone on without it keeps its slot over the end of the term, and is told to stop", async () => {
    const slow = patient();
    const { engine, disk, within } = await setting(slow.run);
    await within(engine.submit("main", { id: "a", prompt: "a" }));
    await within(engine.cancel("a"));
    await within(engine.submit("main", { id: "b", prompt: "b" }));
    expect(await within(engine.task("b"))).toMatchObject({ status: "pending" });
    once(disk, "task.submitted", full());
    await expect(within(engine.submit("main", { prompt: "c" }))).rejects.toMatchObject({ code: "store_full" });
    expect(await within(engine.task("b"))).toMatchObject({ status: "pending" });
    expect({ calls: slow.calls, aborted: slow.aborted }).toEqual({ calls: 1, aborted: 1 });
    slow.finish("late");
    expect(await within(engine.waitFor("b", { waitMs: 5_000 }))).toMatchObject({ status: "completed" });
    expect(slow.calls).toBe(2);
  });

  test("events go on without a gap and without a double", async () => {
    const { engine, disk, within } = await setting(() => "done");
    const seqs: number[] = [];
    const stop = new AbortController();
    const listening = (async () => {
      for await (const frame of engine.events({ afterSeq: 0, signal: stop.signal })) {
        if (frame.seq !== undefined) seqs.push(frame.seq);
      }
    })();
    await within(engine.submit("main", { id: "a", prompt: "a" }));
    once(disk, "task.submitted", full());
    await expect(within(engine.submit("main", { prompt: "b" }))).rejects.toMatchObject({ code: "store_full" });
    once(disk, "task.submitted", unknown(), true);
    await expect(within(engine.submit("main", { id: "c", prompt: "c" }))).rejects.toMatchObject({
      code: "unavailable",
    });
    await within(engine.waitFor("c", { waitMs: 1_000 }));
    await within(engine.submit("main", { id: "d", prompt: "d" }));
    await within(engine.waitFor("d", { waitMs: 1_000 }));
    stop.abort();
    await within(listening);
    expect(seqs).toEqual(Array.from({ length: seqs.length }, (_, n) => n + 1));
    expect(seqs.length).toBeGreaterThan(10);
  });
});

describe("a commit of which nobody knows", () => {
  test.each([
    ["kept", true],
    ["not kept", false],
  ])("that was %s: the caller is told so, and its key clears it up", async (_, kept) => {
    const { engine, disk, within, fatal } = await setting(() => "done");
    once(disk, "task.submitted", unknown(), kept);
    const task = { id: "a", prompt: "a", idempotencyKey: "k" };
    const refused = expect(within(engine.submit("main", task))).rejects;
    await refused.toMatchObject({ code: "unavailable", retryable: true, details: { unknown: true } });
    const again = await within(engine.submit("main", task));
    expect(again.created).toBe(!kept);
    expect(await within(engine.waitFor("a", { waitMs: 1_000 }))).toMatchObject({
      status: "completed",
      attemptCount: 1,
    });
    expect(fatal).toEqual([]);
  });

  test("that settled a task and was kept: who waits for the task is told, and nothing runs twice", async () => {
    const slow = patient();
    const { engine, disk, within } = await setting(slow.run);
    await within(engine.submit("main", { id: "a", prompt: "a" }));
    const settled = engine.settlement("a" as never);
    once(disk, "task.settled", unknown(), true);
    slow.finish("done");
    expect(await within(settled)).toMatchObject({ result: '"done"', facts: { settlement: { status: "completed" } } });
    expect((await within(engine.metrics("main"))).byType).toEqual({ general: { started: 1, completed: 1, failed: 0 } });
    expect(slow.calls).toBe(1);
  });

  test("that leased a task to a function and was kept: the attempt never began and is given back", async () => {
    const calls: number[] = [];
    const { engine, disk, within } = await setting(({ task }) => calls.push(task.fence));
    once(disk, "task.leased", unknown(), true);
    await expect(within(engine.submit("main", { id: "a", prompt: "a" }))).rejects.toMatchObject({
      code: "unavailable",
    });
    const view = await within(engine.waitFor("a", { waitMs: 1_000 }));
    expect(view.attempts.map(({ outcome }) => outcome)).toEqual(["released", "succeeded"]);
    expect(view.attemptCount).toBe(1);
    expect(calls).toEqual([view.attempts[1]?.fence]);
  });
});

describe("remote agents", () => {
  const claimOne = async ({ engine, within }: Setting) => {
    const { id } = await within(engine.join("far", { name: "remote" }));
    await within(engine.submit("far", { id: "r", prompt: "r" }));
    const claimed = await within(engine.claim(id, { max: 1, waitMs: 0 }, new AbortController().signal));
    claimed.written();
    const [attempt] = claimed.attempts;
    if (attempt === undefined) throw new TypeError("expected an attempt");
    return { id, fence: attempt.fence };
  };

  test("the fence of an attempt from an earlier term is accepted while the task still holds its lease", async () => {
    const made = await setting(() => "done");
    const { engine, disk, within } = made;
    const { id, fence } = await claimOne(made);
    once(disk, "task.submitted", full());
    await expect(within(engine.submit("far", { prompt: "x" }))).rejects.toMatchObject({ code: "store_full" });
    const beat = await within(engine.heartbeat(id, [{ taskId: "r", fence }]));
    expect(beat.stop).toEqual([]);
    expect(await within(engine.complete("r", fence, "from afar"))).toMatchObject({
      status: "completed",
      result: "from afar",
      attempts: [{ fence, outcome: "succeeded" }],
    });
  });

  test("a report that was refused is repeated by its worker, with what it says then", async () => {
    const made = await setting(() => "done");
    const { engine, disk, within } = made;
    const { fence } = await claimOne(made);
    once(disk, "task.settled", full());
    await expect(within(engine.complete("r", fence, "first"))).rejects.toMatchObject({ code: "store_full" });
    expect(await within(engine.complete("r", fence, "second"))).toMatchObject({
      status: "completed",
      result: "second",
    });
  });

  test("that the reply to a claim was written is not forgotten: the attempt has started", async () => {
    const made = await setting(() => "done");
    const { engine, disk, within } = made;
    once(disk, "task.started", full());
    await claimOne(made);
    expect(await within(engine.task("r"))).toMatchObject({ status: "in_progress" });
  });

  test("a waiting claim is answered with nothing, and may be made again", async () => {
    const { engine, disk, clock, within } = await setting(() => "done");
    const { id } = await within(engine.join("far", { name: "remote" }));
    const claim = () => engine.claim(id, { max: 1, waitMs: 30_000 }, new AbortController().signal);
    const waiting = claim();
    await clock.settle();
    once(disk, "task.submitted", full());
    await expect(within(engine.submit("main", { prompt: "x" }))).rejects.toMatchObject({ code: "store_full" });
    expect((await within(waiting)).attempts).toEqual([]);
    const next = claim();
    await clock.settle();
    await within(engine.submit("far", { id: "r", prompt: "r" }));
    expect((await within(next)).attempts).toMatchObject([{ taskId: "r" }]);
  });
});

describe("while the store can't be reached", () => {
  test("requests are refused with the reason, reads with `unavailable`, and all goes on once it is back", async () => {
    const slow = patient();
    const { engine, disk, clock, within, fatal } = await setting(slow.run);
    await within(engine.submit("main", { id: "a", prompt: "a" }));
    disk.loadError = new PoolError("store_failed", "no connection");
    once(disk, "task.submitted", full());
    await expect(within(engine.submit("main", { prompt: "b" }))).rejects.toMatchObject({ code: "store_full" });
    await clock.settle();
    expect(engine.ready()).toBe(false);
    await expect(engine.submit("main", { prompt: "c" })).rejects.toMatchObject({ code: "store_full" });
    await expect(engine.task("a")).rejects.toMatchObject({ code: "unavailable", retryable: true });
    slow.finish("meanwhile");
    for (let n = 0; n < 20; n++) await clock.advance(100);
    disk.loadError = undefined;
    await clock.advance(HOLD_CAP_MS);
    expect(engine.ready()).toBe(true);
    expect(await within(engine.task("a"))).toMatchObject({ status: "completed", result: "meanwhile" });
    expect(slow.calls).toBe(1);
    expect(fatal).toEqual([]);
  });

  test("it is asked at once, then after 50 ms, then ever more seldom, but every 2 s", async () => {
    const { engine, disk, clock, within } = await setting(() => "done");
    disk.loadError = new PoolError("store_failed", "no connection");
    const before = disk.loads;
    once(disk, "task.submitted", full());
    await expect(within(engine.submit("main", { prompt: "b" }))).rejects.toMatchObject({ code: "store_full" });
    await clock.settle();
    expect(disk.loads - before).toBe(1);
    await clock.advance(HOLD_FIRST_MS - 1);
    expect(disk.loads - before).toBe(1);
    await clock.advance(1);
    await clock.settle();
    expect(disk.loads - before).toBe(2);
    await clock.advance(2 * HOLD_FIRST_MS - 1);
    expect(disk.loads - before).toBe(2);
    await clock.advance(1);
    await clock.settle();
    expect(disk.loads - before).toBe(3);
    for (let n = 0; n < 100; n++) await clock.advance(100);
    const late = disk.loads;
    for (let n = 0; n < 100; n++) await clock.advance(100);
    expect(disk.loads - late).toBe(10_000 / HOLD_CAP_MS);
  });
});

describe("the end", () => {
  test("an error of writing or syncing closes the engine for good", async () => {
    const { engine, disk, within, fatal } = await setting(() => "done");
    const error = broken();
    once(disk, "task.submitted", error);
    await expect(within(engine.submit("main", { prompt: "a" }))).rejects.toMatchObject({ code: "store_failed" });
    await expect(within(engine.submit("main", { prompt: "b" }))).rejects.toMatchObject({ code: "store_failed" });
    expect(fatal).toEqual([error]);
    expect(disk.loads).toBe(1);
  });

  test("so does one of reloading", async () => {
    const { engine, disk, within, fatal } = await setting(() => "done");
    disk.loadError = broken();
    once(disk, "task.submitted", full());
    await expect(within(engine.submit("main", { prompt: "a" }))).rejects.toMatchObject({ code: "store_full" });
    await within(Promise.resolve());
    expect(fatal).toEqual([disk.loadError]);
  });

  test.each([
    ["a second one within a minute stops the engine", BROKEN_AGAIN_MS - 1, 1],
    ["one a minute later ends a term again", BROKEN_AGAIN_MS, 0],
  ])("a broken invariant ends the term; %s", async (_, apartMs, fatals) => {
    const { engine, disk, clock, within, fatal, logs } = await setting(() => "done");
    const bug = () => new TypeError("what should have held");
    once(disk, "task.submitted", bug());
    await expect(within(engine.submit("main", { prompt: "a" }))).rejects.toMatchObject({ code: "internal" });
    await within(engine.submit("main", { id: "b", prompt: "b" }));
    expect(await within(engine.waitFor("b", { waitMs: 100 }))).toMatchObject({ status: "completed" });
    expect(fatal).toEqual([]);
    const untilMs = (logs.find(({ event }) => event === "engine.term_ended") ? 1_000_000 : 0) + apartMs;
    await clock.advance(untilMs - clock.now());
    once(disk, "task.submitted", bug());
    await expect(within(engine.submit("main", { prompt: "c" }))).rejects.toMatchObject({ code: "internal" });
    expect(fatal).toHaveLength(fatals);
  });

  test("an engine that closes goes on closing in its next term: nothing more is started", async () => {
    const slow = patient();
    const { engine, disk, clock, within } = await setting(slow.run);
    await within(engine.submit("main", { id: "a", prompt: "a" }));
    await within(engine.submit("main", { id: "b", prompt: "b" }));
    const closing = engine.close({ drainMs: 10_000 });
    await clock.settle();
    once(disk, "task.settled", full());
    slow.finish("done");
    await within(closing);
    expect(slow.calls).toBe(1);
    const { open } = await disk.store.load().catch(() => ({ open: [] }));
    expect(open).toEqual([]);
  });
});

test("what was looked up before a term ended is not used after it", async () => {
  const { engine, disk, within } = await setting(() => "done");
  const facts = disk.store.facts.bind(disk.store);
  const gate = Promise.withResolvers<void>();
  const spy = vi.spyOn(disk.store, "facts").mockImplementationOnce(async (...given) => {
    const found = await facts(...given);
    await gate.promise;
    return found;
  });
  const early = engine.submit("main", { id: "a", prompt: "early" });
  const refused = expect(early).rejects.toMatchObject({ code: "store_full" });
  await within(engine.submit("main", { id: "a", prompt: "first" }));
  await within(engine.waitFor("a", { waitMs: 1_000 }));
  once(disk, "task.submitted", full());
  await expect(within(engine.submit("main", { prompt: "x" }))).rejects.toMatchObject({ code: "store_full" });
  gate.resolve();
  await refused;
  expect(await within(engine.task("a"))).toMatchObject({ prompt: "first" });
  spy.mockRestore();
});
