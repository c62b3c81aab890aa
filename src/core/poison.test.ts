import { describe, expect, test } from "vitest";
import { asAgentId, asPoolId, asTaskId } from "../base/ids.ts";
import { createWorld, MAIN, refusal, World, type WorldAgent, type WorldOptions } from "../testing/world.ts";
import { QUARANTINE_LIMIT, quarantine as quarantined } from "./quarantine.ts";
import { Turn } from "./turn.ts";

const daemon = (name: string, concurrency = 1): WorldAgent => ({ name, kind: "daemon", concurrency });
const remote = (name: string, concurrency = 1): WorldAgent => ({ name, kind: "remote", concurrency });

/** Daemons `d1`, `d2` … and attempts enough. */
function daemons(count: number, options: WorldOptions["pool"] = {}, concurrency = 1): World {
  const agents = Array.from({ length: count }, (_, n) => daemon(`d${n + 1}`, concurrency));
  return createWorld({ agents, pool: { retry: { maxAttempts: 50 }, restart: { max: 100 }, ...options } });
}

/** The agent that runs the task dies with it. */
function kill(world: World, id: string): string {
  const name = world.runner(id);
  if (name === undefined) throw new Error(`nobody runs ${id}: ${world.status(id)}`);
  world.crash(name);
  return name;
}

const quarantine = (world: World, pool = MAIN): string[] => [...(world.state.pools.get(pool)?.quarantine.keys() ?? [])];

describe("a task that kills its agents", () => {
  test("S2-L03 is poisoned at the third different agent, not at the second", () => {
    const world = daemons(4);
    world.submit({ id: "t" });
    const killers = [kill(world, "t"), kill(world, "t")];
    expect(world.status("t")).toBe("leased");
    expect(world.task("t").killers).toEqual(killers);
    killers.push(kill(world, "t"));
    expect(world.settlement("t")).toMatchObject({
      status: "failed",
      deadLettered: true,
      error: { code: "poisoned", blame: "agent", details: { code: "agent_died", agentIds: killers } },
    });
  });

  test.each([1, 2, 5])("S2-L03 is poisoned at `poisonLimit` %i", (poisonLimit) => {
    const world = daemons(6, { poisonLimit });
    world.submit({ id: "t" });
    for (let n = 1; n < poisonLimit; n++) kill(world, "t");
    expect(world.status("t")).toBe("leased");
    kill(world, "t");
    expect(world.settlement("t").error?.code).toBe("poisoned");
  });

  test("S2-L03 with `poisonLimit` 0 is never poisoned, only exhausted, and nothing is quarantined", () => {
    const world = daemons(6, { poisonLimit: 0, retry: { maxAttempts: 5 } });
    world.submit({ id: "t" });
    for (let n = 0; n < 5; n++) kill(world, "t");
    expect(world.settlement("t").error?.code).toBe("exhausted");
    expect(quarantine(world)).toEqual([]);
  });

  test("S2-L03 poisoned wins over exhausted, and over a task that may not be retried", () => {
    const world = daemons(4, { retry: { maxAttempts: 3 } });
    world.submit({ id: "t" });
    for (let n = 0; n < 3; n++) kill(world, "t");
    expect(world.settlement("t").error?.code).toBe("poisoned");
    expect(world.task("t").attemptCount).toBe(3);
    const strict = daemons(1, { poisonLimit: 1 });
    strict.submit({ id: "t", retryable: false });
    strict.start("t");
    kill(strict, "t");
    expect(strict.settlement("t").error?.code).toBe("poisoned");
  });

  test("each agent counts once", () => {
    const world = daemons(1, { poisonLimit: 2, restart: { max: 100, delayMs: 1 } });
    world.submit({ id: "t" });
    for (let n = 0; n < 3; n++) {
      kill(world, "t");
      world.advance(60_000);
      world.ready("d1");
    }
    expect(world.task("t").killers).toEqual(["d1"]);
    expect(world.status("t")).toBe("leased");
  });

  test("what is no kill counts for nothing: failures, timeouts, releases, and stops that we asked for", () => {
    const world = daemons(6, { poisonLimit: 1 });
    world.submit({ id: "t" });
    world.fail("t");
    world.report("t", { name: "timed_out", blame: "agent", error: { code: "timeout", message: "late" } });
    world.report("t", { name: "released" });
    const exit = { asked: true as const, code: 0, signal: null, reason: "stopped", logTail: [] };
    const agentId = world.agent(world.runner("t") ?? "").identity.id;
    world.ask({ type: "agent_exited", agentId, exit });
    expect(world.status("t")).toBe("leased");
    expect(world.task("t").killers).toBeUndefined();
    expect(world.task("t").attempts.at(-1)).toMatchObject({ outcome: "lost", blame: "agent" });
    world.remove(world.runner("t") ?? "");
    expect([world.status("t"), world.task("t").killers]).toEqual(["leased", undefined]);
  });

  test("a kill that its driver reports counts as one that its exit tells, once", () => {
    const world = daemons(4, { poisonLimit: 2 });
    world.submit({ id: "t" });
    const first = world.runner("t") ?? "";
    const error = { code: "agent_died", message: "the connection broke" };
    world.report("t", { name: "lost", blame: "agent", kill: true, error });
    world.crash(first);
    expect(world.task("t").killers).toEqual([first]);
  });
});

