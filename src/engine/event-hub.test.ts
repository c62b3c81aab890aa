/** The stream of events, over a store of the test and over a real engine. */
import { tmpdir } from "node:os";
import { afterEach, describe, expect, test } from "vitest";
import { asAgentId, asPoolId, asTaskId } from "../base/ids.ts";
import type { DurableEvent, Notice } from "../core/event.ts";
import { openStore } from "../stores/open.ts";
import type { StoredEvents } from "../stores/store.ts";
import { type LocalEngine, startEngine } from "./engine.ts";
import { EventHub, LISTENER_LIMIT } from "./event-hub.ts";
import { BUFFER_LIMIT_BYTES, type EventFrame, EventListener, frameOf } from "./event-listener.ts";
import { eventText } from "./event-view.ts";

const deleted = (pool: string): DurableEvent => ({ type: "pool.deleted", pool: asPoolId(pool) });
const started = (task: string): DurableEvent => ({
  type: "task.started",
  taskId: asTaskId(task),
  fence: 1,
  atMs: 0,
});
const progressed = (task: string, progress: string): Notice => ({
  type: "task.progressed",
  taskId: asTaskId(task),
  fence: 1,
  progress,
});

/** A log that keeps events from `oldestSeq` on, and a hub over it. */
class Log {
  readonly hub: EventHub;
  readonly events: StoredEvents[] = [];
  oldestSeq = 1;
  reads = 0;
  /** Called once, in the middle of a read. */
  meanwhile: () => void = () => {};
  #lastSeq: number;

  constructor(stored = 0, lastSeq = stored) {
    this.#lastSeq = lastSeq;
    for (let seq = lastSeq - stored + 1; seq <= lastSeq; seq++) {
      this.events.push({ seq, atMs: seq, event: deleted(`p${seq}`) });
    }
    const read = async (afterSeq: number, limit: number): Promise<StoredEvents[]> => {
      this.reads += 1;
      const found = this.events.filter(({ seq }) => seq > afterSeq && seq >= this.oldestSeq).slice(0, limit);
      const { meanwhile } = this;
      this.meanwhile = () => {};
      meanwhile();
      return found;
    };
    this.hub = new EventHub({ events: read }, lastSeq);
  }

