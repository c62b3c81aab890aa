/** The command line from outside: real processes, real sockets, a real database. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createSocketServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { AgentView, ExplainView, Page, PoolView, TaskView } from "../src/engine/view.ts";

const ROOT = join(import.meta.dirname, "..");
const MAIN = join(ROOT, "src/interfaces/cli/main.ts");
const FIXTURES = join(import.meta.dirname, "fixtures/config");
const AGENTS = join(FIXTURES, "agents.yaml");
/** Nothing listens there: the system gives no port below 1024 to anybody who asks for any. */
const NOWHERE = "http://127.0.0.1:2";

// Every command is a process that is started; several at once share a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

type Environment = Readonly<Record<string, string>>;

interface Options {
  readonly env?: Environment;
  readonly cwd?: string;
  readonly stdin?: string;
  readonly node?: readonly string[];
  /** What a shell does before it becomes the command. */
  readonly shell?: string;
}

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** So far. */
  readonly stderr: () => string;
}

interface Up extends Running {
  readonly url: string;
  readonly keyFile: string;
  readonly key: string;
  readonly pid: number;
}

let directory: string;
/** All of a test that still run, newest last. */
let started: Running[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "troupe-cli-"));
});

afterEach(async () => {
  for (const { child } of started) child.kill("SIGKILL");
  await Promise.all(started.map(({ ended }) => ended));
  started = [];
  rmSync(directory, { recursive: true, force: true, maxRetries: 20 });
});

function environment(extra: Environment = {}): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("TROUPE_") && name !== "NODE_OPTIONS");
  return { ...Object.fromEntries(own), NO_COLOR: "1", ...extra };
}

function start(args: readonly string[], { env, cwd = directory, stdin, node = [], shell = "" }: Options = {}): Running {
  const command = [process.execPath, "--conditions=troupe-source", ...node, MAIN, ...args];
  const [program = "", ...rest] = shell === "" ? command : ["/bin/sh", "-c", `${shell}; exec "$0" "$@"`, ...command];
  const child = spawn(program, rest, { cwd, env: environment(env) });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
  child.stdin.on("error", () => {});
  child.stdin.end(stdin);
  const ended = once(child, "close").then(([code, signal]) => ({ code, signal, stdout, stderr }));
  const running = { child, ended, stderr: () => stderr };
  started.push(running);
  return running;
}

/** Runs a command to its end. */
const troupe = (args: readonly string[], options?: Options): Promise<Ended> => start(args, options).ended;

/** A server that is ready. */
async function up(args: readonly string[] = [], options: Options = {}): Promise<Up> {
  const running = start(["up", "--json", "--port", "0", "--data", join(directory, "data"), ...args], options);
  const line = await firstLine(running);
  const { url, keyFile, pid } = JSON.parse(line) as { url: string; keyFile: string; pid: number };
  return { ...running, url, keyFile, pid, key: readFileSync(keyFile, "utf8").trim() };
}

async function firstLine(running: Running): Promise<string> {
  const lines = createInterface({ input: running.child.stdout as NodeJS.ReadableStream });
  const line = await Promise.race([once(lines, "line"), running.ended]);
  if (!Array.isArray(line)) throw new Error(`ended with ${line.code}: ${line.stderr}`);
  return String(line[0]);
}

/** Resolves when stderr has it. */
async function said(running: Running, text: string | RegExp): Promise<void> {
  const has = (): boolean => (typeof text === "string" ? running.stderr().includes(text) : text.test(running.stderr()));
  while (!has()) {
    await Promise.race([once(running.child.stderr as NodeJS.ReadableStream, "data"), running.ended]);
    if (running.child.exitCode !== null && !has()) throw new Error(`it never said ${text}: ${running.stderr()}`);
  }
}

type Server_ = Pick<Up, "url" | "key">;

async function call<T>(
  { url, key }: Server_,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: T }> {
  const response = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { "content-type": "application/json" }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as T };
}

const taskOf = async (server: Server_, id: string): Promise<TaskView> =>
  (await call<TaskView>(server, "GET", `/v1/tasks/${id}`)).body;

interface Claimed {
  readonly attempts: { taskId: string; fence: number }[];
}

/** An agent of a pool of ours that takes what is there. */
async function join_(server: Server_, pool: string): Promise<{ claim(max: number): Promise<Claimed["attempts"]> }> {
  const { body } = await call<{ id: string }>(server, "POST", `/v1/pools/${pool}/agents`, {
    kind: "remote",
    name: "r",
    concurrency: 100,
  });
  return {
    claim: async (max) =>
      (await call<Claimed>(server, "POST", `/v1/agents/${body.id}/claim`, { max, waitMs: 20_000 })).body.attempts,
  };
}

const complete = (server: Server_, { taskId, fence }: { taskId: string; fence: number }, result: unknown = "done") =>
  call<TaskView>(server, "POST", `/v1/tasks/${taskId}/complete`, { fence, result });

/** The one JSON line of an error. */
function errorOf({ stderr }: Ended): {
  code: string;
  message: string;
  exitCode: number;
  details: Record<string, unknown>;
} {
  const lines = stderr.trim().split("\n");
  return JSON.parse(lines.at(-1) ?? "").error;
}

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);

describe("the command line", () => {
  test("--help lists the commands and the exit codes", async () => {
    const { code, stdout } = await troupe(["--help"]);
    expect(code).toBe(0);
    for (const command of [
      "up",
      "submit",
      "run",
      "tasks",
      "task",
      "explain",
      "cancel",
      "replay",
      "dead",
      "pools",
      "agents",
      "logs",
      "key",
      "config",
    ]) {
      expect(stdout).toMatch(new RegExp(`^ {2}${command} `, "m"));
    }
    expect(stdout).toMatch(/Exit codes:\n +0 {2}all is well\n +1 {2}.*\n +2 {2}/);
    expect(stdout).toMatch(/ 77 {2}the key/);
  });

  test("--version prints the version of the package", async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
    expect(await troupe(["--version"])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: "" });
  });

  test.each([
    [["sbmit"], "unknown command 'sbmit' (Did you mean submit?)"],
    [["task"], "missing required argument 'id'"],
    [["task", "a", "b"], "too many arguments"],
    [["tasks", "--colour"], "unknown option '--colour'"],
    [["tasks", "--limit", "0"], "whole number from 1 to 1000"],
    [["tasks", "--limit", "1001"], "whole number from 1 to 1000"],
    [["submit", "echo"], "expected a prompt"],
    [["submit", "echo", "--input", "{"], "Expected JSON"],
    [["submit", "echo", "x", "--wait", "soon"], "whole number"],
    [["tasks", "--url", "ftp://x"], "expected http://host:port"],
    [["tasks", "--url", "http://me:secret@x"], "no user"],
  ])("troupe %j is wrong usage: one line, exit 2", async (args, message) => {
    const ended = await troupe(args);
    expect(ended).toMatchObject({ code: 2, stdout: "" });
    expect(ended.stderr).toMatch(/^troupe: .*\n$/);
    expect(ended.stderr).toContain(message);
  });

  test("--json tells of wrong usage in JSON", async () => {
    const ended = await troupe(["tasks", "--json", "--colour"]);
    expect(ended).toMatchObject({ code: 2, stdout: "" });
    expect(errorOf(ended)).toMatchObject({ code: "usage", exitCode: 2, message: "unknown option '--colour'" });
  });

  test("without a command it shows the help and exits 2", async () => {
    const { code, stderr } = await troupe([]);
    expect(code).toBe(2);
    expect(stderr).toContain("Usage: troupe");
    expect(errorOf(await troupe(["--json"]))).toMatchObject({ code: "usage" });
  });

  test("a Node that is too old is told so in one sentence, before anything is loaded", async () => {
    const old = (version: string): string[] => [
      "--import",
      `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'${version}'}})`,
    ];
    const ended = await troupe(["--version"], { node: old("22.12.9") });
    expect(ended).toMatchObject({
      code: 78,
      stdout: "",
      stderr: "troupe needs Node 22.13 or newer, this is 22.12.9.\n",
    });
    expect(await troupe(["--version"], { node: old("22.13.0") })).toMatchObject({ code: 0 });
    expect(await troupe(["--version"], { node: old("20.20.2") })).toMatchObject({ code: 78 });
    expect(await troupe(["--version"], { node: old("23.0.0") })).toMatchObject({ code: 0 });
  });
});

