/**
 * The least that a task in memory costs when it is checked, has an id, is found by it, waits by priority, goes to the
 * cheapest of some agents, is counted by a breaker and by statistics, leaves three events and a place in the history,
 * and is awaited. Written in one piece, with no store behind it, no retries, no turns and nothing that could be asked
 * for later: a floor, no product.
 */
import { systemEntropy } from "../src/base/random.ts";

type Work = () => Promise<unknown>;
type Status = "waiting" | "leased" | "completed" | "failed";

interface Task {
  readonly id: string;
  readonly prompt: string;
  readonly priority: number;
  readonly createdAtMs: number;
  status: Status;
  agent: Agent | undefined;
  startedAtMs: number;
  settledAtMs: number;
  result: string | undefined;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

interface Agent {
  readonly name: string;
  inFlight: number;
  latencyMs: number;
  succeeded: number;
  failed: number;
  consecutive: number;
  openUntilMs: number;
  /** The last outcomes, for the share of failures. */
  readonly window: boolean[];
  at: number;
}

type Happened = "submitted" | "leased" | "settled";

const EVENTS_KEPT = 10_000;
const HISTORY_KEPT = 100_000;
const WINDOW = 20;

const ring = <T>(size: number): (T | undefined)[] => new Array<T | undefined>(size).fill(undefined);

export function leastPool(run: Work, { agents: count, slots }: { agents: number; slots: number }) {
  const agents = Array.from({ length: count }, (_, n): Agent => {
    const counts = { succeeded: 0, failed: 0, consecutive: 0, openUntilMs: 0 };
    return { name: `a${n}`, inFlight: 0, latencyMs: 1, ...counts, window: new Array(WINDOW).fill(true), at: 0 };
  });
  const byId = new Map<string, Task>();
  const lanes: Task[][] = [[], [], [], []];
  const heads = [0, 0, 0, 0];
  // By columns, so that no object of a task outlives it.
  const events = {
    types: ring<Happened>(EVENTS_KEPT),
    ids: ring<string>(EVENTS_KEPT),
    atMs: new Float64Array(EVENTS_KEPT),
  };
  const history = {
    ids: ring<string>(HISTORY_KEPT),
    results: ring<string>(HISTORY_KEPT),
    atMs: new Float64Array(HISTORY_KEPT),
  };
  let seq = 0;
  let settled = 0;
  let waiting = 0;
  let free = count * slots;

  function tell(type: Happened, { id }: Task, atMs: number): void {
    const place = seq % EVENTS_KEPT;
    events.types[place] = type;
    events.ids[place] = id;
    events.atMs[place] = atMs;
    seq += 1;
  }

  function cheapest(nowMs: number): Agent | undefined {
    let best: Agent | undefined;
    for (const agent of agents) {
      if (agent.inFlight >= slots || agent.openUntilMs > nowMs) continue;
      if (best === undefined || agent.latencyMs * (agent.inFlight + 1) < best.latencyMs * (best.inFlight + 1))
        best = agent;
    }
    return best;
  }

  function next(): Task | undefined {
    for (let lane = 0; lane < lanes.length; lane++) {
      const row = lanes[lane] as Task[];
      const head = heads[lane] as number;
      const task = row[head];
      if (task === undefined) continue;
      heads[lane] = head + 1;
      if (head === 1_023) {
        row.splice(0, head + 1);
        heads[lane] = 0;
      }
      return task;
    }
    return undefined;
  }

  function match(nowMs: number): void {
    while (waiting > 0 && free > 0) {
      const agent = cheapest(nowMs);
      const task = agent && next();
      if (agent === undefined || task === undefined) return;
      waiting -= 1;
      free -= 1;
      task.status = "leased";
      task.agent = agent;
      task.startedAtMs = nowMs;
      agent.inFlight += 1;
      tell("leased", task, nowMs);
      run().then(
        (value) => settle(task, "completed", value),
        (error) => settle(task, "failed", error),
      );
    }
  }

  function settle(task: Task, status: "completed" | "failed", value: unknown): void {
    const nowMs = Date.now();
    const agent = task.agent as Agent;
    const good = status === "completed";
    agent.inFlight -= 1;
    free += 1;
    agent.latencyMs += (nowMs - task.startedAtMs - agent.latencyMs) / 8;
    agent.window[agent.at++ % WINDOW] = good;
    agent.consecutive = good ? 0 : agent.consecutive + 1;
    if (good) agent.succeeded += 1;
    else agent.failed += 1;
    if (agent.consecutive === 5) agent.openUntilMs = nowMs + 5_000;
    task.status = status;
    task.settledAtMs = nowMs;
    task.result = good ? JSON.stringify(value) : String(value);
    tell("settled", task, nowMs);
    const place = settled % HISTORY_KEPT;
    history.ids[place] = task.id;
    history.results[place] = task.result;
    history.atMs[place] = nowMs;
    settled += 1;
    byId.delete(task.id);
    if (good) task.resolve(JSON.parse(task.result));
    else task.reject(value);
    match(nowMs);
  }

  return (input: { readonly prompt: string; readonly priority: number }): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const { prompt, priority } = input;
      if (typeof prompt !== "string" || prompt.length > 1_048_576) throw new TypeError("prompt: expected a string");
      if (!(priority >= 0 && priority < lanes.length)) throw new RangeError("priority: expected 0 to 3");
      const id = systemEntropy.uuid();
      const nowMs = Date.now();
      const begun = { status: "waiting" as const, agent: undefined, startedAtMs: 0, settledAtMs: 0, result: undefined };
      const task: Task = { id, prompt, priority, createdAtMs: nowMs, ...begun, resolve, reject };
      byId.set(id, task);
      (lanes[priority] as Task[]).push(task);
      waiting += 1;
      tell("submitted", task, nowMs);
      match(nowMs);
    });
}
