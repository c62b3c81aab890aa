/**
 * What every agent driver must do, whatever its kind: one suite, run by each driver's own test file.
 *
 * The agent under test understands prompts of two words: `echo <json>` gives the value, `length <text>` the text's
 * length, `fail` fails for the task's own fault, `hang` runs until it is stopped, `die` ends its process.
 */
import { expect, onTestFinished, test } from "vitest";
import type { AgentDriver, AgentEvents, Attempt, RunEnd } from "../agents/agent.ts";
import { asAgentId, asPoolId, asTaskId } from "../base/ids.ts";
import type { Json } from "../base/json.ts";
import type { AgentIdentity } from "../core/agent.ts";

/** A driver under test, not started yet, with a concurrency of at least 4. */
export interface AgentSubject {
  readonly driver: AgentDriver;
  /** Resolves once so many runs of `hang` are going on. */
  hanging(count: number): Promise<void>;
  /** Processes that now work on runs and must end with them. Absent: runs have no process of their own. */
  processes?(): Promise<readonly number[]>;
  /** True when the agent lives in a process that `die` ends for good, and `start` begins anew. */
  readonly diesAsAWhole: boolean;
  /** True when `close` alone ends what runs. */
  readonly stopsRuns: boolean;
  /** Releases what the subject needed besides the driver. */
  close(): Promise<void>;
}

export interface AgentContractOptions {
  /** Titles of tests that do not hold, each with the reason. */
  readonly skip?: Readonly<Record<string, string>>;
}

type Exit = Parameters<AgentEvents["exited"]>[0];

/** A driver's events, to be awaited. */
export class EventLog implements AgentEvents {
  readonly exits: Exit[] = [];
  readyCount = 0;
  #waiting: (() => void)[] = [];

  ready(): void {
    this.readyCount += 1;
    this.#wake();
  }

  exited(exit: Exit): void {
    this.exits.push(exit);
    this.#wake();
  }

  async untilReady(count = 1): Promise<void> {
    while (this.readyCount < count) {
      if (this.exits.length >= count) throw new Error(`it ended: ${JSON.stringify(this.exits.at(-1))}`);
      await this.#next();
    }
  }

  async untilExited(count = 1): Promise<Exit> {
    while (this.exits.length < count) await this.#next();
    return this.exits[count - 1] as Exit;
  }

