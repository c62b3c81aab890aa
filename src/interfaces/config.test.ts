import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isPoolError, type PoolError } from "../base/errors.ts";
import { isLoopback, loadConfig, SERVER_DEFAULTS } from "./config.ts";

let cwd: string;

beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), "troupe-config-"));
});

afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

function write(text: string, name = "troupe.yaml"): void {
  writeFileSync(join(cwd, name), text);
}

function problemOf(load: () => unknown): PoolError {
  try {
    load();
  } catch (error) {
    if (isPoolError(error, "config_invalid")) return error;
    throw error;
  }
  throw new Error("the configuration was taken");
}

/** The message for a file's text. */
function messageFor(text: string): string {
  write(text);
  return problemOf(() => loadConfig({ env: {}, cwd })).message;
}

describe("where values come from", () => {
  test("without file, variables and flags there are the defaults", () => {
    expect(loadConfig({ env: {}, cwd })).toEqual({
      file: undefined,
      host: "127.0.0.1",
      port: 8_000,
      auth: "key",
      data: join(cwd, ".troupe"),
      store: "sqlite:./troupe.db",
      shutdown: { drainMs: 5_000 },
      limits: { maxProcesses: 100 },
      events: {},
      routing: { categories: undefined, fitness: undefined },
      pools: [],
      warnings: [],
    });
  });

  test("how many events are kept, and for how long, comes from the file, within bounds", () => {
    const events = (text: string) => {
      writeFileSync(join(cwd, "troupe.yaml"), `server: { events: ${text} }\n`);
      return loadConfig({ env: {}, cwd }).events;
    };
    expect(events("{ count: 1, ageMs: 1000 }")).toEqual({ count: 1, ageMs: 1_000 });
    expect(events("{ ageMs: 60000 }")).toEqual({ ageMs: 60_000 });
    expect(() => events("{ count: 0 }")).toThrow("server.events.count");
    expect(() => events("{ ageMs: 999 }")).toThrow("server.events.ageMs");
    expect(() => events("{ size: 5 }")).toThrow("server.events.size");
  });

  test("R-11 R-09 categories and fitness of routing come from the file", () => {
    writeFileSync(join(cwd, "troupe.yaml"), "server: { categories: { gpu: [vision] }, fitness: [poem] }\n");
    expect(loadConfig({ env: {}, cwd }).routing).toEqual({ categories: { gpu: ["vision"] }, fitness: ["poem"] });
  });

  const FILE = `
server:
  host: 127.0.0.2
  port: 1
  auth: key
  data: ./file
  store: "sqlite:./file.db"
  shutdown: { drainMs: 1 }
`;
  const ENV = {
    TROUPE_HOST: "127.0.0.3",
    TROUPE_PORT: "2",
    TROUPE_AUTH: "off",
    TROUPE_DATA: "./env",
    TROUPE_STORE: "sqlite:./env.db",
    TROUPE_DRAIN_MS: "2",
  };
  const FLAGS = { host: "localhost", port: "3", auth: "key", data: "./flag", store: "memory:" };

  test("troupe.yaml of the working directory is read", () => {
    write(FILE);
    expect(loadConfig({ env: {}, cwd })).toMatchObject({
      file: join(cwd, "troupe.yaml"),
      host: "127.0.0.2",
      port: 1,
      auth: "key",
      data: join(cwd, "file"),
      store: "sqlite:./file.db",
      shutdown: { drainMs: 1 },
    });
  });

  test("variables go over the file", () => {
    write(FILE);
    expect(loadConfig({ env: ENV, cwd })).toMatchObject({
      host: "127.0.0.3",
      port: 2,
      auth: "off",
      data: join(cwd, "env"),
      store: "sqlite:./env.db",
      shutdown: { drainMs: 2 },
    });
  });

  test("flags go over variables", () => {
    write(FILE);
    expect(loadConfig({ env: ENV, flags: FLAGS, cwd })).toMatchObject({
      host: "localhost",
      port: 3,
      auth: "key",
      data: join(cwd, "flag"),
      store: "memory:",
    });
  });

  test("an empty variable counts as not set", () => {
    write(FILE);
    expect(loadConfig({ env: { TROUPE_PORT: "", TROUPE_CONFIG: "" }, cwd }).port).toBe(1);
  });

  test("a directory in the file is relative to the file", () => {
    mkdirSync(join(cwd, "conf"));
    write("server: { data: ../store }", "conf/troupe.yaml");
    expect(loadConfig({ file: "conf/troupe.yaml", env: {}, cwd }).data).toBe(join(cwd, "store"));
  });

  test("TROUPE_CONFIG names the file, and --config goes over it", () => {
    write("server: { port: 11 }", "a.yaml");
    write("server: { port: 12 }", "b.yaml");
    write("server: { port: 13 }");
    const env = { TROUPE_CONFIG: "a.yaml" };
    expect(loadConfig({ env, cwd }).port).toBe(11);
    expect(loadConfig({ env, file: "b.yaml", cwd }).port).toBe(12);
  });

  test("a file that was named must be there", () => {
    expect(problemOf(() => loadConfig({ file: "no.yaml", env: {}, cwd })).message).toBe(
      "no.yaml: there is no such file",
    );
    expect(problemOf(() => loadConfig({ env: { TROUPE_CONFIG: "no.yaml" }, cwd })).message).toContain("no.yaml");
  });

  test("variables that are not known are reported, others' are not", () => {
    const env = { TROUPE_PROT: "1", TROUPE_A: "2", TROUPE_URL: "x", TROUPE_KEY: "y", TROUPE_MARK: "z", PATH: "/bin" };
    expect(loadConfig({ env, cwd }).warnings).toEqual([
      "the variable TROUPE_A is not known",
      "the variable TROUPE_PROT is not known",
    ]);
  });

  test("an empty file, and one with empty sections, configure nothing", () => {
    for (const text of ["", "# nothing\n", "server:\npools:\n", "pools: []\n", "pools: {}\n"]) {
      write(text);
      expect(loadConfig({ env: {}, cwd })).toMatchObject({ port: SERVER_DEFAULTS.port, pools: [] });
    }
  });
});