describe("troupe config", () => {
  test("prints what is in effect, with all defaults", async () => {
    const { code, stdout } = await troupe(["config", "--file", join(FIXTURES, "map.yaml"), "--json"], {
      env: { TROUPE_PORT: "1234" },
    });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      server: {
        host: "127.0.0.1",
        port: 1234,
        auth: "key",
        data: join(directory, ".troupe"),
        store: "sqlite:./troupe.db",
      },
      pools: [
        { id: "first", queue: { limit: 5, blockedLimit: 10_000 } },
        { id: "second", queue: { limit: 10_000 } },
      ],
    });
  });

  test("its schema says what a file may hold, whatever the file here holds", async () => {
    const { code, stdout } = await troupe(["config", "--schema"], { env: { TROUPE_CONFIG: "/no/such/file" } });
    expect(code).toBe(0);
    const schema = JSON.parse(stdout);
    expect(schema).toMatchObject({
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      additionalProperties: false,
    });
    expect(Object.keys(schema.properties)).toEqual(["server", "pools"]);
    const [list, map] = schema.properties.pools.anyOf[0].anyOf;
    expect(list).toMatchObject({ type: "array", items: { required: ["id"], additionalProperties: false } });
    expect(map.additionalProperties.anyOf[0].properties.queue.properties.limit).toMatchObject({ type: "integer" });
    expect(await troupe(["config", "--schema", "--json"])).toMatchObject({ code: 0 });
  });

  test("its human output is YAML in the shape of the file", async () => {
    const first = await troupe(["config", "--file", join(FIXTURES, "map.yaml")]);
    expect(first).toMatchObject({ code: 0, stderr: "" });
    expect(first.stdout).toMatch(/^server:\n {2}host: 127\.0\.0\.1$/m);
  });

  test("names file, line and path of what is wrong and exits 2", async () => {
    const args = ["config", "--file", "troupe.yaml"];
    writeFileSync(join(directory, "troupe.yaml"), readFileSync(join(FIXTURES, "broken.yaml")));
    const message = "troupe.yaml:10: pools[0].queue.limit: expected number, got string";
    expect(await troupe(args)).toMatchObject({ code: 2, stdout: "", stderr: `troupe: ${message}\n` });
    const json = await troupe([...args, "--json"]);
    expect(json).toMatchObject({ code: 2, stdout: "" });
    expect(errorOf(json)).toMatchObject({
      code: "config_invalid",
      message,
      details: { file: "troupe.yaml", line: 10, path: "pools[0].queue.limit" },
    });
  });

  test("warns of TROUPE_ variables that it does not know", async () => {
    const { code, stderr } = await troupe(["config"], { env: { TROUPE_PROT: "1" } });
    expect(code).toBe(0);
    expect(stderr).toContain("TROUPE_PROT");
  });

  test("shows no secrets", async () => {
    writeFileSync(
      join(directory, "troupe.yaml"),
      "pools:\n  a:\n    agents: [{ kind: daemon, daemon: { program: node, token: tok-1 }, env: { API_KEY: key-2, NAME: shown } }]\n",
    );
    const env = { TROUPE_STORE: "redis://me:pass-3@localhost" };
    for (const args of [["config"], ["config", "--json"]]) {
      const { code, stdout } = await troupe(args, { env });
      expect(code).toBe(0);
      expect(stdout).toContain("shown");
      for (const secret of ["tok-1", "key-2", "pass-3"]) expect(stdout).not.toContain(secret);
    }
  });
});