  #next(): Promise<void> {
    return new Promise((wake) => this.#waiting.push(wake));
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}

export function anIdentity(facts: Partial<AgentIdentity> = {}): AgentIdentity {
  return {
    id: asAgentId("pool.ada"),
    pool: asPoolId("pool"),
    name: "ada",
    kind: "function",
    ordinal: 0,
    capabilities: [],
    concurrency: 4,
    weight: 1,
    priority: 0,
    isolation: { contextWindowId: "context", toolSessionId: "session", memoryHandleId: "memory" },
    ...facts,
  };
}

/** An attempt whose progress is kept in `told`, and that ends with `end`. */
export function anAttempt(
  task: Partial<Attempt["task"]> = {},
  signal: Attempt["signal"] = new AbortController().signal,
): Attempt & { readonly told: Json[]; readonly end: Promise<RunEnd> } {
  const told: Json[] = [];
  const { promise: end, resolve: ended } = Promise.withResolvers<RunEnd>();
  return {
    end,
    ended,
    agentId: asAgentId("pool.ada"),
    signal,
    told,
    progress: (value) => void told.push(value),
    task: {
      id: asTaskId("task-1"),
      pool: asPoolId("pool"),
      type: "general",
      attempt: 1,
      fence: 1,
      context: {},
      metadata: {},
      ...task,
    },
  };
}

/** Resolves when the run is known to have ended. */
export function runBy(driver: AgentDriver, attempt: Attempt & { readonly end: Promise<RunEnd> }): Promise<RunEnd> {
  driver.run(attempt);
  return attempt.end;
}

const outcomeOf = (end: RunEnd): string => end.outcome.name;

/** Registers the suite's tests. `open` makes a fresh subject for each. */
export function agentContract(
  name: string,
  open: () => Promise<AgentSubject>,
  { skip = {} }: AgentContractOptions = {},
): void {
  const check = (title: string, body: (subject: AgentSubject, events: EventLog) => Promise<void>): void => {
    const reason = skip[title];
    const full = `${name}: ${title}${reason === undefined ? "" : ` (skipped: ${reason})`}`;
    test.skipIf(reason !== undefined)(full, async () => {
      const subject = await open();
      onTestFinished(async () => {
        await subject.driver.close();
        await subject.close();
      });
      const events = new EventLog();
      subject.driver.start(events);
      await events.untilReady();
      await body(subject, events);
    });
  };
  const ask = (driver: AgentDriver, prompt: string, signal?: AbortSignal): Promise<RunEnd> =>
    runBy(driver, anAttempt({ prompt }, signal));

  check("is ready once, and alive", async ({ driver }, events) => {
    expect(events.readyCount).toBe(1);
    expect(events.exits).toEqual([]);
    expect(driver.alive()).toBe(true);
  });

  const values: readonly Json[] = [
    null,
    "",
    0,
    false,
    [],
    {},
    "plain",
    "ü → 漢字 🎭\n\u0000\u2028",
    { a: [1, { b: null }] },
  ];
  for (const value of values) {
    check(`gives the result ${JSON.stringify(value)} as it is`, async ({ driver }) => {
      const end = await ask(driver, `echo ${JSON.stringify(value)}`);
      expect(end).toEqual({ outcome: { name: "succeeded" }, result: value });
    });
  }

  check("takes a prompt of 1 MB", async ({ driver }) => {
    const end = await ask(driver, `length ${"x".repeat(1_048_576)}`);
    expect(end).toMatchObject({ result: 1_048_576 });
  });

  check("says whose fault a failure is, and works on", async ({ driver }) => {
    const end = await ask(driver, "fail now");
    expect(end.outcome).toMatchObject({ name: "failed", blame: "task" });
    expect(end.outcome).toHaveProperty("error.message", expect.stringContaining("no such thing"));
    expect(end.outcome).toHaveProperty("error.code", expect.stringMatching(/./));
    expect(outcomeOf(await ask(driver, "echo 1"))).toBe("succeeded");
  });

  check("runs several at a time, each to its own result", async ({ driver, hanging }) => {
    const stop = new AbortController();
    const hung = [ask(driver, "hang", stop.signal), ask(driver, "hang", stop.signal)];
    await hanging(2);
    const ends = await Promise.all([ask(driver, 'echo "a"'), ask(driver, 'echo "b"')]);
    expect(ends).toMatchObject([{ result: "a" }, { result: "b" }]);
    stop.abort();
    expect((await Promise.all(hung)).map(outcomeOf)).not.toContain("succeeded");
  });

  check(
    "ends a run whose signal is aborted, with its process, and works on",
    async ({ driver, hanging, processes }) => {
      const stop = new AbortController();
      const hung = ask(driver, "hang", stop.signal);
      await hanging(1);
      const pids = (await processes?.()) ?? [];
      stop.abort();
      expect(outcomeOf(await hung)).not.toBe("succeeded");
      for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow("ESRCH");
      expect(await ask(driver, "echo 1")).toMatchObject({ result: 1 });
    },
  );

  check("does not begin a run whose signal is aborted already, or ends it", async ({ driver }) => {
    expect(outcomeOf(await ask(driver, "hang", AbortSignal.abort()))).not.toBe("succeeded");
  });

  check("a run that ends leaves no listener on its signal", async ({ driver }) => {
    const { signal } = new AbortController();
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...args);
    };
    await ask(driver, "echo 1", signal);
    expect(listeners).toBe(0);
  });

  check("closes while a run is going on, and ends it", async ({ driver, hanging, stopsRuns }) => {
    const stop = new AbortController();
    const hung = ask(driver, "hang", stop.signal);
    await hanging(1);
    const closed = driver.close();
    if (!stopsRuns) stop.abort();
    const end = await hung;
    await closed;
    if (stopsRuns) expect(outcomeOf(end)).toBe("released");
    else expect(outcomeOf(end)).not.toBe("succeeded");
  });

  check("closes twice, at once and again", async ({ driver }) => {
    await Promise.all([driver.close(), driver.close()]);
    await driver.close();
  });

  check("starts again after it was closed", async ({ driver }) => {
    await driver.close();
    const events = new EventLog();
    driver.start(events);
    await events.untilReady();
    expect(await ask(driver, "echo 1")).toMatchObject({ result: 1 });
  });

  check("a death with a run on it is a kill", async ({ driver, diesAsAWhole }, events) => {
    const end = await ask(driver, "die now");
    expect(end.outcome).toMatchObject({ name: "lost", blame: "agent", kill: true });
    if (diesAsAWhole) expect((await events.untilExited()).signal).toBe("SIGKILL");
  });

  check("starts again after a death, tells each death once", async ({ driver }, events) => {
    for (const deaths of [1, 2]) {
      await ask(driver, "die now");
      await events.untilExited(deaths);
      expect(driver.alive()).toBe(false);
      driver.start(events);
      await events.untilReady(deaths + 1);
      expect(await ask(driver, "echo 1")).toMatchObject({ result: 1 });
    }
    expect(events.exits).toHaveLength(2);
  });
}
