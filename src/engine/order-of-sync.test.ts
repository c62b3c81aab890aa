/** Commit, then act, then tell: seen by standing between the engine and a real data file. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import type { DurableEvent } from "../core/event.ts";
import { openSqliteStore } from "../stores/sqlite.ts";
import type { Commit, Store } from "../stores/store.ts";
import { type LocalEngine, startEngine } from "./engine.ts";

const dirs: string[] = [];
afterEach(() => {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
});

interface Watched {
  readonly store: Store;
  /** Events whose commit has been answered. */
  readonly synced: DurableEvent[];
  /** The next commits wait for `release` after they have been written. */
  hold(): void;
  release(): void;
}

/** A store that says of each event when its sync was over, and can hold back the answer. */
async function watchedStore(): Promise<Watched> {
  const dir = mkdtempSync(join(tmpdir(), "troupe-order-"));
  dirs.push(dir);
  const inner = await openSqliteStore(join(dir, "troupe.db"));
  const synced: DurableEvent[] = [];
  let gate: Promise<void> = Promise.resolve();
  let open: () => void = () => {};
  const commit = async (turn: Commit): Promise<void> => {
    await inner.commit(turn);
    await gate;
    synced.push(...turn.events);
  };
  const store = new Proxy(inner, {
    get(target, name) {
      if (name === "commit") return commit;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return {
    store,
    synced,
    hold: () => {
      gate = new Promise((resolve) => {
        open = resolve;
      });
    },
    release: () => {
      gate = Promise.resolve();
      open();
    },
  };
}

const has = (events: readonly DurableEvent[], type: DurableEvent["type"], id: string): boolean =>
  events.some(
    (event) => event.type === type && ("taskId" in event ? event.taskId : "spec" in event && event.spec.id) === id,
  );

async function engineOver(
  store: Store,
  run: (prompt: string, fence: number, id: string) => unknown,
): Promise<LocalEngine> {
  const engine = await startEngine({ store, dataDir: tmpdir() });
  const agents = ["ada", "bob"].map((name) => ({ kind: "function" as const, name, concurrency: 4 }));
  const call = ({ task }: { task: { prompt?: string | undefined; fence: number; id: string } }): unknown =>
    run(task.prompt ?? "", task.fence, task.id);
  await engine.openPool(
    { id: "main", agents },
    new Map([
      ["ada", call],
      ["bob", call],
    ]),
  );
  return engine;
}

test("S3-09 S3-L05 S3-B15 every reply comes after the sync of what it tells, and every start after the sync of its attempt", async () => {
  const watched = await watchedStore();
  const wrong: string[] = [];
  let starts = 0;
  const engine = await engineOver(watched.store, (prompt, fence, id) => {
    starts += 1;
    const leased = watched.synced.some(
      (event) => event.type === "task.leased" && event.taskId === id && event.fence === fence,
    );
    if (!leased) wrong.push(`attempt ${fence} of ${id} started before its lease was synced`);
    if (prompt === "bad") throw new Error("as asked");
    return prompt;
  });
  const one = async (n: number): Promise<void> => {
    const { task } = await engine.submit("main", { prompt: n % 7 === 0 ? "bad" : `p${n}`, maxAttempts: 2 });
    if (!has(watched.synced, "task.submitted", task.id)) wrong.push(`${task.id} was acknowledged before its sync`);
    const settled = await engine.waitFor(task.id, { waitMs: 60_000 });
    if (!has(watched.synced, "task.settled", task.id))
      wrong.push(`${task.id} was told as ${settled.status} before its sync`);
  };
  await Promise.all(Array.from({ length: 100 }, (_, n) => one(n)));
  await engine.close();
  expect(wrong).toEqual([]);
  expect(starts).toBeGreaterThanOrEqual(100);
});

test("while the sync of a submission is held back, its caller hears nothing and nothing starts", async () => {
  const watched = await watchedStore();
  const started: string[] = [];
  const engine = await engineOver(watched.store, (prompt) => {
    started.push(prompt);
    return prompt;
  });
  watched.hold();
  let told = false;
  const submitted = engine.submit("main", { id: "held", prompt: "p" }).then((reply) => {
    told = true;
    return reply;
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect({ told, started }).toEqual({ told: false, started: [] });
  watched.release();
  expect((await submitted).task.id).toBe("held");
  expect((await engine.waitFor("held", { waitMs: 10_000 })).status).toBe("completed");
  expect(started).toEqual(["p"]);
  await engine.close();
});

test("while the sync of a settlement is held back, readers see nothing of it and waiters wait", async () => {
  const watched = await watchedStore();
  let finish: () => void = () => {};
  const running = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const engine = await engineOver(watched.store, () => running.then(() => "done"));
  await engine.submit("main", { id: "held", prompt: "p" });
  await expect.poll(async () => (await engine.task("held")).status).toBe("in_progress");
  watched.hold();
  let seen: string | undefined;
  const waiting = engine.waitFor("held", { waitMs: 60_000 }).then(({ status }) => {
    seen = status;
  });
  finish();
  const reading = new Promise((resolve) => setTimeout(resolve, 50)).then(() => engine.task("held"));
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(seen).toBeUndefined();
  expect(has(watched.synced, "task.settled", "held")).toBe(false);
  watched.release();
  expect((await reading).status).toBe("completed");
  await waiting;
  expect(seen).toBe("completed");
  await engine.close();
});

test("a commit that fails ends the engine: callers are refused, nothing of the turn is acted upon", async () => {
  const watched = await watchedStore();
  const started: string[] = [];
  let fatal: unknown;
  const failing = new Proxy(watched.store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (name !== "commit") return typeof value === "function" ? value.bind(target) : value;
      return async (turn: Commit) => {
        if (turn.events.some((event) => event.type === "task.submitted")) throw new Error("the disk is gone");
        await target.commit(turn);
      };
    },
  });
  const engine = await startEngine({
    store: failing,
    dataDir: tmpdir(),
    onFatal: (error) => {
      fatal = error;
    },
  });
  await engine.openPool(
    { id: "main", agents: [{ kind: "function", name: "ada" }] },
    new Map([["ada", ({ task }) => started.push(task.prompt ?? "")]]),
  );
  await expect(engine.submit("main", { prompt: "p" })).rejects.toMatchObject({ name: "PoolError" });
  await expect(engine.submit("main", { prompt: "q" })).rejects.toMatchObject({ name: "PoolError" });
  expect(started).toEqual([]);
  expect(String(fatal)).toContain("the disk is gone");
  await engine.close();
});
