/** Scripts of what went wrong elsewhere, and of what must go right here. Each has its trace beside it. */
import { refusal, type WorldOptions } from "../../src/testing/world.ts";
import type { Story } from "./story.ts";

export interface Script {
  /** Of its file. */
  readonly name: string;
  readonly title: string;
  readonly world: WorldOptions;
  readonly play: (story: Story) => void;
}

const once = { maxAttempts: 1 };
const noJitter = { baseMs: 200, factor: 2, jitter: "none" as const };
const breaker = { consecutive: 2, ratio: null, openMs: 1_000, factor: 2, jitter: "none" as const, successes: 1 };

export const SCRIPTS: readonly Script[] = [
  {
    name: "surprise-01-one-failure",
    title: "surprise 1, S1-B01: one failure does not ban a fresh agent",
    world: { agents: ["ada"], pool: { retry: once, health: {}, breaker: {} } },
    play: ({ world, tell }) => {
      world.fail(world.submit({ id: "first" }));
      tell("ada has failed all she was ever given, which is one task");
      world.complete(world.submit({ id: "second" }));
    },
  },
  {
    name: "surprise-02-opened-breaker",
    title: "surprise 2, S1-B02: an opened breaker lets its agent return",
    world: { agents: ["ada"], pool: { retry: once, breaker } },
    play: ({ world, tell }) => {
      for (const id of ["one", "two"]) world.fail(world.submit({ id }));
      world.submit({ id: "three" });
      tell("nobody else is there; after the open time one call is let through by itself");
      world.advance(1_000);
      world.complete("three");
    },
  },
  {
    name: "surprise-03-sticky-strategy",
    title: "surprise 3, S1-B04: a sticky strategy tries the second agent at once",
    world: {
      agents: [
        { name: "first", priority: 0 },
        { name: "second", priority: 1 },
      ],
      pool: { strategy: "priority", retry: { maxAttempts: 3, backoff: noJitter } },
    },
    play: ({ world, tell }) => {
      const id = world.submit({ id: "a" });
      world.fail(id);
      tell("first is free again and preferred by the strategy, and yet it is second's turn");
      world.complete(id);
    },
  },
  {
    name: "surprise-04-pool-of-one",
    title: "surprise 4, S2-B01: a pool of one is free again after one failure",
    world: { agents: ["ada"], pool: { retry: { maxAttempts: 2, backoff: noJitter } } },
    play: ({ world, tell }) => {
      const id = world.submit({ id: "a" });
      world.fail(id);
      tell("nobody else could serve, so ada tries once more, after a backoff");
      world.advance(200);
      world.complete(id);
    },
  },
  {
    name: "surprise-05-dead-daemon",
    title: "surprise 5, S2-B02: a dead daemon is restarted, by its exit and by its probes",
    world: {
      agents: [{ name: "daemon", kind: "daemon" }],
      pool: { restart: { delayMs: 100, jitter: "none" }, probe: { fall: 2 } },
    },
    play: ({ world, tell }) => {
      world.crash("daemon");
      world.advance(100);
      world.ready("daemon");
      tell("it is up, but does not answer its probes");
      world.probe("daemon", false);
      world.probe("daemon", false);
    },
  },
  {
    name: "surprise-06-bad-inputs",
    title: "surprise 6, S2-B07: five bad inputs open no breaker",
    world: { agents: ["ada", "bob"], pool: { breaker } },
    play: ({ world, tell }) => {
      for (let n = 1; n <= 5; n++) world.fail(world.submit({ id: `bad-${n}` }), { blame: "task" });
      tell("ada and bob are as good as before");
      world.complete(world.submit({ id: "good" }));
    },
  },
  {
    name: "surprise-07-assigned-and-told",
    title: "surprise 7, S3-B01: whoever is given a task is told of it, and of that task",
    world: { agents: [{ name: "rem", kind: "remote", capabilities: ["x"] }] },
    play: ({ world, tell }) => {
      world.submit({ id: "other", type: "y" });
      world.submit({ id: "later", type: "x", priority: 4 });
      world.submit({ id: "urgent", type: "x", priority: 2 });
      tell("rem asks; it can do x only");
      world.claim("rem");
      world.start("urgent");
      world.complete("urgent");
    },
  },
  {
    name: "surprise-08-released-once",
    title: "surprise 8, S3-B19: a task with two dependencies is released once",
    world: { agents: ["ada", "bob"] },
    play: ({ world, tell }) => {
      const [a, b] = [world.submit({ id: "a" }), world.submit({ id: "b" })];
      world.submit({ id: "both", dependencies: [a, b, a] });
      tell("both end in one turn");
      const done = (id: string) => {
        const lease = world.lease(id);
        const task = world.task(id).spec.id;
        const outcome = { name: "succeeded", resultBytes: 2 } as const;
        return { agentId: lease?.agentId, taskId: task, fence: lease?.fence ?? 0, outcome, known: world.known() };
      };
      world.turn([
        { type: "report", ...done(a) },
        { type: "report", ...done(b) },
      ]);
      world.complete("both");
    },
  },
  {
    name: "surprise-09-held-task-stays",
    title: "surprise 9, S0-B01: a held task stays where it is when others complete",
    world: { agents: ["ada"] },
    play: ({ world, tell }) => {
      world.ask({ type: "set_gate", name: "index", available: false, holds: ["search"] });
      const running = world.submit({ id: "running" });
      world.submit({ id: "held", type: "search" });
      world.submit({ id: "behind" });
      world.complete(running);
      world.complete("behind");
      tell("the gate opens");
      world.ask({ type: "set_gate", name: "index", available: true });
      world.complete("held");
    },
  },
  {
    name: "surprise-10-held-tasks-fill-nothing",
    title: "surprise 10, S0-B04: held tasks do not shut out healthy work",
    world: { agents: ["ada"], pool: { queue: { limit: 1, gatedLimit: 2 } } },
    play: ({ world, tell }) => {
      world.ask({ type: "set_gate", name: "index", available: false, holds: ["search"] });
      for (const id of ["held-1", "held-2"]) world.submit({ id, type: "search" });
      refusal(() => world.submit({ id: "held-3", type: "search" }));
      tell("other work goes to the idle agent, and into the queue");
      world.submit({ id: "healthy" });
      world.submit({ id: "next" });
      refusal(() => world.submit({ id: "one-too-many" }));
      world.complete("healthy");
      world.complete("next");
    },
  },
  {
    name: "surprise-11-timed-out-work",
    title: "surprise 11, S4-B04 S4-B05: timed-out work is stopped, and nobody hangs after a shutdown",
    world: { agents: ["ada"], pool: { retry: once, stopMs: 100, abandonMs: 1_000 } },
    play: ({ world, tell }) => {
      const id = world.submit({ id: "slow", timeoutMs: 500 });
      world.start(id);
      world.submit({ id: "waiting", deadlineAtMs: world.nowMs + 600 });
      world.advance(500);
      tell("its slot is taken until the run is known to have ended");
      world.advance(100);
      world.endRun("ada", id);
      tell("a shutdown: what is open is settled, and told");
      const last = world.submit({ id: "last" });
      world.submit({ id: "after", dependencies: [last] });
      world.ask({ type: "drain", matching: false });
      refusal(() => world.submit({ id: "too-late" }));
      world.ask({ type: "halt", cancel: true });
    },
  },
  {
    name: "surprise-12-health",
    title: "surprise 12, S4-B01 S4-B02: failing agents look sick, idle ones do not",
    world: {
      agents: ["ada", "bob"],
      pool: { retry: once, health: { consecutive: 3, maxAgeMs: 600_000 }, stuckMs: 1_000, strategy: "priority" },
    },
    play: ({ world, tell }) => {
      for (let n = 1; n <= 3; n++) world.fail(world.submit({ id: `t${n}`, preferredAgent: "ada" }));
      tell("bob has done nothing for five minutes");
      world.advance(300_000);
      tell("bob is busy on one task for longer than he may be");
      const id = world.submit({ id: "long", preferredAgent: "bob" });
      world.start(id);
      world.advance(1_001);
      world.complete(id);
    },
  },
  {
    name: "failover",
    title: "failover, S0-08: the task of an agent that falls silent is done by another; the late report is refused",
    world: {
      agents: [
        { name: "rem", kind: "remote" },
        { name: "spare", kind: "remote" },
      ],
      pool: { lease: { ttlMs: 3_000, renewMs: 1_000 } },
    },
    play: ({ world, tell }) => {
      world.claim("rem");
      const id = world.submit({ id: "a" });
      world.start(id);
      const fence = world.lease(id)?.fence ?? 0;
      world.advance(1_000);
      world.heartbeat("rem", [id]);
      tell("rem is not heard of any more");
      world.advance(1_000);
      world.claim("spare");
      world.advance(2_000);
      tell("rem comes back with its result");
      refusal(() => world.report(id, { name: "succeeded", resultBytes: 2 }, fence));
      world.complete(id);
    },
  },
  {
    name: "poison",
    title: "poison: a task that kills its agents is dead-lettered at the limit, and not taken again until it is let go",
    world: {
      agents: [
        { name: "one", kind: "daemon", concurrency: 2 },
        { name: "two", kind: "daemon" },
      ],
      pool: { poisonLimit: 2, retry: { maxAttempts: 5 }, restart: { delayMs: 100, jitter: "none" } },
    },
    play: ({ world, tell }) => {
      const pill = world.submit({ id: "pill", type: "pill", preferredAgent: "one" });
      world.submit({ id: "other", preferredAgent: "one" });
      tell("one dies with two tasks on it: that tells nothing about either, but each is tried alone from now on");
      world.crash("one");
      while (world.status(pill) !== "failed") {
        const agent = world.runner(pill);
        if (agent === undefined) world.advance(100);
        else world.crash(agent);
        for (const name of ["one", "two"]) if (world.agent(name).lifecycle === "restarting") world.ready(name);
        if (world.status("other") === "leased") world.complete("other");
      }
      tell("the same once more");
      refusal(() => world.submit({ id: "again", type: "pill" }));
      world.replay(pill);
    },
  },
  {
    name: "gate",
    title: "gate, S0-27: an attempt blames what it depends upon; its type waits, all else flows, and resumes in order",
    world: { agents: ["ada"] },
    play: ({ world, tell }) => {
      world.ask({ type: "set_gate", name: "index", available: true, holds: ["search"] });
      const first = world.submit({ id: "first", type: "search" });
      world.submit({ id: "second", type: "search" });
      world.submit({ id: "else" });
      world.fail(first, { blame: "dependency", message: "the index is away", details: { gate: "index" } });
      world.complete("else");
      tell("the probe says that it is back");
      world.ask({ type: "gate_probed", name: "index", available: true, reason: "" });
      world.complete(first);
      world.complete("second");
    },
  },
  {
    name: "diamond",
    title: "diamond: b and c after a, d after both; what depends on a failure is cancelled, however deep",
    world: { agents: ["ada", "bob"] },
    play: ({ world, tell }) => {
      world.submitBatch([
        { id: "d", dependencies: ["b", "c"] },
        { id: "b", dependencies: ["a"] },
        { id: "c", dependencies: ["a"] },
        { id: "a" },
      ]);
      for (const id of ["a", "c", "b", "d"]) world.complete(id);
      tell("once more, and b fails for good");
      world.submitBatch([
        { id: "a2" },
        { id: "b2", dependencies: ["a2"] },
        { id: "c2", dependencies: ["a2"] },
        { id: "d2", dependencies: ["b2", "c2"] },
        { id: "e2", dependencies: ["d2"], onDependencyFailure: "run" },
      ]);
      world.complete("a2");
      world.fail("b2", { blame: "task" });
      world.complete("c2");
      world.complete("e2");
    },
  },
  {
    name: "half-open",
    title:
      "half-open, S1-12: one permit at a time; a stale success does not close, one failure opens for twice as long",
    world: { agents: [{ name: "ada", concurrency: 4 }], pool: { retry: once, breaker } },
    play: ({ world, tell }) => {
      for (const id of ["stale", "one", "two"]) world.submit({ id });
      world.fail("one");
      world.fail("two");
      for (const id of ["probe", "again", "third"]) world.submit({ id });
      world.advance(1_000);
      tell("what began before the breaker opened ends well, which says nothing now");
      world.complete("stale");
      world.fail("probe");
      world.advance(1_999);
      tell("one millisecond more");
      world.advance(1);
      world.complete("again");
      world.complete("third");
    },
  },
];