describe("a death with several tasks on the agent", () => {
  test("counts for none of them, whether it is told by its exit", () => {
    const world = daemons(3, { poisonLimit: 1 }, 2);
    world.remove("d2");
    world.remove("d3");
    world.submit({ id: "a" });
    world.submit({ id: "b" });
    world.crash("d1");
    for (const id of ["a", "b"]) expect(world.task(id).killers).toEqual([]);
  });

  test("or run by run", () => {
    const world = daemons(1, { poisonLimit: 1 }, 3);
    for (const id of ["a", "b", "c"]) world.submit({ id });
    const error = { code: "agent_died", message: "the connection broke" };
    for (const id of ["a", "b", "c"]) world.report(id, { name: "lost", blame: "agent", kill: true, error });
    for (const id of ["a", "b", "c"]) expect(world.task(id).killers).toEqual([]);
  });

  test("an older run that is still going on is company as well", () => {
    const world = daemons(1, { poisonLimit: 1, timeoutMs: 1_000 }, 2);
    world.submit({ id: "old", maxAttempts: 1 });
    world.start("old");
    world.advance(1_000);
    expect(world.status("old")).toBe("failed");
    world.submit({ id: "t" });
    world.crash("d1");
    expect(world.task("t").killers).toEqual([]);
  });

  test("each run of a command is a process of its own: only who was alone counts", () => {
    const world = createWorld({ agents: [{ name: "c", kind: "command", concurrency: 2 }], pool: { poisonLimit: 1 } });
    const error = { code: "agent_died", message: "killed by SIGSEGV" };
    world.submit({ id: "a" });
    world.submit({ id: "b" });
    world.report("a", { name: "lost", blame: "agent", kill: true, error });
    expect(world.task("a").killers).toEqual([]);
    world.report("b", { name: "lost", blame: "agent", kill: true, error });
    expect(world.settlement("b").error?.code).toBe("poisoned");
  });

  test("the one that survived it counts from then on, and runs alone", () => {
    const world = daemons(3, { poisonLimit: 1 }, 2);
    world.submit({ id: "a" });
    world.submit({ id: "b" });
    world.submit({ id: "c" });
    world.submit({ id: "d" });
    const shared = world.runner("a") ?? "";
    world.crash(shared);
    const killed = ["a", "b", "c", "d"].filter((id) => world.task(id).killers !== undefined);
    expect(killed.length).toBeGreaterThan(0);
    for (const id of killed) {
      const runner = world.runner(id);
      if (runner !== undefined) expect(world.agent(runner).runs.size).toBe(1);
    }
  });
});

