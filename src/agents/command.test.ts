import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import {
  aContext,
  aDirectory,
  commandOptions,
  isAlive,
  killAfterwards,
  until,
} from "../../test/fixtures/agents/world.ts";
import type { CommandOptions } from "../core/pool.ts";
import { agentContract, anAttempt, anIdentity, EventLog, runBy } from "../testing/agent-contract.ts";
import type { AgentDriver, Attempt, RunEnd } from "./agent.ts";
import { commandDriver } from "./command.ts";
import type { ProcessContext } from "./process-context.ts";
import { RESULT_LIMIT_BYTES } from "./run-end.ts";

const pidsIn = async (directory: string): Promise<number[]> => (await readdir(directory)).map(Number);

agentContract(
  "command",
  async () => {
    const pids = await mkdtemp(join(tmpdir(), "troupe-pids-"));
    const context = await aContext({ env: { PIDS: pids } });
    const driver = commandDriver(anIdentity({ kind: "command" }), commandOptions([], { output: "json" }), context);
    return {
      driver,
      diesAsAWhole: false,
      stopsRuns: true,
      hanging: (count) => until(async () => (await pidsIn(pids)).length === count, `${count} runs hang`),
      processes: () => pidsIn(pids),
      async close() {
        await context.warden.close();
        await rm(pids, { recursive: true });
      },
    };
  },
  { skip: { "starts again after a death, tells each death once": "each attempt has a process of its own" } },
);

interface World {
  readonly driver: AgentDriver;
  readonly context: ProcessContext;
  /** Pids of the runs that hang. */
  hanging(count: number): Promise<readonly number[]>;
  run(task: Partial<Attempt["task"]>, signal?: AbortSignal): Promise<RunEnd>;
  ask(prompt: string, signal?: AbortSignal): Promise<RunEnd>;
}

async function open(
  words: readonly string[] = [],
  options: Partial<CommandOptions> = {},
  given: Partial<ProcessContext> = {},
): Promise<World> {
  const pids = await aDirectory();
  const context = await aContext({ ...given, env: { PIDS: pids, ...given.env } });
  const driver = commandDriver(anIdentity({ kind: "command" }), commandOptions(words, options), context);
  onTestFinished(() => driver.close());
  driver.start(new EventLog());
  const run = (task: Partial<Attempt["task"]>, signal = new AbortController().signal): Promise<RunEnd> =>
    runBy(driver, anAttempt(task, signal));
  return {
    driver,
    context,
    run,
    ask: (prompt, signal) => run({ prompt }, signal),
    async hanging(count) {
      await until(async () => (await pidsIn(pids)).length === count, `${count} runs hang`);
      return pidsIn(pids);
    },
  };
}

/** A command of one line of JavaScript; what follows are its arguments. */
const script = (source: string, ...args: string[]): Partial<CommandOptions> => ({ args: ["-e", source, ...args] });

interface Facts {
  readonly pid: number;
  readonly cwd: string;
  readonly argv: readonly string[];
  readonly env: Record<string, string>;
  readonly stdin: string;
}

function factsOf(end: RunEnd): Facts {
  if (!("result" in end)) throw new Error(`expected a result, got ${JSON.stringify(end.outcome)}`);
  return end.result as Facts;
}

test("text output is the result, exactly as it was written", async () => {
  const { ask } = await open();
  expect(await ask("echo  a\n b\n")).toMatchObject({ result: " a\n b\n" });
});

test("bytes that are no UTF-8 are replaced", async () => {
  const { ask } = await open([], script("process.stdout.write(Buffer.from([0x61, 0xff, 0x62]))"));
  expect(await ask("")).toMatchObject({ result: "a\ufffdb" });
});

test("{prompt}, {taskId} and {dir} are filled into the arguments, once, and never seen by a shell", async () => {
  const args = ["arg=facts", "{prompt}", "{taskId}", "in={dir}", "{other}", "{}"];
  const { ask } = await open(args, { output: "json" });
  const prompt = `$(touch x); "{taskId}" '{dir}' $HOME && exit 1 | * \n`;
  const { argv, cwd } = factsOf(await ask(prompt));
  expect(argv.slice(3)).toEqual([prompt, "task-1", `in=${cwd}`, "{other}", "{}"]);
});

test("stdin prompt gives the prompt, or the JSON text of an input without one", async () => {
  const { run } = await open([], script("process.stdin.pipe(process.stdout)"));
  expect(await run({ prompt: "ask", input: { a: 1 } })).toMatchObject({ result: "ask" });
  expect(await run({ input: { a: 1 } })).toMatchObject({ result: '{"a":1}' });
  expect(await run({ prompt: "" })).toMatchObject({ result: "" });
});