describe("pools of the file", () => {
  test("come as a list or as a map from id to options", () => {
    write("pools:\n  - id: a\n    queue: { limit: 0 }\n  - id: b\n");
    const list = loadConfig({ env: {}, cwd }).pools;
    write("pools:\n  a:\n    queue: { limit: 0 }\n  b:\n");
    expect(loadConfig({ env: {}, cwd }).pools).toEqual(list);
    expect(list).toEqual([{ id: "a", queue: { limit: 0 } }, { id: "b" }]);
  });

  test("may share options by an alias", () => {
    write("pools:\n  a: &x { queue: { limit: 3 } }\n  b: *x\n");
    expect(loadConfig({ env: {}, cwd }).pools.map(({ queue }) => queue?.limit)).toEqual([3, 3]);
  });

  test("take processes up to limits.maxProcesses and not one more", () => {
    const text = (count: number): string =>
      `server: { limits: { maxProcesses: 2 } }\npools:\n  a:\n    size: { max: ${count}, default: ${count} }\n    daemon: { program: node }\n`;
    write(text(2));
    expect(loadConfig({ env: {}, cwd }).pools).toHaveLength(1);
    expect(messageFor(text(3))).toMatch(/^troupe\.yaml:4: pools\.a\.size\.max: 3 processes, at most 2/);
  });
});