describe("a task that has survived a kill", () => {
  /** `t` has killed d1 in company; d2 is left, with two slots. */
  function survivor(): World {
    const world = createWorld({ agents: [daemon("d1", 2)], pool: { retry: { maxAttempts: 9 } } });
    world.submit({ id: "t" });
    world.submit({ id: "with", maxAttempts: 1 });
    world.crash("d1");
    expect(world.task("t").killers).toEqual([]);
    world.addAgent(remote("idle"));
    world.advance(1_000);
    expect(world.status("t")).toBe("agent");
    return world;
  }

  test("waits for an agent that is empty, which takes nothing else meanwhile", () => {
    const world = survivor();
    world.addAgent(daemon("d2", 2));
    expect(world.runner("t")).toBe("d2");
    world.submit({ id: "next" });
    expect(world.status("next")).toBe("agent");
    world.complete("t");
    expect(world.runner("next")).toBe("d2");
  });

  test("is not starved: once it is its turn an agent empties itself for it", () => {
    const world = survivor();
    // Somebody else is at work on d2 before the survivor may go there.
    world.cancel("t");
    const busy = createWorld({ agents: [daemon("d1", 2), daemon("d2", 2)], pool: { retry: { maxAttempts: 9 } } });
    for (const id of ["t", "u", "v", "w"]) busy.submit({ id });
    const dead = busy.runner("t") ?? "";
    const other = dead === "d1" ? "d2" : "d1";
    const others = ["u", "v", "w"].filter((id) => busy.runner(id) === other);
    busy.crash(dead);
    for (let n = 1; n <= 4; n++) busy.submit({ id: `new${n}` });
    busy.complete(others[0] ?? "");
    // A slot is free, but kept: the oldest that needs to be alone is next.
    expect(busy.agent(other).runs.size).toBe(1);
    busy.complete(others[1] ?? "");
    expect(busy.runner("t")).toBe(other);
    expect(busy.agent(other).runs.size).toBe(1);
  });

  test("that is cancelled gives back the agent that was kept free for it", () => {
    const world = createWorld({ agents: [daemon("d1", 2), daemon("d2", 2)], pool: { retry: { maxAttempts: 9 } } });
    for (const id of ["t", "u", "v", "w"]) world.submit({ id });
    const dead = world.runner("t") ?? "";
    const other = dead === "d1" ? "d2" : "d1";
    const company = ["u", "v", "w"].find((id) => world.runner(id) === dead) ?? "";
    const others = ["u", "v", "w"].filter((id) => world.runner(id) === other);
    world.crash(dead);
    world.submit({ id: "new" });
    world.complete(others[0] ?? "");
    expect(world.status("new")).toBe("agent");
    world.cancel(company);
    expect(world.status("new")).toBe("agent");
    world.cancel("t");
    expect(world.runner("new")).toBe(other);
  });

  test("whose agent dies or goes while it empties itself finds another", () => {
    for (const end of ["crash", "remove"] as const) {
      const agents = [daemon("d1", 2), daemon("d2", 2), daemon("d3", 2)];
      const world = createWorld({ agents, pool: { retry: { maxAttempts: 9 } } });
      for (const id of ["t", "a", "b", "c", "d", "e"]) world.submit({ id });
      world.crash(world.runner("t") ?? "");
      const busy = ["a", "b", "c", "d", "e"].filter((id) => world.runner(id) !== undefined);
      const freed = world.runner(busy[0] ?? "") ?? "";
      world.complete(busy[0] ?? "");
      world[end](freed);
      const rest = ["a", "b", "c", "d", "e"].filter((id) => world.runner(id) !== undefined);
      for (const id of rest) world.complete(id);
      expect(world.runner("t"), end).toBeDefined();
    }
  });

  /** d1 has died with `t`; `b` runs on d2, `c` on d3, both with free slots. */
  function twoBusy(more: readonly string[] = []): World {
    const world = createWorld({ agents: [daemon("d1", 2)], pool: { retry: { maxAttempts: 9 } } });
    world.submit({ id: "t" });
    world.submit({ id: "with", maxAttempts: 1 });
    world.addAgent({ ...daemon("d2", 4), capabilities: ["*"] });
    world.addAgent({ ...daemon("d3", 4), capabilities: ["*"] });
    for (const id of ["b", "c", ...more]) world.submit({ id });
    world.crash("d1");
    return world;
  }

  test.each([
    ["is drained", { type: "drain_agent", keep: true }],
    ["is failed by its operator", { type: "fail_agent", reason: "sick" }],
    ["shares an id with another", { type: "change_agent", change: { isolation: { toolSessionId: "t-d1" } } }],
  ] as const)("whose agent %s while it empties itself finds another", (_, command) => {
    const world = twoBusy(["d"]);
    const reserved = world.state.queues.get(MAIN)?.reservations;
    const kept = ["d2", "d3"].find((name) => reserved?.taskOf(asAgentId(name)) === "t") ?? "";
    world.ask({ ...command, agentId: asAgentId(kept) });
    for (const id of ["b", "c", "d"])
      if (world.runner(id) !== kept && world.status(id) === "leased") world.complete(id);
    expect(world.runner("t")).toBe(kept === "d2" ? "d3" : "d2");
  });

  test("keeps one agent free for itself, that which will be empty first, and no other", () => {
    const world = twoBusy(["e"]);
    const count = (name: string): number => world.agent(name).runs.size;
    const [more, fewer] = count("d2") > count("d3") ? ["d2", "d3"] : ["d3", "d2"];
    expect([count(more), count(fewer), world.status("t")]).toEqual([2, 1, "agent"]);
    world.submit({ id: "new" });
    expect(world.runner("new")).toBe(more);
  });

  test("has its agent once that is empty, however urgent others are", () => {
    const world = twoBusy();
    for (let n = 0; n < 3; n++) world.submit({ id: `fill${n}` });
    world.submit({ id: "urgent", priority: 1, maxAttempts: 1 });
    expect(world.status("t")).toBe("agent");
    const kept = ["d2", "d3"].find((name) => world.agent(name).runs.size === 1) ?? "";
    world.submit({ id: "urgent2", priority: 1 });
    expect(world.status("urgent2")).toBe("agent");
    world.complete(["b", "c"].find((id) => world.runner(id) === kept) ?? "");
    expect([world.runner("t"), world.status("urgent2")]).toEqual([kept, "agent"]);
  });

  test("does not hold up others of its kind", () => {
    const world = createWorld({ agents: [daemon("d1", 2), daemon("d2", 1)], pool: { retry: { maxAttempts: 9 } } });
    for (const id of ["t", "u", "v"]) world.submit({ id });
    const dead = world.runner("t") ?? "";
    world.crash(dead === "d2" ? "d1" : dead);
    world.addAgent(daemon("d3", 1));
    world.addAgent(daemon("d4", 1));
    const waiting = ["t", "u", "v"].filter((id) => world.status(id) === "agent");
    expect(waiting).toEqual([]);
  });

  test("keeps its kills over a restart of the engine, and loses them with a replay", () => {
    const world = survivor();
    world.restart();
    expect(world.task("t").killers).toEqual([]);
    world.ask({ type: "recover" });
    world.addAgent(daemon("d2", 2));
    world.submit({ id: "next" });
    expect([world.runner("t"), world.status("next")]).toEqual(["d2", "agent"]);
    world.fail("t", { blame: "task" });
    world.replay("t");
    expect(world.task("t").killers).toBeUndefined();
  });
});