describe("troupe up", () => {
  test("--json: the first line of stdout has url, key file and pid when it is ready; the log goes to stderr", async () => {
    const server = await up(["--config", AGENTS]);
    expect(server.pid).toBe(server.child.pid);
    expect(server.keyFile).toBe(join(directory, "data", "key"));
    expect(await (await fetch(`${server.url}/health`)).json()).toMatchObject({ status: "healthy" });
    server.child.kill("SIGTERM");
    const { code, stdout, stderr } = await server.ended;
    expect(code).toBe(0);
    expect(stdout.trim().split("\n")).toHaveLength(1);
    for (const line of stderr.trim().split("\n"))
      expect(JSON.parse(line)).toMatchObject({ level: expect.any(String), event: expect.any(String) });
  });

  test("data directory and key are for their owner only", async () => {
    const server = await up();
    expect(statSync(join(directory, "data")).mode & 0o777).toBe(0o700);
    expect(statSync(server.keyFile).mode & 0o777).toBe(0o600);
    expect(Buffer.from(server.key, "base64url")).toHaveLength(32);
  });

  test("port 0 gives each server a port of its own", async () => {
    const [a, b] = await Promise.all([up(["--data", join(directory, "a")]), up(["--data", join(directory, "b")])]);
    expect(new URL(a.url).port).not.toBe("0");
    expect(a.url).not.toBe(b.url);
  });

  test("the key is kept across starts, and `troupe key` prints it", async () => {
    const first = await up();
    first.child.kill("SIGINT");
    expect(await first.ended).toMatchObject({ code: 0 });
    const second = await up();
    expect(second.key).toBe(first.key);
    const env = { TROUPE_DATA: join(directory, "data") };
    expect(await troupe(["key"], { env })).toMatchObject({ code: 0, stdout: `${first.key}\n`, stderr: "" });
    const json = await troupe(["key", "--data", "data", "--json"]);
    expect(JSON.parse(json.stdout)).toEqual({ key: first.key, keyFile: second.keyFile });
  });

  test("`troupe key` without a key file exits 3 and says what makes one", async () => {
    const ended = await troupe(["key"]);
    expect(ended).toMatchObject({ code: 3, stdout: "" });
    expect(ended.stderr).toContain("troupe up");
    expect(errorOf(await troupe(["key", "--json"]))).toMatchObject({ code: "not_found", exitCode: 3 });
  });

  test("for people it prints a curl line that submits a task", async () => {
    const running = start(["up", "--port", "0", "--data", join(directory, "it's data"), "--config", AGENTS]);
    let text = "";
    for await (const chunk of running.child.stdout as NodeJS.ReadableStream) {
      text += chunk;
      if (text.includes("curl") && text.endsWith("\n")) break;
    }
    expect(text).toContain("troupe is ready.");
    expect(text).toContain(`key file  ${join(directory, "it's data", "key")}`);
    const line = text.split("\n").find((candidate) => candidate.includes("curl")) ?? "";
    expect(line).not.toContain(readFileSync(join(directory, "it's data", "key"), "utf8").trim());
    const curl = spawn("/bin/sh", ["-c", line]);
    let answer = "";
    curl.stdout.on("data", (chunk) => (answer += chunk));
    await once(curl, "close");
    expect(JSON.parse(answer)).toMatchObject({ pool: "echo", prompt: "Say hello." });
  });

  test("without pools the printed lines make one first", async () => {
    const running = start(["up", "--port", "0", "--data", join(directory, "data"), "--auth", "off"]);
    let text = "";
    for await (const chunk of running.child.stdout as NodeJS.ReadableStream) {
      text += chunk;
      if (text.split("curl").length === 3 && text.endsWith("\n")) break;
    }
    const lines = text.split("\n").filter((line) => line.includes("curl"));
    const shell = spawn("/bin/sh", ["-c", lines.join("; ")]);
    let answer = "";
    shell.stdout.on("data", (chunk) => (answer += chunk));
    await once(shell, "close");
    expect(answer).toContain('"prompt":"Say hello."');
  });

  test("S3-10: tasks survive a kill -9, and unfinished ones are done by the next start", async () => {
    const first = await up(["--config", AGENTS]);
    const settled = (await call<TaskView>(first, "POST", "/v1/pools/echo/tasks?waitMs=20000", { prompt: "before" }))
      .body;
    expect(settled).toMatchObject({ status: "completed", result: "before" });
    const agent = await join_(first, "remote");
    const ids: string[] = [];
    for (const prompt of ["a", "b", "c"]) {
      ids.push((await call<TaskView>(first, "POST", "/v1/pools/remote/tasks", { prompt })).body.id);
    }
    const [held] = await agent.claim(1);
    first.child.kill("SIGKILL");
    await first.ended;

    const second = await up(["--config", AGENTS]);
    expect(await taskOf(second, settled.id)).toMatchObject({ status: "completed", result: "before" });
    // The attempt that was running on another machine is not disturbed.
    if (held === undefined) throw new Error("nothing was claimed");
    expect((await complete(second, held)).body).toMatchObject({ status: "completed", attemptCount: 1 });
    const agents = await call<Page<{ id: string }>>(second, "GET", "/v1/pools/remote/agents");
    const left = new Set(ids.filter((id) => id !== held.taskId));
    const claim = await call<Claimed>(second, "POST", `/v1/agents/${agents.body.items[0]?.id}/claim`, {
      max: 10,
      waitMs: 20_000,
    });
    expect(new Set(claim.body.attempts.map(({ taskId }) => taskId))).toEqual(left);
    for (const attempt of claim.body.attempts) await complete(second, attempt);
    for (const id of ids) expect(await taskOf(second, id)).toMatchObject({ status: "completed", attemptCount: 1 });
  });

  describe("a start that is refused says why in one line and leaves nothing running", () => {
    async function refusal(
      args: readonly string[],
      options?: Options,
    ): Promise<Ended & { error: ReturnType<typeof errorOf> }> {
      const all = ["up", "--port", "0", "--data", join(directory, "data"), ...args];
      const human = await troupe(all, options);
      expect(human.stdout).toBe("");
      expect(human.stderr).toMatch(/^troupe: .*\n$/);
      const json = await troupe([...all, "--json"], options);
      expect(json.stdout).toBe("");
      expect(json.code).toBe(human.code);
      const error = errorOf(json);
      expect(error.exitCode).toBe(json.code);
      return { ...human, error };
    }

    test("another process owns the data directory: exit 75, its pid is named, and it goes on undisturbed", async () => {
      const first = await up(["--config", AGENTS]);
      const { code, stderr, error } = await refusal([]);
      expect(code).toBe(75);
      expect(stderr).toContain(String(first.pid));
      expect(error).toMatchObject({ code: "store_locked", details: { pid: first.pid } });
      const { body } = await call<TaskView>(first, "POST", "/v1/pools/echo/tasks?waitMs=20000", {
        prompt: "still here",
      });
      expect(body).toMatchObject({ status: "completed", result: "still here" });
    });

    test("the port is in use: exit 71, and what is stored is not touched", async () => {
      const first = await up(["--config", AGENTS]);
      const { body } = await call<TaskView>(first, "POST", "/v1/pools/remote/tasks", { prompt: "kept" });
      first.child.kill("SIGTERM");
      await first.ended;
      const other = createSocketServer().listen(0, "127.0.0.1");
      await once(other, "listening");
      try {
        const { port } = other.address() as AddressInfo;
        const { code, error } = await refusal(["--port", String(port)]);
        expect(code).toBe(71);
        expect(error).toMatchObject({ code: "address_taken", message: expect.stringContaining(`${port}`) });
      } finally {
        other.close();
      }
      const again = await up(["--config", AGENTS]);
      expect(await taskOf(again, body.id)).toMatchObject({ status: "pending", prompt: "kept" });
    });

    test("an address that is not ours: exit 71", async () => {
      const args = ["up", "--json", "--port", "0", "--data", "data", "--host", "192.0.2.1", "--insecure-http"];
      const ended = await troupe(args);
      expect(ended).toMatchObject({ code: 71, stdout: "" });
      expect(errorOf(ended)).toMatchObject({ code: "address_taken", details: { host: "192.0.2.1" } });
    });

    test("a program that is not there: exit 2 with the file, and nothing is kept of it", async () => {
      writeFileSync(
        join(directory, "troupe.yaml"),
        "pools: { a: { agents: [{ kind: command, program: no-such-program }] } }",
      );
      const { code, stderr } = await refusal([]);
      expect(code).toBe(2);
      expect(stderr).toMatch(/troupe\.yaml: pool a: agents\[0\].*no-such-program/);
      rmSync(join(directory, "troupe.yaml"));
      const { body } = await call<Page<PoolView>>(await up(), "GET", "/v1/pools");
      expect(body.items).toEqual([]);
    });

    test("a data directory that can't be made: exit 73", async () => {
      writeFileSync(join(directory, "file"), "");
      const data = join(directory, "file", "data");
      const { code, error } = await refusal(["--data", data]);
      expect(code).toBe(73);
      expect(error).toMatchObject({ code: "data_unwritable", details: { data } });
      expect((await refusal(["--data", join(directory, "file")])).code).toBe(73);
    });

    test("a key file that holds no key: exit 2, and it is not written over", async () => {
      mkdirSync(join(directory, "data"));
      writeFileSync(join(directory, "data", "key"), "short");
      expect((await refusal([])).code).toBe(2);
      expect(readFileSync(join(directory, "data", "key"), "utf8")).toBe("short");
    });

    test("a bad configuration: exit 2 with file, line and path", async () => {
      const { code, stderr } = await refusal(["--config", join(FIXTURES, "broken.yaml")]);
      expect(code).toBe(2);
      expect(stderr).toContain("broken.yaml:10: pools[0].queue.limit: ");
    });

    test.each([
      [["--store", "postgres://x"], "store"],
      [["--port", "70000"], "--port"],
      [["--host", "0.0.0.0"], "--insecure-http"],
      [["--host", "0.0.0.0", "--insecure-http", "--auth", "off"], "loopback"],
      [["--auth", "maybe"], "--auth"],
      [["--config", "none.yaml"], "none.yaml: there is no such file"],
    ])("%j: exit 2", async (args, message) => {
      const { code, stdout, stderr } = await troupe(["up", "--port", "0", "--data", "data", ...args]);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toMatch(/^troupe: .*\n$/);
      expect(stderr).toContain(message);
    });
  });

  test("variables go over the file, flags over variables", async () => {
    const taken = createSocketServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    writeFileSync(join(directory, "troupe.yaml"), `server: { port: ${port}, data: ./of-file }\npools: { mine: {} }\n`);
    try {
      expect((await troupe(["up", "--json"])).code).toBe(71);
      const running = start(["up", "--json"], { env: { TROUPE_PORT: "0" } });
      const ready = JSON.parse(await firstLine(running)) as { url: string; keyFile: string };
      expect(ready.keyFile).toBe(join(directory, "of-file", "key"));
      const key = readFileSync(ready.keyFile, "utf8").trim();
      const { body } = await call<Page<PoolView>>({ ...ready, key }, "GET", "/v1/pools");
      expect(body.items.map(({ id }) => id)).toEqual(["mine"]);
      const env = { TROUPE_PORT: String(port), TROUPE_DATA: "./of-env" };
      expect((await troupe(["up", "--json"], { env })).code).toBe(71);
      const flagged = start(["up", "--json", "--port", "0", "--data", "of-flag"], { env });
      expect(JSON.parse(await firstLine(flagged)).keyFile).toBe(join(directory, "of-flag", "key"));
    } finally {
      taken.close();
    }
  });

  test("--insecure-http listens on other addresses, warned", async () => {
    const server = await up(["--host", "0.0.0.0", "--insecure-http"]);
    expect(server.stderr()).toMatch(/"level":"warn".*http\.insecure/);
    expect((await fetch(server.url.replace("0.0.0.0", "127.0.0.1").concat("/health"))).status).toBe(200);
  });

  test("--auth off asks for no key", async () => {
    const server = await up(["--auth", "off"]);
    expect((await fetch(`${server.url}/v1/pools`)).status).toBe(200);
  });

  test("memory: keeps nothing", async () => {
    const server = await up(["--store", "memory:"]);
    expect(existsSync(join(directory, "data", "troupe.db"))).toBe(false);
    server.child.kill("SIGTERM");
    expect(await server.ended).toMatchObject({ code: 0 });
  });
});