  /** Stores and publishes; with `late` the publishing follows by itself. */
  commit(events: readonly DurableEvent[], { notices = [], late = false }: { notices?: Notice[]; late?: boolean } = {}) {
    const firstSeq = this.#lastSeq + 1;
    for (const event of events) {
      this.#lastSeq += 1;
      this.events.push({ seq: this.#lastSeq, atMs: this.#lastSeq, event });
    }
    const lastSeq = this.#lastSeq;
    const publish = () => this.hub.publish({ events: [...events, ...notices], firstSeq, lastSeq, atMs: firstSeq });
    if (!late) publish();
    return publish;
  }
}

/** The next so many frames, in short: the number, or the type of one without. */
async function next(frames: AsyncGenerator<EventFrame>, count: number): Promise<(number | string)[]> {
  const found: (number | string)[] = [];
  while (found.length < count) {
    const { value, done } = await frames.next();
    if (done) break;
    found.push(value.seq ?? value.type);
  }
  return found;
}

const rest = (frames: AsyncGenerator<EventFrame>) => next(frames, Number.POSITIVE_INFINITY);

describe("a listener", () => {
  test("hears what happens from now on when it names no number", async () => {
    const log = new Log(5);
    const frames = log.hub.listen({});
    log.commit([deleted("a"), deleted("b")], { notices: [progressed("t", "half")] });
    expect(await next(frames, 3)).toEqual([6, 7, "task.progressed"]);
    expect(log.reads).toBe(0);
  });

  test("hears first what it has missed, then what happens, without gap or double", async () => {
    const log = new Log(450);
    const frames = log.hub.listen({ afterSeq: 3 });
    const heard = await next(frames, 300);
    log.commit([deleted("a")]);
    heard.push(...(await next(frames, 148)));
    log.meanwhile = () => log.commit([deleted("b"), deleted("c")]);
    heard.push(...(await next(frames, 2)));
    log.commit([deleted("d")]);
    heard.push(...(await next(frames, 1)));
    expect(heard).toEqual(Array.from({ length: 451 }, (_, index) => index + 4));
  });

  test("hears once what it has read from the store before it was published", async () => {
    const log = new Log(1);
    const frames = log.hub.listen({ afterSeq: 0 });
    const publish = log.commit([deleted("a")], { late: true });
    expect(await next(frames, 2)).toEqual([1, 2]);
    const waiting = next(frames, 1);
    await Promise.resolve();
    publish();
    log.commit([deleted("b")]);
    expect(await waiting).toEqual([3]);
  });

  test("at the head with nothing missed it waits", async () => {
    const log = new Log(2);
    const frames = log.hub.listen({ afterSeq: 2 });
    const waiting = next(frames, 1);
    log.commit([deleted("a")]);
    expect(await waiting).toEqual([3]);
  });

  test("is told of a gap where events are not kept any more, and goes on with the oldest", async () => {
    const log = new Log(10);
    log.oldestSeq = 7;
    const frames = log.hub.listen({ afterSeq: 2 });
    const first = await frames.next();
    expect(JSON.parse(first.value?.data ?? "")).toEqual({ type: "gap", after: 2, next: 7 });
    expect(await next(frames, 4)).toEqual([7, 8, 9, 10]);
    expect(await next(log.hub.listen({ afterSeq: 6 }), 1)).toEqual([7]);
    expect(await next(log.hub.listen({ afterSeq: 5 }), 2)).toEqual(["gap", 7]);
  });

  test("is told of a gap when its number is above the head, and hears what happens", async () => {
    const log = new Log(3);
    const frames = log.hub.listen({ afterSeq: 4 });
    const first = await frames.next();
    expect(JSON.parse(first.value?.data ?? "")).toEqual({ type: "gap", after: 4, next: 4 });
    const waiting = next(frames, 1);
    await new Promise(setImmediate);
    log.commit([deleted("a")]);
    expect(await waiting).toEqual([4]);
  });

  test("is told of a gap when nothing of what it missed is there", async () => {
    const log = new Log(3);
    log.oldestSeq = 9;
    const frames = log.hub.listen({ afterSeq: 1 });
    expect(await next(frames, 1)).toEqual(["gap"]);
    const waiting = next(frames, 1);
    await new Promise(setImmediate);
    log.oldestSeq = 1;
    log.commit([deleted("a")]);
    expect(await waiting).toEqual([4]);
  });

  test("to one task hears of no other, from the store and at once", async () => {
    const log = new Log(0);
    log.commit([started("a"), started("b"), deleted("p"), started("a")]);
    const frames = log.hub.listen({ afterSeq: 0 }, asTaskId("a"));
    expect(await next(frames, 2)).toEqual([1, 4]);
    const waiting = next(frames, 2);
    await new Promise(setImmediate);
    log.commit([started("b"), started("a")], { notices: [progressed("b", "x"), progressed("a", "y")] });
    expect(await waiting).toEqual([6, "task.progressed"]);
  });

  test("nothing that was there for it comes after its signal", async () => {
    const log = new Log();
    const control = new AbortController();
    const frames = log.hub.listen({ signal: control.signal });
    log.commit([deleted("a"), deleted("b"), deleted("c")]);
    expect((await frames.next()).value).toMatchObject({ seq: 1 });
    control.abort();
    expect(await rest(frames)).toEqual([]);
  });

  test("ends with its signal, whether it waits, reads, or has not begun", async () => {
    const log = new Log(1);
    const control = new AbortController();
    const waiting = log.hub.listen({ signal: control.signal });
    const reading = log.hub.listen({ afterSeq: 0, signal: control.signal });
    expect(await next(reading, 1)).toEqual([1]);
    log.hub.listen({ signal: control.signal });
    const ended = Promise.all([rest(waiting), rest(reading)]);
    expect(log.hub.size).toBe(3);
    control.abort();
    expect(await ended).toEqual([[], []]);
    expect(log.hub.size).toBe(0);
    expect(await rest(log.hub.listen({ signal: control.signal }))).toEqual([]);
    expect(log.hub.size).toBe(0);
  });

  test("that is given up before it was asked is forgotten", async () => {
    const log = new Log(1);
    const frames = log.hub.listen({});
    await frames.return(undefined);
    expect(log.hub.size).toBe(0);
  });

  test("one more than the limit is refused, until one leaves", async () => {
    const log = new Log(1);
    const all = Array.from({ length: LISTENER_LIMIT }, () => log.hub.listen({}));
    expect(() => log.hub.listen({})).toThrow(expect.objectContaining({ code: "no_capacity" }));
    await all[0]?.return(undefined);
    log.hub.listen({});
  });

  test("ends when the hub closes, and a closed hub takes no more", async () => {
    const log = new Log(1);
    const frames = log.hub.listen({});
    log.commit([deleted("a")]);
    log.hub.close();
    log.hub.close();
    expect(await rest(frames)).toEqual([2]);
    expect(() => log.hub.listen({})).toThrow(expect.objectContaining({ code: "shutting_down" }));
  });
});

describe("a reader that is too slow", () => {
  test("is dropped when more than 1 MB waits for it, others are not", async () => {
    const log = new Log(0);
    const slow = log.hub.listen({});
    const quick = log.hub.listen({});
    const big = "x".repeat(300_000);
    for (let n = 1; n <= 4; n++) {
      log.commit([deleted("p")], { notices: [progressed("t", big)] });
      expect(await next(quick, 2)).toEqual([n, "task.progressed"]);
    }
    expect(await rest(slow)).toEqual([]);
    expect(log.hub.size).toBe(1);
  });

  test("exactly 1 MB may wait, a byte more may not", () => {
    const frame = (bytes: number, seq?: number): EventFrame => ({ ...frameOf("x", "{}", seq), bytes });
    const listener = new EventListener();
    expect(listener.push(frame(BUFFER_LIMIT_BYTES))).toBe(true);
    expect(listener.isOver).toBe(false);
    expect(listener.push(frame(1))).toBe(false);
    expect(listener.isOver).toBe(true);
    expect(listener.push(frame(0))).toBe(false);
  });

  test("what has been read makes room", async () => {
    const listener = new EventListener();
    const frames = listener.frames();
    for (let n = 0; n < 5; n++) {
      expect(listener.push({ ...frameOf("x", "{}", n + 1), bytes: BUFFER_LIMIT_BYTES })).toBe(true);
      expect((await frames.next()).value).toMatchObject({ seq: n + 1 });
    }
  });

  test("bytes are counted, not characters", () => {
    expect(frameOf("x", "ä").bytes).toBe(2);
  });
});

describe("events in words", () => {
  const shown = (event: DurableEvent | Notice) => JSON.parse(eventText(event, { seq: 7, atMs: 0 }));

  test("secrets in options of a pool are not told", () => {
    const options = { daemon: { token: "secret" } } as never;
    expect(shown({ type: "pool.created", pool: asPoolId("p"), options, atMs: 5 })).toEqual({
      seq: 7,
      type: "pool.created",
      at: "1970-01-01T00:00:00.000Z",
      pool: "p",
    });
  });

  test("instants are ISO times, also inside", () => {
    const resting = { reason: "delay", untilMs: 1_000 } as const;
    const taskId = asTaskId("t");
    expect(shown({ type: "task.waiting", taskId, resting, again: false }).waiting).toEqual({
      reason: "delay",
      until: "1970-01-01T00:00:01.000Z",
    });
    const agentId = asAgentId("a");
    const lease = { type: "task.leased", taskId, agentId, number: 1, fence: 2, atMs: 0, expiresAtMs: 30_000 } as const;
    expect(shown(lease)).toMatchObject({ leaseExpiresAt: "1970-01-01T00:00:30.000Z", number: 1, fence: 2 });
    const crash = { type: "agent.lifecycle", agentId, lifecycle: "crashed", atMs: 0, retryAtMs: 2_000 } as const;
    expect(shown(crash)).toMatchObject({ lifecycle: "crashed", retryAt: "1970-01-01T00:00:02.000Z" });
  });
});

describe("over a real engine", () => {
  const engines: LocalEngine[] = [];
  afterEach(async () => {
    for (const engine of engines.splice(0)) await engine.close({ drainMs: 0 });
  });

  async function anEngine(): Promise<LocalEngine> {
    const store = await openStore("memory:", { dataDir: tmpdir() });
    const engine = await startEngine({ store, dataDir: tmpdir() });
    engines.push(engine);
    const run = ({ progress }: { progress: (value: string) => void }) => progress("half");
    await engine.openPool({ id: "p", agents: [{ kind: "function", name: "ada" }] }, new Map([["ada", run as never]]));
    return engine;
  }

  test("S3-05 R-06 S3-B43 a task is told of from its submission to its settlement, without its body", async () => {
    const engine = await anEngine();
    const frames = engine.events();
    await engine.submit("p", { id: "t", type: "poem", prompt: "the body", priority: "high" });
    const heard: { type: string }[] = [];
    for await (const { seq, data } of frames) {
      const event = JSON.parse(data);
      expect(event.seq).toBe(seq);
      heard.push(event);
      if (event.type === "task.settled") break;
    }
    expect(heard.map(({ type }) => type)).toEqual([
      "task.submitted",
      "task.leased",
      "task.started",
      "task.progressed",
      "task.settled",
    ]);
    expect(heard[0]).toMatchObject({ taskId: "t", pool: "p", taskType: "poem", priority: "high" });
    expect(heard[4]).toMatchObject({ status: "completed", attempt: { number: 1, agentName: "ada" } });
    expect(JSON.stringify(heard)).not.toContain("the body");
  });

  test("R-06 pools and agents are told of from the beginning", async () => {
    const engine = await anEngine();
    await engine.deletePool("p");
    const types: string[] = [];
    for await (const { type } of engine.events({ afterSeq: 0 })) {
      types.push(type);
      if (type === "pool.deleted") break;
    }
    expect(types).toEqual(["pool.created", "agent.added", "agent.removed", "pool.deleted"]);
  });

  test("the lifecycle of an agent is told as a notice", async () => {
    const engine = await anEngine();
    const frames = engine.events();
    await engine.openPool({ id: "q", agents: [{ kind: "function", name: "bob" }] }, new Map([["bob", () => 1]]));
    const heard: EventFrame[] = [];
    for await (const frame of frames) {
      heard.push(frame);
      if (frame.type === "agent.lifecycle") break;
    }
    expect(heard.at(-1)?.seq).toBeUndefined();
    expect(JSON.parse(heard.at(-1)?.data ?? "")).toMatchObject({ lifecycle: "ready" });
  });

  test("the events of one task begin with how it is; an unknown one is not found and nobody listens", async () => {
    const engine = await anEngine();
    await engine.submit("p", { id: "t", prompt: "x", delayMs: 1_000_000 });
    await expect(engine.taskEvents("nobody")).rejects.toMatchObject({ code: "not_found" });
    const frames = await engine.taskEvents("t");
    const { value } = await frames.next();
    expect(JSON.parse(value?.data ?? "")).toMatchObject({
      taskId: "t",
      status: "pending",
      waiting: { reason: "delay" },
    });
    await engine.cancel("t");
    expect((await frames.next()).value?.type).toBe("task.settled");
    const all = await engine.taskEvents("t", { afterSeq: 0 });
    expect((await all.next()).value?.type).toBe("task.submitted");
    expect((await all.next()).value?.type).toBe("task.settled");
  });

  test("listening ends with the engine", async () => {
    const engine = await anEngine();
    const frames = engine.events();
    const ended = rest(frames);
    await engine.close({ drainMs: 0 });
    await ended;
  });
});