describe("a remote agent", () => {
  function claimed(ids: readonly string[], poolOptions: WorldOptions["pool"] = { poisonLimit: 1 }): World {
    const world = createWorld({ agents: [remote("r", 9)], pool: poolOptions });
    world.claim("r", { max: 9 });
    world.turn(
      ids.map((id) => ({ type: "submit", specs: [world.spec({ id })], partial: false, known: world.known() })),
    );
    return world;
  }

  test("that gives no sign after the last renewal has died with its task", () => {
    const world = claimed(["t"]);
    world.advance(5_000);
    world.heartbeat("r", ["t"]);
    world.advance(29_999);
    expect(world.status("t")).toBe("leased");
    world.advance(1);
    expect(world.settlement("t").error).toMatchObject({ code: "poisoned", details: { code: "lease_expired" } });
  });

  test("that shows itself but does not name the task has not: its lease ends, and that is no kill", () => {
    const world = claimed(["t"]);
    world.heartbeat("r", ["t"]);
    world.advance(1);
    world.heartbeat("r", []);
    world.advance(29_999);
    expect(world.task("t").attempts.at(-1)).toMatchObject({ outcome: "lost", error: { code: "lease_expired" } });
    expect([world.status("t"), world.task("t").killers]).toEqual(["retry", undefined]);
  });

  test("that waits for more work is alive", () => {
    const world = claimed(["t"]);
    world.heartbeat("r", ["t"]);
    world.claim("r", { types: [] });
    world.advance(30_000);
    expect(world.task("t").attempts.at(-1)).toMatchObject({ outcome: "lost" });
    expect([world.status("t"), world.task("t").killers]).toEqual(["retry", undefined]);
  });

  test("that is given work after a long wait has been there all the time", () => {
    const world = createWorld({ agents: [remote("r")] });
    world.claim("r");
    world.advance(25_000);
    world.submit({ id: "t" });
    world.advance(6_000);
    expect([world.runner("t"), world.agent("r").lifecycle]).toEqual(["r", "ready"]);
  });

  test("that dies with several tasks is counted for none", () => {
    const world = claimed(["a", "b"]);
    world.advance(30_000);
    for (const id of ["a", "b"]) expect(world.task(id).killers).toEqual([]);
  });

  test("that is replaced has not died", () => {
    const world = claimed(["t"]);
    world.join({ name: "r" }, { replace: true });
    expect([world.status("t"), world.task("t").killers]).toEqual(["retry", undefined]);
  });
});