describe("the end of a server", () => {
  test.each(["SIGTERM", "SIGINT"] as const)("%s: no new work, what runs is finished, exit 0", async (signal) => {
    const server = await up(["--config", AGENTS], { env: { TROUPE_DRAIN_MS: "60000" } });
    const path = join(directory, "done");
    const first = (await call<TaskView>(server, "POST", "/v1/pools/patient/tasks", { prompt: path })).body;
    const second = (await call<TaskView>(server, "POST", "/v1/pools/patient/tasks", { prompt: `${path}-2` })).body;
    await expect.poll(() => existsSync(`${path}.started`), { timeout: 15_000 }).toBe(true);
    server.child.kill(signal);
    await said(server, "server.stopping");
    const refused = await call(server, "POST", "/v1/pools/patient/tasks", { prompt: "y" });
    expect(refused).toMatchObject({ status: 503, body: { code: "shutting_down" } });
    writeFileSync(path, "");
    expect(await server.ended).toMatchObject({ code: 0, signal: null });

    const again = await up(["--config", AGENTS]);
    expect(await taskOf(again, first.id)).toMatchObject({ status: "completed", attemptCount: 1 });
    writeFileSync(`${path}-2`, "");
    const { body } = await call<TaskView>(again, "GET", `/v1/tasks/${second.id}?waitMs=20000`);
    expect(body).toMatchObject({ status: "completed", attemptCount: 1 });
  });

  /** A pool whose one task runs until it is killed, and the pid of the program that runs it. */
  async function withEndlessTask(env: Environment = {}): Promise<{ server: Up; id: string; pid: number }> {
    const pidFile = join(directory, "pid");
    const script = `process.on("SIGTERM", () => {}); require("node:fs").writeFileSync(${JSON.stringify(pidFile)}, String(process.pid)); setInterval(() => {}, 1000); console.log("{}")`;
    writeFileSync(
      join(directory, "endless.yaml"),
      JSON.stringify({
        pools: [
          {
            id: "endless",
            stopMs: 100,
            agents: [{ kind: "command", program: "node", args: ["-e", script], output: "jsonl" }],
          },
        ],
      }),
    );
    const server = await up(["--config", join(directory, "endless.yaml")], { env });
    const { body } = await call<TaskView>(server, "POST", "/v1/pools/endless/tasks", { prompt: "x" });
    for (;;) {
      const pid = existsSync(pidFile) ? Number(readFileSync(pidFile, "utf8")) : 0;
      if (pid > 0) return { server, id: body.id, pid };
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  test("what is still running after shutdown.drainMs is stopped, kept for the next start, and no process is left", async () => {
    const { server, id, pid } = await withEndlessTask({ TROUPE_DRAIN_MS: "0" });
    server.child.kill("SIGTERM");
    expect(await server.ended).toMatchObject({ code: 0 });
    expect(isAlive(pid)).toBe(false);
    const again = await up(["--config", join(FIXTURES, "map.yaml")]);
    const task = await taskOf(again, id);
    expect(task.attempts[0]).toMatchObject({ outcome: "released" });
  });

  test("a SIGINT that comes twice for one press of Ctrl-C, as below npm, counts once", async () => {
    const server = await up();
    server.child.kill("SIGINT");
    server.child.kill("SIGINT");
    expect(await server.ended).toMatchObject({ code: 0, signal: null });
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("a second signal, %s, stops at once with %i", async (signal, code) => {
    const { server, pid } = await withEndlessTask({ TROUPE_DRAIN_MS: "600000" });
    server.child.kill("SIGTERM");
    await said(server, "server.stopping");
    server.child.kill(signal);
    expect(await server.ended).toMatchObject({ code, signal: null });
    // The warden ends what was running.
    await expect.poll(() => isAlive(pid), { timeout: 15_000 }).toBe(false);
  });
});

describe("a store that fails", () => {
  test("exit 74 after a line that says so, and what was acknowledged is there at the next start", async () => {
    const data = join(directory, "data");
    const args = ["up", "--json", "--port", "0", "--data", data, "--config", AGENTS];
    // No file may grow beyond 1 MB, so that a commit fails in the middle.
    const limited = start(args, { shell: "ulimit -f 2048" });
    const { url, keyFile } = JSON.parse(await firstLine(limited)) as { url: string; keyFile: string };
    const server = { url, key: readFileSync(keyFile, "utf8").trim() };
    const acknowledged: string[] = [];
    let refusal: unknown;
    while (refusal === undefined && acknowledged.length < 100) {
      try {
        const { status, body } = await call<TaskView>(server, "POST", "/v1/pools/remote/tasks", {
          prompt: "x".repeat(100_000),
        });
        if (status === 201) acknowledged.push(body.id);
        else refusal = body;
      } catch (error) {
        refusal = error;
      }
    }
    expect(acknowledged.length).toBeGreaterThan(0);
    const { code, stderr } = await limited.ended;
    expect(code).toBe(74);
    expect(stderr).toMatch(/"level":"error".*"event":"server\.failed"/);

    const again = await up(["--config", AGENTS]);
    for (const id of acknowledged) expect(await taskOf(again, id)).toMatchObject({ id, status: "pending" });
  });
});

describe("commands against a server", () => {
  let data: string;
  let running: Running;
  let server: Up;

  beforeAll(async () => {
    data = mkdtempSync(join(tmpdir(), "troupe-cli-server-"));
    directory = data;
    server = await up(["--config", AGENTS, "--data", data]);
    running = server;
    started = [];
  });

  afterAll(async () => {
    running.child.kill("SIGTERM");
    expect((await running.ended).code).toBe(0);
    rmSync(data, { recursive: true, force: true });
  });

  const client = (args: readonly string[], options: Options = {}): Promise<Ended> =>
    troupe(args, { ...options, env: { TROUPE_URL: server.url, TROUPE_DATA: data, ...options.env } });

  const jsonOf = async <T>(args: readonly string[], options?: Options): Promise<T> => {
    const ended = await client([...args, "--json"], options);
    expect(ended.stderr).toBe("");
    return JSON.parse(ended.stdout) as T;
  };

  describe("submit", () => {
    test("prints the id and the status; --json the task", async () => {
      const human = await client(["submit", "remote", "hello", "--id", "submit-1"]);
      expect(human).toMatchObject({ code: 0, stdout: "submit-1  pending\n", stderr: "" });
      const task = await jsonOf<TaskView>(["submit", "remote", "hello"]);
      expect(task).toMatchObject({ pool: "remote", prompt: "hello", status: "pending" });
    });

    test("hands in every option", async () => {
      const args = [
        "submit",
        "remote",
        "--input",
        '{"a":[1]}',
        "--type",
        "poem",
        "--priority",
        "1",
        "--id",
        "submit-all",
      ];
      const more = [
        "--depends",
        "submit-1, submit-1",
        "--requires",
        "b,a",
        "--timeout-ms",
        "5",
        "--deadline",
        "2100-01-01T00:00:00Z",
        "--idempotency-key",
        "k1",
      ];
      await client(["submit", "remote", "x", "--id", "submit-1", "--idempotency-key", "x"]);
      const task = await jsonOf<TaskView>([...args, ...more]);
      expect(task).toMatchObject({
        id: "submit-all",
        input: { a: [1] },
        type: "poem",
        priority: "critical",
        dependencies: ["submit-1"],
        requires: ["a", "b"],
        timeoutMs: 5,
        deadlineAt: "2100-01-01T00:00:00.000Z",
        idempotencyKey: "k1",
      });
      expect((await jsonOf<TaskView>([...args, ...more])).createdAt).toBe(task.createdAt);
    });

    test("reads the prompt from stdin with -", async () => {
      const task = await jsonOf<TaskView>(["submit", "remote", "-"], { stdin: "line one\nline two\n" });
      expect(task.prompt).toBe("line one\nline two\n");
    });

    test("--wait shows the result and exits 0", async () => {
      const human = await client(["submit", "echo", "to and fro", "--wait"]);
      expect(human.code).toBe(0);
      expect(human.stdout).toMatch(/^status +completed$/m);
      expect(human.stdout).toMatch(/^result\nto and fro$/m);
      expect(await jsonOf<TaskView>(["submit", "echo", "x", "--wait", "20000"])).toMatchObject({
        status: "completed",
        result: "x",
      });
    });

    test("--wait for a task that fails exits 1", async () => {
      const json = await client(["submit", "moody", "task", "--wait", "--json"]);
      expect(json.code).toBe(1);
      expect(JSON.parse(json.stdout)).toMatchObject({ status: "failed" });
    });

    test("time that passes while waiting is no error", async () => {
      const json = await client(["submit", "remote", "x", "--wait", "10", "--json"]);
      expect(json.code).toBe(0);
      expect(JSON.parse(json.stdout)).toMatchObject({ status: "pending" });
    });

    test("an unknown pool is 3, a bad field 2, a known id 4", async () => {
      const unknown = await client(["submit", "nowhere", "x", "--json"]);
      expect(unknown.code).toBe(3);
      expect(errorOf(unknown)).toMatchObject({ code: "not_found" });
      const bad = await client(["submit", "remote", "x", "--priority", "urgent", "--json"]);
      expect(bad.code).toBe(2);
      expect(errorOf(bad)).toMatchObject({ code: "invalid", details: { path: "priority" } });
      await client(["submit", "remote", "x", "--id", "submit-twice"]);
      expect((await client(["submit", "remote", "x", "--id", "submit-twice"])).code).toBe(4);
    });

    test("a full queue is 5 and says when to come back", async () => {
      await call(server, "POST", "/v1/pools", { id: "full", queue: { limit: 1 } });
      expect((await client(["submit", "full", "x"])).code).toBe(0);
      const full = await client(["submit", "full", "x", "--json"]);
      expect(full.code).toBe(5);
      expect(errorOf(full)).toMatchObject({ code: "queue_full", details: { retryAfterMs: expect.any(Number) } });
    });
  });

  describe("tasks", () => {
    test("lists, filters, pages", async () => {
      await call(server, "POST", "/v1/pools", { id: "list" });
      for (const [id, type] of [
        ["l1", "poem"],
        ["l2", "song"],
        ["l3", "poem"],
      ]) {
        await call(server, "POST", "/v1/pools/list/tasks", { id, type, prompt: "x" });
      }
      await call(server, "POST", "/v1/tasks/l1/cancel", {});
      const ids = async (...args: string[]): Promise<string[]> =>
        (await jsonOf<Page<TaskView>>(["tasks", "--pool", "list", ...args])).items.map(({ id }) => id);
      expect(await ids()).toEqual(["l1", "l2", "l3"]);
      expect(await ids("--status", "pending")).toEqual(["l2", "l3"]);
      expect(await ids("--type", "poem")).toEqual(["l1", "l3"]);
      expect(await ids("--limit", "2")).toEqual(["l1", "l2"]);
      expect(await ids("--limit", "1", "--all")).toEqual(["l1", "l2", "l3"]);
      const page = await jsonOf<Page<TaskView>>(["tasks", "--pool", "list", "--limit", "2"]);
      expect(page.nextCursor).toEqual(expect.any(String));
    });

    test("is a table for people, and says when there is more", async () => {
      const { code, stdout, stderr } = await client(["tasks", "--pool", "list", "--limit", "2"]);
      expect(code).toBe(0);
      const [heading, first] = stdout.split("\n");
      expect(heading).toMatch(/^ID {2}POOL {2}TYPE {2}PRIORITY {2}STATUS +ATTEMPTS {2}CREATED$/);
      expect(first).toMatch(/^l1 {2}list {2}poem {2}medium +cancelled +0\/3 +\d{4}-/);
      expect(stderr).toBe("There are more: --all lists every one.\n");
    });

    test("a bad status is 2", async () => {
      const ended = await client(["tasks", "--status", "lost", "--json"]);
      expect(ended.code).toBe(2);
      expect(errorOf(ended)).toMatchObject({ code: "invalid", details: { path: "status" } });
    });
  });

  describe("task", () => {
    test("shows the task and its attempts", async () => {
      const { body } = await call<TaskView>(server, "POST", "/v1/pools/moody/tasks?waitMs=20000", {
        id: "crash-1",
        prompt: "crash",
      });
      expect(body.status).toBe("failed");
      const { code, stdout } = await client(["task", "crash-1"]);
      expect(code).toBe(0);
      expect(stdout).toMatch(/^status +failed, dead letter$/m);
      expect(stdout).toMatch(/^error +exhausted: /m);
      expect(stdout).toMatch(/^ATTEMPT +AGENT +OUTCOME +BLAME +TOOK +ERROR$/m);
      expect(stdout).toMatch(/^2 +\S+ +failed +unknown /m);
      expect((await jsonOf<TaskView>(["task", "crash-1"])).attempts).toHaveLength(2);
    });

    test("--wait waits for settlement; exits 1 when it ended badly", async () => {
      const agent = await join_(server, "remote");
      const { body } = await call<TaskView>(server, "POST", "/v1/pools/remote/tasks", {
        prompt: "x",
        priority: "critical",
      });
      const waiting = client(["task", body.id, "--wait", "--json"]);
      const attempts = await agent.claim(100);
      for (const attempt of attempts) await complete(server, attempt, { answer: 42 });
      const ended = await waiting;
      expect(ended.code).toBe(0);
      expect(JSON.parse(ended.stdout)).toMatchObject({ status: "completed", result: { answer: 42 } });
      expect((await client(["task", "crash-1", "--wait"])).code).toBe(1);
    });

    test("explain tells why a task waits, and of a settled one its story", async () => {
      const { body } = await call<TaskView>(server, "POST", "/v1/pools/echo/tasks", {
        prompt: "x",
        requires: ["wings"],
      });
      const { code, stdout } = await client(["explain", body.id]);
      expect(code).toBe(0);
      expect(stdout).toMatch(/^status +pending$/m);
      expect(stdout).toMatch(/^AGENT +REASON +DETAIL$/m);
      expect(stdout).toMatch(/^\S+ +capability +it lacks wings$/m);
      expect(stdout).toContain("what would have to change\n- an agent that offers wings has to join pool echo\n");
      expect(await jsonOf<ExplainView>(["explain", body.id])).toMatchObject({ against: { capability: 2 } });
      expect((await client(["cancel", body.id])).code).toBe(0);
      expect((await client(["explain", body.id])).stdout).toMatch(/^story\n- it was submitted .*\n- it was cancelled/m);
      expect((await client(["explain", "nobody"])).code).toBe(3);
    });

    test("an unknown task is 3", async () => {
      const human = await client(["task", "nobody"]);
      expect(human).toMatchObject({ code: 3, stdout: "" });
      expect(human.stderr).toMatch(/^troupe: .*nobody.*\n$/);
      expect(errorOf(await client(["task", "nobody", "--json"]))).toMatchObject({ code: "not_found", exitCode: 3 });
    });

    test("what a task holds can't control the terminal", async () => {
      const { body } = await call<TaskView>(server, "POST", "/v1/pools/echo/tasks?waitMs=20000", {
        prompt: "\u001b[2Jgone",
      });
      const { stdout } = await client(["task", body.id]);
      expect(stdout).toContain("gone");
      expect(stdout).not.toContain("\u001b");
    });
  });

  describe("cancel and replay", () => {
    test("cancel ends a task, twice as once; a settled one is 4", async () => {
      await call(server, "POST", "/v1/pools/list/tasks", { id: "c1", prompt: "x" });
      const human = await client(["cancel", "c1", "--reason", "no longer needed"]);
      expect(human.code).toBe(0);
      expect(human.stdout).toMatch(/^status +cancelled$/m);
      expect(human.stdout).toContain("no longer needed");
      expect((await jsonOf<TaskView>(["cancel", "c1"])).status).toBe("cancelled");
      const { body } = await call<TaskView>(server, "POST", "/v1/pools/echo/tasks?waitMs=20000", { prompt: "x" });
      const settled = await client(["cancel", body.id, "--json"]);
      expect(settled.code).toBe(4);
      expect(errorOf(settled)).toMatchObject({ code: "already_settled" });
      expect((await client(["cancel", "nobody"])).code).toBe(3);
    });

    test("replay gives a dead letter a new life; others are 4", async () => {
      const { body } = await call<TaskView>(server, "POST", "/v1/pools/moody/tasks?waitMs=20000", { prompt: "task" });
      expect(body.deadLettered).toBe(true);
      expect(await jsonOf<TaskView>(["replay", body.id])).toMatchObject({ id: body.id, replays: 1 });
      expect((await client(["task", body.id, "--wait"])).code).toBe(1);
      const human = await client(["replay", body.id]);
      expect(human.code).toBe(0);
      expect(human.stdout).toMatch(/^replays +2$/m);
      const done = await call<TaskView>(server, "POST", "/v1/pools/echo/tasks?waitMs=20000", { prompt: "x" });
      expect((await client(["replay", done.body.id])).code).toBe(4);
      expect((await client(["replay", "nobody"])).code).toBe(3);
    });

    test("S0-L02 dead lists dead letters and discards one; replay --edit changes what is asked", async () => {
      const pool = "dead";
      await call(server, "POST", "/v1/pools", { id: pool });
      const agent = await join_(server, pool);
      for (const id of ["dead-1", "dead-2"]) {
        await call(server, "POST", `/v1/pools/${pool}/tasks`, { id, prompt: "x" });
        const [attempt] = await agent.claim(1);
        const body = { fence: attempt?.fence, error: { message: "no", blame: "task" } };
        await call(server, "POST", `/v1/tasks/${id}/fail`, body);
      }
      const list = await jsonOf<{ items: TaskView[] }>(["dead", "--pool", pool]);
      expect(list.items.map(({ id }) => id)).toEqual(["dead-1", "dead-2"]);
      expect((await client(["dead", "--pool", pool])).stdout).toContain("dead-2");
      const discarded = await jsonOf<TaskView>(["dead", "--discard", "dead-1"]);
      expect(discarded).toMatchObject({ id: "dead-1", status: "failed", deadLettered: false });
      const edited = await jsonOf<TaskView>(["replay", "dead-2", "--edit", '{"prompt":"better","priority":"high"}']);
      expect(edited).toMatchObject({ id: "dead-2", prompt: "better", priority: "high", replays: 1 });
      expect((await jsonOf<{ items: TaskView[] }>(["dead", "--pool", pool])).items).toEqual([]);
      expect((await client(["replay", "dead-2", "--edit", "[]"])).code).toBe(2);
    });
  });

  test("pools lists pools with their counts", async () => {
    const { items } = await jsonOf<Page<PoolView>>(["pools"]);
    expect(items.map(({ id }) => id)).toEqual(expect.arrayContaining(["echo", "moody", "remote", "narrow"]));
    const { code, stdout } = await client(["pools"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^POOL +HEALTH +AGENTS +QUEUED +BLOCKED +DELAYED +RUNNING +DEAD LETTERS$/m);
    expect(stdout).toMatch(/^echo +healthy +2 +0 +0 +0 +0 +0$/m);
  });

  describe("finding server and key", () => {
    test("the key comes from --key, else TROUPE_KEY, else the key file", async () => {
      const nowhere = { TROUPE_DATA: join(directory, "none") };
      expect((await client(["pools"], { env: { ...nowhere, TROUPE_KEY: server.key } })).code).toBe(0);
      expect((await client(["pools", "--key", server.key], { env: { ...nowhere, TROUPE_KEY: "wrong" } })).code).toBe(0);
      expect((await client(["pools", "--data", data], { env: nowhere })).code).toBe(0);
      expect((await client(["pools", "--url", server.url], { env: { TROUPE_URL: NOWHERE } })).code).toBe(0);
    });

    test("a missing or wrong key is 77 and names `troupe key`", async () => {
      for (const env of [{ TROUPE_DATA: join(directory, "none") }, { TROUPE_KEY: "x".repeat(43) }]) {
        const human = await client(["pools"], { env });
        expect(human).toMatchObject({ code: 77, stdout: "" });
        expect(human.stderr).toContain("troupe key");
        expect(errorOf(await client(["pools", "--json"], { env }))).toMatchObject({
          code: "unauthorized",
          exitCode: 77,
        });
      }
    });

    test.each([["pools"], ["submit", "p", "x"]])(
      "troupe %s without a server is 69, with its URL and what starts one",
      async (...args) => {
        const env = { TROUPE_URL: NOWHERE };
        const [human, json] = await Promise.all([client(args, { env }), client([...args, "--json"], { env })]);
        expect(human).toMatchObject({ code: 69, stdout: "" });
        expect(human.stderr).toContain(NOWHERE);
        expect(human.stderr).toContain("connection refused");
        expect(human.stderr).toContain("troupe up");
        expect(errorOf(json)).toMatchObject({ code: "unreachable", exitCode: 69, details: { url: NOWHERE } });
      },
    );

    test("something else that answers at the URL is 69", async () => {
      const other = createServer((_, response) =>
        response.writeHead(404, { "content-type": "text/html" }).end("<p>no"),
      );
      await once(other.listen(0, "127.0.0.1"), "listening");
      try {
        const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
        const ended = await client(["pools", "--url", url]);
        expect(ended.code).toBe(69);
        expect(ended.stderr).toContain("not as a troupe server does");
      } finally {
        other.close();
      }
    });
  });

  describe("run", () => {
    interface Summary {
      total: number;
      byStatus: Record<"completed" | "failed" | "cancelled" | "refused", number>;
      attempts: number;
      failovers: number;
      queueMs: { p50: number; p99: number } | null;
      runMs: { p50: number; p99: number } | null;
      problems: { line: number; id?: string; status: string; error?: { code: string } }[];
    }

    function tasksFile(lines: readonly object[]): string {
      const file = join(directory, "tasks.jsonl");
      writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
      return file;
    }

    test("hands in tasks in the order of their dependencies, over pools, waits, and sums up", async () => {
      const file = tasksFile([
        { pool: "moody", id: "run-c", prompt: "c", dependencies: ["run-b", "run-a"] },
        { id: "run-b", prompt: "b", dependencies: ["run-a"] },
        { id: "run-a", prompt: "a" },
      ]);
      const human = await client(["run", file, "--pool", "echo"]);
      expect(human.code).toBe(0);
      expect(human.stdout).toMatch(/^tasks +3\n {2}completed +3\nattempts +3, 0 on another agent/m);
      expect(human.stdout).toMatch(/^queue time +p50 .*, p99 /m);
      expect(human.stdout).toMatch(/^run time +p50 .*, p99 /m);
      expect(human.stderr).toContain("3 of 3 settled\n");
      expect(await taskOf(server, "run-c")).toMatchObject({ status: "completed", result: "c" });
    });

    test("the same file again finds the same tasks; --fresh makes new ones", async () => {
      const file = tasksFile([{ pool: "echo", prompt: "again" }]);
      const count = async (): Promise<number> => {
        const { items } = await jsonOf<Page<TaskView>>(["tasks", "--pool", "echo", "--all"]);
        return items.filter(({ prompt }) => prompt === "again").length;
      };
      expect((await client(["run", file])).code).toBe(0);
      expect((await client(["run", file])).code).toBe(0);
      expect(await count()).toBe(1);
      expect((await client(["run", file, "--fresh"])).code).toBe(0);
      expect(await count()).toBe(2);
    });

    test("comes back when a full queue says later, until all are done", async () => {
      const file = tasksFile(Array.from({ length: 12 }, (_, at) => ({ pool: "narrow", prompt: String(at) })));
      const ended = await client(["run", file, "--json"]);
      expect(ended).toMatchObject({ code: 0, stderr: "" });
      expect(JSON.parse(ended.stdout) as Summary).toMatchObject({ total: 12, byStatus: { completed: 12, refused: 0 } });
      expect((await call<PoolView>(server, "GET", "/v1/pools/narrow")).body.refusals).toBeGreaterThan(0);
    });

    test("what fails is listed and makes it exit 1; failovers are counted", async () => {
      const file = tasksFile([
        { pool: "moody", prompt: "fine" },
        { pool: "moody", prompt: "crash", id: "run-crash" },
        { pool: "moody", prompt: "after", dependencies: ["run-crash"] },
      ]);
      const ended = await client(["run", file, "--json"]);
      expect(ended.code).toBe(1);
      const summary = JSON.parse(ended.stdout) as Summary;
      expect(summary).toMatchObject({
        total: 3,
        byStatus: { completed: 1, failed: 1, cancelled: 1, refused: 0 },
        attempts: 3,
        failovers: 1,
      });
      expect(summary.problems).toMatchObject([
        { line: 2, id: "run-crash", status: "failed", error: { code: "exhausted" } },
        { line: 3, status: "cancelled", error: { code: "dependency_failed" } },
      ]);
      const human = await client(["run", file]);
      expect(human.code).toBe(1);
      expect(human.stdout).toMatch(/^LINE +POOL +ID +STATUS +ERROR\n2 +moody +run-crash +failed +exhausted: /m);
    });

    test("what the server refuses is listed, with what depends on it; the rest is done", async () => {
      const file = tasksFile([
        { pool: "echo", prompt: "x", id: "run-refused", dependencies: ["nobody"] },
        { pool: "echo", prompt: "x", id: "run-refused-2", dependencies: ["run-refused"] },
        { pool: "moody", prompt: "x", dependencies: ["run-refused-2"] },
        { pool: "echo", prompt: "fine" },
      ]);
      const ended = await client(["run", file, "--json"]);
      expect(ended.code).toBe(1);
      const summary = JSON.parse(ended.stdout) as Summary;
      expect(summary.byStatus).toEqual({ completed: 1, failed: 0, cancelled: 0, refused: 3 });
      expect(summary.problems.map(({ line, error }) => [line, error?.code])).toEqual([
        [1, "unknown_dependency"],
        [2, "unknown_dependency"],
        [3, "unknown_dependency"],
      ]);
    });

    test("a bad file is 2, with its line, and nothing is submitted", async () => {
      const file = tasksFile([
        { pool: "echo", prompt: "x", id: "run-never" },
        { pool: "echo", colour: "red", prompt: "y" },
      ]);
      const ended = await client(["run", file, "--json"]);
      expect(ended.code).toBe(2);
      expect(errorOf(ended)).toMatchObject({
        code: "invalid",
        message: expect.stringContaining("tasks.jsonl:2: colour"),
        details: { line: 2 },
      });
      expect((await call(server, "GET", "/v1/tasks/run-never")).status).toBe(404);
      expect((await client(["run", join(directory, "none.jsonl")])).code).toBe(2);
    });

    test("a pool that does not exist is 3, and nothing is submitted", async () => {
      const file = tasksFile([
        { pool: "echo", prompt: "x", id: "run-never-2" },
        { pool: "nowhere", prompt: "y" },
      ]);
      expect((await client(["run", file])).code).toBe(3);
      expect((await call(server, "GET", "/v1/tasks/run-never-2")).status).toBe(404);
    });

    test("without a server it is 69 at once, with a wrong key 77", async () => {
      const file = tasksFile([{ pool: "echo", prompt: "x" }]);
      expect((await client(["run", file], { env: { TROUPE_URL: NOWHERE } })).code).toBe(69);
      expect((await client(["run", file], { env: { TROUPE_KEY: "x".repeat(43) } })).code).toBe(77);
    });

    test("an empty file is a run of nothing", async () => {
      expect(await client(["run", tasksFile([]), "--json"])).toMatchObject({ code: 0 });
    });

    /** Between client and server: gives requests on, and cuts the connection where `cuts` says so. */
    async function cuttingProxy(
      cuts: (request: { method: string; path: string }) => boolean,
    ): Promise<{ url: string; proxy: Server }> {
      const proxy = createServer(async (request, response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of request) chunks.push(chunk as Buffer);
        const method = request.method ?? "";
        const path = request.url ?? "";
        const answer = await fetch(server.url + path, {
          method,
          headers: { authorization: String(request.headers.authorization), "content-type": "application/json" },
          ...(chunks.length === 0 ? {} : { body: Buffer.concat(chunks) }),
        });
        const text = await answer.text();
        // The server has done it, and the client does not know.
        if (cuts({ method, path })) response.destroy();
        else response.writeHead(answer.status, { "content-type": "application/json" }).end(text);
      });
      await once(proxy.listen(0, "127.0.0.1"), "listening");
      return { url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, proxy };
    }

    test("a connection that breaks is repeated, and no task is done twice", async () => {
      const file = tasksFile(Array.from({ length: 5 }, (_, at) => ({ pool: "echo", prompt: `cut ${at}` })));
      const cutOnce = new Set<string>();
      const { url, proxy } = await cuttingProxy(({ method, path }) => {
        if (path.startsWith("/v1/pools/echo") && method === "GET") return false;
        const first = !cutOnce.has(method);
        cutOnce.add(method);
        return first;
      });
      try {
        const ended = await client(["run", file, "--json", "--url", url]);
        expect(ended).toMatchObject({ code: 0 });
        expect(JSON.parse(ended.stdout)).toMatchObject({ byStatus: { completed: 5 } });
        expect(cutOnce).toContain("POST");
        const { items } = await jsonOf<Page<TaskView>>(["tasks", "--pool", "echo", "--all"]);
        expect(items.filter(({ prompt }) => prompt?.startsWith("cut "))).toHaveLength(5);
      } finally {
        proxy.closeAllConnections();
        proxy.close();
      }
    });

    test.each([
      ["SIGINT", 130],
      ["SIGTERM", 143],
    ] as const)("%s leaves with %i and says what goes on and how to look", async (signal, code) => {
      await call(server, "POST", "/v1/pools", { id: "idle" });
      const id = `run-open-${signal}`;
      // The first pool has answered before the second is asked.
      const file = tasksFile([
        { pool: "idle", prompt: "x", id },
        { pool: "echo", prompt: signal },
      ]);
      const going = start(["run", file], { env: { TROUPE_URL: server.url, TROUPE_DATA: data } });
      await said(going, "1 of 2 settled");
      going.child.kill(signal);
      const ended = await going.ended;
      expect(ended).toMatchObject({ code, signal: null, stdout: "" });
      expect(ended.stderr).toContain(`interrupted: of 2 tasks 1 still open on ${server.url} (\`troupe task ${id}\``);
      expect(ended.stderr).toContain("0 not submitted");
      expect(await taskOf(server, id)).toMatchObject({ status: "pending" });
    });
  });

  describe("agents", () => {
    const agentsOf = async (pool: string): Promise<AgentView[]> =>
      (await jsonOf<Page<AgentView>>(["agents", "--pool", pool])).items;

    test("lists them, of one pool or of all", async () => {
      const echo = await agentsOf("echo");
      expect(echo.map(({ name, pool }) => [name, pool])).toEqual([
        ["echo-command-0", "echo"],
        ["echo-command-1", "echo"],
      ]);
      const { items } = await jsonOf<Page<AgentView>>(["agents"]);
      expect(new Set(items.map(({ pool }) => pool)).size).toBeGreaterThan(1);
    });

    test("drain, recover, reset, fail and restart one by its name or id", async () => {
      const [agent] = await agentsOf("echo");
      const drained = await client(["agents", "drain", "echo-command-0"]);
      expect(drained).toMatchObject({ code: 0, stdout: expect.stringMatching(/echo-command-0 .*draining/) });
      expect(await jsonOf(["agents", "recover", agent?.id ?? ""])).toMatchObject({ lifecycle: "ready" });
      const failed = await client(["agents", "fail", "echo-command-0", "--reason", "on fire"]);
      expect(failed).toMatchObject({ code: 0, stdout: expect.stringContaining("unhealthy") });
      expect(await jsonOf(["agents", "recover", "echo-command-0", "--pool", "echo"])).toMatchObject({
        health: "healthy",
      });
      expect(await jsonOf(["agents", "reset", "echo-command-0"])).toMatchObject({ stats: { samples: 0 } });
      expect(await jsonOf(["agents", "restart", "echo-command-0"])).toMatchObject({ name: "echo-command-0" });
      await expect
        .poll(async () => (await agentsOf("echo"))[0], { timeout: 20_000 })
        .toMatchObject({
          lifecycle: "ready",
          restarts: 1,
        });
      expect(await jsonOf(["agents", "restart", "--pool", "echo"])).toEqual({ restarted: 2 });
    });

    test("an agent that is not there, or is in several pools, is wrong usage", async () => {
      const nobody = await client(["agents", "drain", "nobody"]);
      expect(nobody).toMatchObject({ code: 2, stderr: expect.stringContaining("there is none") });
      expect(await client(["agents", "restart"])).toMatchObject({ code: 2, stderr: expect.stringContaining("--pool") });
      for (const pool of ["twice-a", "twice-b"]) {
        await call(server, "POST", "/v1/pools", { id: pool });
        await call(server, "POST", `/v1/pools/${pool}/agents`, { kind: "remote", name: "twin" });
      }
      const twins = await client(["agents", "drain", "twin"]);
      expect(twins).toMatchObject({ code: 2, stderr: expect.stringContaining("twice-a, twice-b") });
      expect(await jsonOf(["agents", "remove", "twin", "--pool", "twice-a"])).toEqual({ released: 0 });
      expect(await jsonOf(["agents", "drain", "twin"])).toMatchObject({ pool: "twice-b", lifecycle: "draining" });
    });

    test("logs prints what one has written, and follows it", async () => {
      const args = ["-e", "process.stderr.write(require('node:fs').readFileSync(0, 'utf8') + '\\n')"];
      await call(server, "POST", "/v1/pools", {
        id: "loud",
        agents: [{ kind: "command", name: "crier", program: "node", args }],
      });
      const cry = (prompt: string) => call(server, "POST", "/v1/pools/loud/tasks?waitMs=20000", { prompt });
      await cry("one");
      expect(await client(["logs", "crier"])).toMatchObject({ code: 0, stdout: "one\n" });
      expect(await jsonOf(["logs", "crier"])).toEqual({ lines: ["one"], next: 1 });
      const following = start(["logs", "-f", "crier"], { env: { TROUPE_URL: server.url, TROUPE_DATA: data } });
      const lines = createInterface({ input: following.child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
      expect((await lines.next()).value).toBe("one");
      await cry("two");
      expect((await lines.next()).value).toBe("two");
    });
  });
});