test("stdin json gives the object that daemons get", async () => {
  const { run } = await open([], { stdin: "json", output: "json", ...script("process.stdin.pipe(process.stdout)") });
  const task: Partial<Attempt["task"]> = { type: "research", attempt: 2, prompt: "p", input: [1], context: { b: 2 } };
  expect(await run(task)).toMatchObject({
    result: { taskId: "task-1", attempt: 2, type: "research", prompt: "p", input: [1], context: { b: 2 } },
  });
});

test("stdin none is empty and at its end", async () => {
  const { ask } = await open(["arg=facts"], { stdin: "none", output: "json" });
  expect(factsOf(await ask("unseen")).stdin).toBe("facts");
  const { ask: pipe } = await open([], { stdin: "none", ...script("process.stdin.pipe(process.stdout)") });
  expect(await pipe("unseen")).toMatchObject({ result: "" });
});

test("a command that does not read its stdin harms nobody", async () => {
  const { ask } = await open([], script("process.stdin.destroy(); setTimeout(() => console.log('done'), 50)"));
  expect(await ask("x".repeat(4_000_000))).toMatchObject({ result: "done\n" });
});

test("json output that is none is the agent's fault", async () => {
  const { ask } = await open([], { output: "json" });
  expect((await ask("echo {")).outcome).toMatchObject({
    name: "failed",
    blame: "agent",
    error: { code: "bad_output" },
  });
});

test("jsonl: the last result wins, other lines are progress as they come", async () => {
  const lines = ['{"step":1}', "no json", '{"result":"first"}', "", "[2]", '{"type":"result","result":{"a":1}}'];
  const { driver } = await open([], {
    output: "jsonl",
    ...script(`process.stdout.write(${JSON.stringify(lines.join("\n"))})`),
  });
  const attempt = anAttempt({ prompt: "" });
  const end = await runBy(driver, attempt);
  expect(end).toMatchObject({ result: { a: 1 } });
  expect(attempt.told).toEqual([{ step: 1 }, [2]]);
});

test("progress is told while the command runs", async () => {
  const { driver } = await open([], {
    output: "jsonl",
    ...script("console.log(1); process.stdin.on('data', () => {}); setInterval(() => {}, 1000)"),
  });
  const stop = new AbortController();
  let told = (): void => {};
  const progress = new Promise<void>((resolve) => {
    told = resolve;
  });
  const run = runBy(driver, { ...anAttempt({ prompt: "" }, stop.signal), progress: told });
  await progress;
  stop.abort();
  await run;
});

test.each([
  [65, { name: "failed", blame: "task", error: { code: "exit_65", message: "because", details: { exitCode: 65 } } }],
  [75, { name: "throttled", error: { code: "exit_75", message: "because" } }],
  [1, { name: "failed", blame: "unknown", error: { code: "exit_1", message: "because", details: { exitCode: 1 } } }],
  [137, { name: "failed", blame: "unknown", error: { details: { exitCode: 137 } } }],
])("exit code %i", async (code, outcome) => {
  const { ask } = await open();
  expect((await ask(`exit ${code} because`)).outcome).toMatchObject(outcome);
});

test("exit codes may be declared", async () => {
  const { ask } = await open([], { exitCodes: { task: [2], throttle: [3] } });
  expect((await ask("exit 2")).outcome).toMatchObject({ blame: "task", error: { message: "exited with code 2" } });
  expect((await ask("exit 3")).outcome).toMatchObject({ name: "throttled" });
  expect((await ask("exit 65")).outcome).toMatchObject({ blame: "unknown" });
});

test("what it wrote before it failed with 0 on stderr is no failure", async () => {
  const { ask } = await open();
  expect((await ask("exit 0 a warning")).outcome.name).toBe("succeeded");
});

test("death by a signal that we did not send is a kill", async () => {
  const { ask } = await open();
  expect((await ask("die now")).outcome).toMatchObject({ name: "lost", blame: "agent", kill: true });
});

test("death by SIGTERM from elsewhere is a kill, not a stop of ours", async () => {
  const { ask, hanging } = await open();
  const run = ask("hang");
  const [pid] = await hanging(1);
  process.kill(pid as number, "SIGTERM");
  expect((await run).outcome).toMatchObject({ name: "lost", kill: true });
});

test("output of 16 MB is taken, a byte more is the task's fault", async () => {
  const { ask } = await open();
  expect((await ask(`bytes ${RESULT_LIMIT_BYTES}`)).outcome.name).toBe("succeeded");
  const end = await ask(`bytes ${RESULT_LIMIT_BYTES + 1}`);
  expect(end.outcome).toMatchObject({ name: "failed", blame: "task", error: { code: "too_large" } });
});