describe("what is wrong is named by file, line and path", () => {
  test.each([
    [
      "a wrong type",
      "pools:\n  - id: a\n    queue:\n      limit: many\n",
      "troupe.yaml:4: pools[0].queue.limit: expected number, got string",
    ],
    [
      "a number below its bound",
      "pools:\n  - id: a\n    queue: { limit: -1 }\n",
      "troupe.yaml:3: pools[0].queue.limit: expected number to be >=0",
    ],
    [
      "a field that is not known",
      "pools:\n  - id: a\n\n    colour: red\n",
      "troupe.yaml:4: pools[0].colour: this field is not known",
    ],
    ["a section that is not known", "servers: {}\n", "troupe.yaml:1: servers: this field is not known"],
    [
      "a pool in a map",
      "pools:\n  # first\n  a:\n    stopMs: soon\n",
      "troupe.yaml:4: pools.a.stopMs: expected number, got string",
    ],
    [
      "a pool whose id holds a dot",
      "pools:\n  a.b:\n    stopMs: soon\n",
      "troupe.yaml:3: pools.a.b.stopMs: expected number, got string",
    ],
    [
      "an agent",
      "pools:\n  - id: a\n    agents:\n      - kind: command\n        program: cat\n      - kind: oven\n",
      "troupe.yaml:6: pools[0].agents[1].kind: expected one of",
    ],
    [
      "something missing",
      "pools:\n  - id: a\n    daemon:\n      path: /x\n",
      "troupe.yaml:3: pools[0].daemon.program: expected string, but it is missing",
    ],
    [
      "a relation",
      "pools:\n  - id: a\n    lease:\n      ttlMs: 1000\n      renewMs: 501\n",
      "troupe.yaml:5: pools[0].lease.renewMs: expected at most half of lease.ttlMs (1000)",
    ],
    [
      "a command without program",
      "pools:\n  - id: a\n    agents:\n      - kind: command\n",
      "troupe.yaml:4: pools[0].agents[0].program: expected the program to run",
    ],
    [
      "a function",
      "pools:\n  - id: a\n    agents:\n      - kind: function\n",
      "troupe.yaml:4: pools[0].agents[0].kind: expected daemon or command",
    ],
    [
      "a remote agent",
      "pools:\n  - id: a\n    agents: [{ kind: remote }]\n",
      "troupe.yaml:3: pools[0].agents[0].kind: remote agents join by themselves",
    ],
    [
      "a pool without id",
      "pools:\n  - id: a\n  - queue: { limit: 1 }\n",
      "troupe.yaml:3: pools[1].id: a pool of the file needs an id",
    ],
    ["an id that comes twice", "pools:\n  - id: a\n  - id: a\n", "troupe.yaml:3: pools[1].id: two pools are called a"],
    ["an id beside another", "pools:\n  a:\n    id: b\n", "troupe.yaml:3: pools.a.id: the pool is already called a"],
    ["a bad id", "pools:\n  'a b': {}\n", "troupe.yaml:2: pools.a b.id: expected 1 to 128 letters"],
    ["pools that are text", "pools: five\n", "troupe.yaml:1: pools: expected a list or a map, got string"],
    ["a pool that is text", "pools:\n  a: five\n", "troupe.yaml:2: pools.a: expected object, got string"],
    [
      "a branch of alternatives",
      "pools:\n  a:\n    ageing:\n      stepMs: 0\n",
      "troupe.yaml:4: pools.a.ageing.stepMs: expected number to be >=1",
    ],
    ["a port", "server:\n  port: 65536\n", "troupe.yaml:2: server.port: expected number to be <=65535"],
    ["a port as text", 'server:\n  port: "80"\n', "troupe.yaml:2: server.port: expected number, got string"],
    ["authentication", "server: { auth: maybe }\n", 'troupe.yaml:1: server.auth: expected one of "key"|"off"'],
    ["a list at the top", "- a\n", "troupe.yaml:1: expected object, got array"],
    ["broken YAML", "server:\n  port: [1\n", "troupe.yaml:3: "],
    ["a key that comes twice", "server: {}\nserver: {}\n", "troupe.yaml:2: Map keys must be unique"],
    [
      "a prototype",
      "pools:\n  - id: a\n    __proto__: { x: 1 }\n",
      "troupe.yaml:3: pools[0].__proto__: this field is not known",
    ],
  ])("%s", (_what, text, message) => {
    expect(messageFor(text)).toContain(message);
  });

  test("line, path and file are fields of the error, too", () => {
    write("server:\n  port: x\n");
    const { details } = problemOf(() => loadConfig({ env: {}, cwd }));
    expect(details).toEqual({ file: "troupe.yaml", line: 2, path: "server.port" });
  });

  test("aliases that unfold without end are refused", () => {
    const levels = Array.from({ length: 12 }, (_, at) => `  l${at}: &l${at} [${`*l${at - 1},`.repeat(9)}]`);
    levels[0] = "  l0: &l0 [x]";
    expect(messageFor(`server:\n${levels.join("\n")}\n`)).toContain("troupe.yaml");
  });

  test("a file that is too large is not read", () => {
    expect(messageFor(`# ${"x".repeat(1_048_576)}`)).toContain("at most 1048576 are read");
  });

  test.each([
    [{ TROUPE_PORT: "http" }, "TROUPE_PORT: expected number, got string"],
    [{ TROUPE_PORT: "65536" }, "TROUPE_PORT: expected number to be <=65535"],
    [{ TROUPE_PORT: "-1" }, "TROUPE_PORT: expected number to be >=0"],
    [{ TROUPE_PORT: "1.5" }, "TROUPE_PORT: expected int"],
    [{ TROUPE_DRAIN_MS: "5s" }, "TROUPE_DRAIN_MS: expected number, got string"],
    [{ TROUPE_AUTH: "no" }, 'TROUPE_AUTH: expected one of "key"|"off"'],
  ])("the variables %o", (env, message) => {
    expect(problemOf(() => loadConfig({ env, cwd })).message).toContain(message);
  });

  test("a flag", () => {
    expect(problemOf(() => loadConfig({ env: {}, flags: { port: "x" }, cwd })).message).toBe(
      "--port: expected number, got string",
    );
  });

  test("port 0 and port 65535 are taken", () => {
    for (const port of [0, 65_535]) expect(loadConfig({ env: { TROUPE_PORT: String(port) }, cwd }).port).toBe(port);
  });
});

describe("auth off", () => {
  test.each(["127.0.0.1", "127.8.9.10", "::1", "localhost"])("is taken on %s", (host) => {
    expect(isLoopback(host)).toBe(true);
    expect(loadConfig({ env: {}, flags: { host, auth: "off" }, cwd }).auth).toBe("off");
  });

  test.each(["0.0.0.0", "::", "192.0.2.1", "example.org", "127.0.0.1.example.org", "128.0.0.1"])(
    "is refused on %s",
    (host) => {
      expect(isLoopback(host)).toBe(false);
      expect(problemOf(() => loadConfig({ env: {}, flags: { host, auth: "off" }, cwd })).message).toContain(host);
    },
  );
});