describe("the quarantine", () => {
  function poisoned(): World {
    const world = daemons(9, { poisonLimit: 1 });
    world.submit({ id: "t", type: "bad" });
    kill(world, "t");
    return world;
  }

  test("S2-L03 refuses what is made alike, and nothing else", () => {
    const world = poisoned();
    const { code, details } = refusal(() => world.submit({ id: "again", type: "bad" }));
    expect({ code, details }).toMatchObject({ code: "quarantined", details: { fingerprint: "bad", taskId: "t" } });
    expect(world.state.tasks.has(asTaskId("again"))).toBe(false);
    world.submit({ id: "other", type: "good" });
    expect(world.status("other")).toBe("leased");
    const [bad, good] = world.submitBatch([{ type: "bad" }, { type: "good" }], { partial: true });
    expect([bad && "error" in bad, good && "taskId" in good]).toEqual([true, true]);
  });

  test("is each pool's own", () => {
    const world = poisoned();
    world.addPool({ id: "other" });
    world.submit({ id: "there", type: "bad", pool: "other" });
    expect(world.status("there")).toBe("agent");
  });

  test("a repeated request under its idempotency key is answered as before", () => {
    const world = daemons(9, { poisonLimit: 1 });
    const spec = { id: "t", type: "bad", idempotencyKey: "k", bodyHash: "h" };
    world.submit(spec);
    kill(world, "t");
    const [item] = world.submitBatch([{ ...spec, id: "t2" }]);
    expect(item).toEqual({ taskId: "t", created: false });
  });

  test("S2-L03 lets go of what is replayed, and of what an operator releases", () => {
    for (const release of ["replay", "operator"] as const) {
      const world = poisoned();
      if (release === "replay") world.replay("t");
      else world.ask({ type: "release_payload", pool: MAIN, fingerprint: "bad" });
      expect(quarantine(world)).toEqual([]);
      world.submit({ id: "again", type: "bad" });
      expect(world.state.tasks.has(asTaskId("again"))).toBe(true);
    }
  });

  test("an unknown fingerprint or pool is not found", () => {
    const world = poisoned();
    const ask = (pool: string, fingerprint: string) => {
      return refusal(() => world.ask({ type: "release_payload", pool: asPoolId(pool), fingerprint })).code;
    };
    expect([ask("main", "other"), ask("none", "bad")]).toEqual(["not_found", "not_found"]);
    expect(quarantine(world)).toEqual(["bad"]);
  });

  test("survives a restart, and goes with its pool", () => {
    const world = poisoned();
    world.restart();
    expect(quarantine(world)).toEqual(["bad"]);
    world.ask({ type: "delete_pool", pool: MAIN });
    expect(world.eventsOf("payload.released").map(({ fingerprint }) => fingerprint)).toEqual(["bad"]);
  });

  test("holds a bounded number of payloads: beyond it the oldest is let go", () => {
    const world = createWorld({});
    const turn = new Turn(world.state, world.nowMs, world.random);
    const spec = world.spec();
    for (let n = 0; n < QUARANTINE_LIMIT; n++) quarantined(world.state, { spec }, `f${n}`, turn);
    expect([quarantine(world).length, quarantine(world)[0]]).toEqual([10_000, "f0"]);
    quarantined(world.state, { spec }, "one more", turn);
    expect([quarantine(world).length, quarantine(world)[0]]).toEqual([10_000, "f1"]);
  });

  test("is asked for a fingerprint only while something is in it", () => {
    const world = poisoned();
    let asked = 0;
    const submit = (): void => {
      const specs = [world.spec({ type: "good" })];
      const fingerprintOf = (): string => `${++asked}`;
      world.ask({ type: "submit", specs, partial: false, known: world.known(), fingerprintOf });
    };
    submit();
    expect(asked).toBe(1);
    world.ask({ type: "release_payload", pool: MAIN, fingerprint: World.fingerprint(world.spec({ type: "bad" })) });
    submit();
    expect(asked).toBe(1);
  });
});