test.each(["text", "json", "jsonl"] as const)("a command that never stops writing %s is stopped", async (output) => {
  const { ask, hanging } = await open([], { output });
  const end = await ask("flood");
  expect(end.outcome).toMatchObject({ name: "failed", blame: "task", error: { code: "too_large" } });
  for (const pid of await hanging(1)) expect(isAlive(pid)).toBe(false);
});

test("output is drained though nobody wants it", async () => {
  const { ask } = await open([], script("process.stderr.write('x'.repeat(4e6), () => console.log('done'))"));
  expect(await ask("")).toMatchObject({ result: "done\n" });
});

test("a program that is missing when it is needed is the agent's fault", async () => {
  const { ask } = await open([], { program: "/nowhere/command" });
  expect((await ask("")).outcome).toMatchObject({ name: "failed", blame: "agent", error: { code: "spawn_failed" } });
});

test("a prompt that can't be an argument is the task's fault", async () => {
  const { ask } = await open(["{prompt}"]);
  expect((await ask("x".repeat(4_000_000))).outcome).toMatchObject({ blame: "task", error: { code: "too_large" } });
  expect((await ask("a\0b")).outcome).toMatchObject({ blame: "task", error: { code: "invalid" } });
});

test("every attempt has a fresh directory for itself alone, removed afterwards", async () => {
  const { driver, ask, context } = await open([], { output: "json" });
  const stats = script(
    "const { mode } = require('fs').statSync('.'); require('fs').writeFileSync('left', ''); console.log(JSON.stringify({ mode, cwd: process.cwd() }))",
  );
  const { ask: look, context: other } = await open([], { output: "json", ...stats });
  const { mode } = factsOf(await look("")) as unknown as { mode: number };
  expect(mode & 0o777).toBe(0o700);
  const [first, second] = (await Promise.all([ask("facts"), ask("facts")])).map((end) => factsOf(end).cwd);
  expect(first).not.toBe(second);
  expect(first?.startsWith(context.dir)).toBe(true);
  await expect(stat(first as string)).rejects.toThrow("ENOENT");
  await driver.close();
  expect(await readdir(context.dir)).toEqual([]);
  const [own] = await readdir(other.dir);
  expect(await readdir(join(other.dir, own as string))).toEqual([]);
});

test("sees the allowed part of our environment and what was declared, no secret of ours", async () => {
  process.env.TROUPE_TEST_SECRET = "secret";
  onTestFinished(() => void delete process.env.TROUPE_TEST_SECRET);
  const { ask } = await open([], { output: "json" }, { env: { DECLARED: "yes" } });
  const { env } = factsOf(await ask("facts"));
  expect(env).toMatchObject({ DECLARED: "yes", PATH: process.env.PATH });
  const allowed = ["PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "DECLARED", "PIDS", "TROUPE_MARK"];
  expect(Object.keys(env).filter((name) => !allowed.includes(name))).toEqual([]);
});

test("an aborted command that ignores SIGTERM is killed after stopMs", async () => {
  const { ask, hanging } = await open(["ignore-sigterm"], {}, { stopMs: 50 });
  const stop = new AbortController();
  const run = ask("hang", stop.signal);
  const [pid] = await hanging(1);
  stop.abort();
  expect((await run).outcome.name).toBe("cancelled");
  expect(isAlive(pid as number)).toBe(false);
});

test("an aborted command that listens is not killed", async () => {
  const source =
    "process.on('SIGTERM', () => { console.log('{\"bye\":1}'); process.exit(0) }); console.log('{\"up\":1}'); setInterval(() => {}, 1000)";
  const { driver } = await open([], { output: "jsonl", ...script(source) }, { stopMs: 3_600_000 });
  const stop = new AbortController();
  const run = runBy(driver, { ...anAttempt({ prompt: "" }, stop.signal), progress: () => stop.abort() });
  expect((await run).outcome.name).toBe("cancelled");
});

test("a run ends only when what it left behind has ended, in its group or out of it", async () => {
  const { ask } = await open();
  for (const prompt of ["stay now", "escape now"]) {
    const { result } = (await ask(prompt)) as { result: string };
    killAfterwards(Number(result));
    expect(Number(result)).toBeGreaterThan(1);
    expect(isAlive(Number(result))).toBe(false);
  }
});

test("alive is false while one of its commands is stopped", async () => {
  const { driver, ask, hanging } = await open();
  expect(driver.alive()).toBe(true);
  const stop = new AbortController();
  const runs = [ask("hang", stop.signal), ask("hang", stop.signal)];
  const [pid] = await hanging(2);
  expect(driver.alive()).toBe(true);
  process.kill(pid as number, "SIGSTOP");
  await until(() => !driver.alive(), "it is seen stopped");
  process.kill(pid as number, "SIGCONT");
  await until(() => driver.alive(), "it is seen going on");
  stop.abort();
  await Promise.all(runs);
  expect(driver.alive()).toBe(true);
});
