import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isPoolError } from "../base/errors.ts";
import { asPoolId } from "../base/ids.ts";
import { storeContract } from "../testing/store-contract.ts";
import {
  anAdmission,
  anEvent,
  aSpec,
  CommitWriter,
  ended,
  idOf,
  openTask,
  poolOptions,
  settledTask,
} from "../testing/store-facts.ts";
import { openSqliteStore, type SqliteOptions } from "./sqlite.ts";
import type { Commit, Store } from "./store.ts";

let directory: string;
/** Closed, or killed, after each test. */
let stores: Store[];
let children: ChildProcess[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "troupe-sqlite-"));
  stores = [];
  children = [];
});

afterEach(async () => {
  for (const store of stores) await store.close();
  for (const child of children) await kill(child);
  rmSync(directory, { recursive: true, force: true });
});

const dataFile = (): string => join(directory, "data", "troupe.db");

async function open(file = dataFile(), options?: SqliteOptions): Promise<Store> {
  const store = await openSqliteStore(file, options);
  stores.push(store);
  return store;
}

const files = new Map<Store, string>();
storeContract(
  "the SQLite store",
  async () => {
    const store = await open();
    files.set(store, dataFile());
    return store;
  },
  {
    reopen: async (store) => {
      await store.close();
      return open(files.get(store));
    },
  },
);

/** What a second look at a closed file finds, through a connection of its own. */
function look(file: string, sql: string): unknown[] {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    return db.prepare(sql).all();
  } finally {
    db.close();
  }
}

/** A process that owns the file; `lines` is what it says. */
function start(file: string, deed: string): { child: ChildProcess; lines: AsyncIterableIterator<string> } {
  const script = join(import.meta.dirname, "../../test/fixtures/sqlite-process.ts");
  const child = spawn(process.execPath, ["--conditions=troupe-source", script, file, deed], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, "close");
  child.kill("SIGKILL");
  await closed;
}

describe("a process that is killed", () => {
  test("S3-L04: every acknowledged commit is there after kill -9, whole, and nothing else but the one under way", async () => {
    let lastNum = 0;
    for (const rounds of [1, 40, 15]) {
      const { child, lines } = start(dataFile(), "commit");
      expect((await lines.next()).value).toBe("ready");
      for (let n = 0; n < rounds; n++) await lines.next();
      const killed = kill(child);
      let acknowledged = 0;
      for await (const line of lines) acknowledged = Number(line);
      await killed;

      const store = await open();
      const loaded = await store.load();
      expect(loaded.lastNum).toBeGreaterThanOrEqual(Math.max(acknowledged, lastNum + rounds));
      expect(loaded.lastNum).toBeLessThanOrEqual(Math.max(acknowledged, lastNum + rounds) + 1);
      lastNum = loaded.lastNum;
      const all = Array.from({ length: lastNum }, (_, i) => i + 1);
      expect(loaded.open.map(({ num }) => num)).toEqual(all);
      expect(loaded.lastSeq).toBe(lastNum);
      expect((await store.events(0, lastNum + 1)).map(({ seq }) => seq)).toEqual(all);
      expect(await store.bodies(all)).toEqual(new Map(all.map((num) => [num, { prompt: `prompt ${num}` }])));
      await store.close();
      expect(look(dataFile(), "PRAGMA integrity_check")).toEqual([{ integrity_check: "ok" }]);
    }
  });

  test("leaves its file to the next, who was refused while it lived and told its number", async () => {
    const { child, lines } = start(dataFile(), "hold");
    expect((await lines.next()).value).toBe("ready");
    const refused = await openSqliteStore(dataFile()).catch((error: unknown) => error);
    expect(refused).toSatisfy((error) => isPoolError(error, "store_locked"));
    expect((refused as Error).message).toContain(`is owned by process ${child.pid} since `);
    expect(refused).toMatchObject({ details: { file: dataFile(), pid: child.pid } });

    await kill(child);
    expect((await (await open()).load()).epoch).toBe(2);
  });
});

describe("the owner of a file", () => {
  const locked = (error: unknown): boolean => isPoolError(error, "store_locked");

  test("is one store even within a process, until that is closed", async () => {
    const store = await open();
    await expect(openSqliteStore(dataFile())).rejects.toSatisfy(locked);
    await expect(openSqliteStore(dataFile())).rejects.toThrow(`is owned by process ${process.pid} since `);
    await store.load();
    await store.close();
    expect((await (await open()).load()).epoch).toBe(2);
  });

  test("keeps the file when another was refused", async () => {
    const store = await open();
    await store.load();
    await expect(openSqliteStore(dataFile())).rejects.toSatisfy(locked);
    const { lines } = start(dataFile(), "hold");
    expect((await lines.next()).value).toBe("refused: store_locked");
    await store.commit(new CommitWriter().next());
    await expect(openSqliteStore(dataFile())).rejects.toSatisfy(locked);
  });

  test("is the same for every name of the file", async () => {
    await open();
    symlinkSync(dataFile(), join(directory, "link.db"));
    symlinkSync(join(directory, "data"), join(directory, "folder"));
    await expect(openSqliteStore(join(directory, "link.db"))).rejects.toSatisfy(locked);
    await expect(openSqliteStore(join(directory, "folder", "troupe.db"))).rejects.toSatisfy(locked);
  });

  test("is called another process when its number is not written yet", async () => {
    await open();
    writeFileSync(`${dataFile()}.owner.pid`, "");
    await expect(openSqliteStore(dataFile())).rejects.toThrow(`${dataFile()} is owned by another process`);
    rmSync(`${dataFile()}.owner.pid`);
    await expect(openSqliteStore(dataFile())).rejects.toThrow(`${dataFile()} is owned by another process`);
  });

  test("is not believed by its number: the text of a dead one holds nobody up", async () => {
    mkdirSync(join(directory, "data"));
    writeFileSync(`${dataFile()}.owner.pid`, `${process.pid} 2020-01-01T00:00:00.000Z\n`);
    expect((await (await open()).load()).epoch).toBe(1);
  });

  test("of another file is another", async () => {
    await open();
    await open(join(directory, "data", "other.db"));
  });
});

describe("a file that is not ours", () => {
  const unknown = (error: unknown): boolean => isPoolError(error, "store_unknown_version");

  /** Made by the given statements, and left behind with its log by a process that was killed. */
  const foreign = async (sql: string): Promise<void> => {
    mkdirSync(join(directory, "data"));
    const code = `new (require("node:sqlite").DatabaseSync)(process.argv[1]).exec(process.argv[2]);
      process.kill(process.pid, "SIGKILL");`;
    const child = spawn(process.execPath, ["-e", code, dataFile(), sql], { stdio: "inherit" });
    await once(child, "close");
  };
  const bytes = (): Record<string, string> => {
    const names = readdirSync(join(directory, "data")).filter((name) => /\.db(-wal|-journal)?$/.test(name));
    return Object.fromEntries(names.map((name) => [name, readFileSync(join(directory, "data", name), "base64")]));
  };

  test.each([
    ["a newer version", "PRAGMA application_id = 0x54727065; PRAGMA user_version = 2; CREATE TABLE meta (a)"],
    ["an older version", "PRAGMA application_id = 0x54727065; CREATE TABLE meta (a)"],
    ["another program's", "PRAGMA user_version = 1; CREATE TABLE meta (a)"],
    ["a database without a mark", "CREATE TABLE tasks (a)"],
    ["an empty database with another's mark", "PRAGMA application_id = 7"],
    ["a newer version in a log", "PRAGMA journal_mode = WAL; PRAGMA user_version = 9; CREATE TABLE meta (a)"],
  ])("is refused and stays as it was: %s", async (_, sql) => {
    await foreign(sql);
    const before = bytes();
    expect(Object.keys(before).length).toBeGreaterThan(0);
    await expect(openSqliteStore(dataFile())).rejects.toSatisfy(unknown);
    await expect(openSqliteStore(dataFile())).rejects.toThrow(dataFile());
    expect(bytes()).toEqual(before);
  });

  test.each([
    ["text", "this is a letter, not a database\n".repeat(100)],
    ["a little text", "xx"],
  ])("is refused and stays as it was: %s", async (_, text) => {
    mkdirSync(join(directory, "data"));
    writeFileSync(dataFile(), text);
    await expect(openSqliteStore(dataFile())).rejects.toSatisfy(unknown);
    expect(readFileSync(dataFile(), "utf8")).toBe(text);
    expect(readdirSync(join(directory, "data")).sort()).toEqual(["troupe.db", "troupe.db.owner"]);
  });

  test("does not stay owned once it was refused", async () => {
    mkdirSync(join(directory, "data"));
    writeFileSync(dataFile(), "not a database");
    await expect(openSqliteStore(dataFile())).rejects.toSatisfy(unknown);
    rmSync(dataFile());
    expect((await (await open()).load()).epoch).toBe(1);
  });

  test("says which version it has and which is known", async () => {
    await (await open()).close();
    const db = new DatabaseSync(dataFile());
    db.exec("PRAGMA user_version = 2");
    db.close();
    await expect(openSqliteStore(dataFile())).rejects.toThrow("it has version 2, this program knows version 1");
  });

  test.each([
    ["no byte", ""],
    ["no table", "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL"],
    [
      "half of what was never committed",
      `PRAGMA cache_size = 2; BEGIN; CREATE TABLE a (x); INSERT INTO a
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999) SELECT randomblob(1000) FROM n`,
    ],
  ])("but empty is taken, such as one whose making was cut short: %s", async (_, sql) => {
    if (sql === "") {
      mkdirSync(join(directory, "data"));
      writeFileSync(dataFile(), "");
    } else {
      await foreign(sql);
    }
    const store = await open();
    expect((await store.load()).epoch).toBe(1);
  });
});

describe("the place of a file", () => {
  const failedAt =
    (path: string) =>
    (error: unknown): boolean =>
      isPoolError(error, "store_failed") && error.message.includes(path);

  /** Runs without the rights of root, to whom nothing is forbidden. */
  const asNobody = async <T>(run: () => Promise<T>): Promise<T> => {
    if (process.getuid?.() !== 0) return run();
    process.seteuid?.(65_534);
    try {
      return await run();
    } finally {
      process.seteuid?.(0);
    }
  };

  test("is made when it is missing, for the owner's eyes only", async () => {
    const file = join(directory, "a", "b", "troupe.db");
    const store = await open(file);
    await store.load();
    await store.commit(new CommitWriter().next());
    expect(statSync(join(directory, "a")).mode & 0o777).toBe(0o700);
    expect(statSync(join(directory, "a", "b")).mode & 0o777).toBe(0o700);
    const names = readdirSync(join(directory, "a", "b"));
    expect(names).toEqual(expect.arrayContaining(["troupe.db", "troupe.db-wal", "troupe.db.owner"]));
    for (const name of names) expect(statSync(join(directory, "a", "b", name)).mode & 0o777, name).toBe(0o600);
  });

  test("keeps the mode of a directory that is there", async () => {
    mkdirSync(join(directory, "data"));
    chmodSync(join(directory, "data"), 0o755);
    await open();
    expect(statSync(join(directory, "data")).mode & 0o777).toBe(0o755);
  });

  test("a file that was open to others is closed to them", async () => {
    await (await open()).close();
    chmodSync(dataFile(), 0o644);
    await open();
    expect(statSync(dataFile()).mode & 0o777).toBe(0o600);
  });

  test("that can't be made is named", async () => {
    writeFileSync(join(directory, "data"), "a file, not a directory");
    await expect(openSqliteStore(dataFile())).rejects.toSatisfy(failedAt(join(directory, "data")));
  });

  test("that is a directory is named", async () => {
    mkdirSync(dataFile(), { recursive: true });
    await expect(openSqliteStore(dataFile())).rejects.toSatisfy(failedAt(dataFile()));
  });

  test("that may not be written to is named", async () => {
    mkdirSync(join(directory, "data"));
    chmodSync(join(directory, "data"), 0o555);
    chmodSync(directory, 0o755);
    await expect(asNobody(() => openSqliteStore(dataFile()))).rejects.toSatisfy(failedAt(dataFile()));
    const below = join(directory, "data", "below");
    await expect(asNobody(() => openSqliteStore(join(below, "x.db")))).rejects.toSatisfy(failedAt(below));
    chmodSync(join(directory, "data"), 0o755);
  });
});

describe("a full disk", () => {
  const MAX_BYTES = 256 * 1024;
  const full = (error: unknown): boolean => isPoolError(error, "store_full") && error.details.unknown === undefined;
  const large = (writer: CommitWriter): Commit => {
    const facts = settledTask(3);
    return writer.next({
      admitted: [anAdmission(2), { num: 3, spec: aSpec(3), body: { prompt: "x".repeat(2 * MAX_BYTES) } }],
      open: [openTask(1, { attemptCount: 9 }), openTask(2)],
      settled: [{ facts, result: "1" }],
      pools: [{ id: asPoolId("main"), record: { options: poolOptions("main"), createdAtMs: 1 } }],
    });
  };

  test("refuses a commit whole, and takes a later one that fits", async () => {
    const store = await open(dataFile(), { maxBytes: MAX_BYTES });
    await store.load();
    const writer = new CommitWriter();
    await store.commit(writer.next({ admitted: [anAdmission(1)], open: [openTask(1)] }));
    await expect(store.commit(large(writer))).rejects.toSatisfy(full);
    expect((await store.tally(asPoolId("main"))).completed).toBe(0);
    expect(await store.entry(idOf(3))).toBeUndefined();
    const small = new CommitWriter(1);
    await store.commit(small.next(ended(settledTask(4))));
    await store.close();

    const again = await open();
    expect(await again.load()).toEqual({
      epoch: 2,
      lastSeq: 2,
      lastNum: 4,
      pools: [],
      agents: [],
      gates: [],
      schedules: [],
      spending: [],
      open: [openTask(1)],
      quarantine: [],
      deadLetters: [],
      settledEpoch: 1,
    });
    expect((await again.bodies([2, 3])).size).toBe(0);
    expect((await again.history({ afterNum: 0, limit: 9 })).map(({ facts }) => facts.num)).toEqual([4]);
    await again.commit(large(new CommitWriter(2)));
    expect(await again.entry(idOf(3))).toBeDefined();
  });

  test("has room for new tasks down to its reserve, an eighth of it, and more again once pages are free", async () => {
    const maxBytes = 16 * MAX_BYTES;
    const store = await open(dataFile(), { maxBytes });
    await store.load();
    const writer = new CommitWriter();
    const room = (): number => store.room?.() ?? Number.NaN;
    const atFirst = room();
    expect(atFirst).toBeGreaterThan(maxBytes / 2);
    expect(atFirst).toBeLessThan((maxBytes * 7) / 8);
    let num = 0;
    while (room() > 0) {
      num += 1;
      await store.commit(writer.next({ admitted: [anAdmission(num, {}, { prompt: "x".repeat(20_000) })] }));
    }
    expect(room()).toBeLessThanOrEqual(0);
    // The reserve can be written to.
    expect(room()).toBeGreaterThan(-maxBytes / 16);
    await store.commit(writer.next({ admitted: [anAdmission(num + 1, {}, { prompt: "x".repeat(20_000) })] }));
    const gone = Array.from({ length: 5 }, (_, n) => ({ num: n + 1, id: idOf(n + 1) }));
    await store.commit(writer.next({ retired: gone }));
    expect(room()).toBeGreaterThan(0);
  });

  test("without a limit of its own has the room of its disk", async () => {
    const store = await open(dataFile());
    await store.load();
    const bounded = await open(join(directory, "data", "small.db"), { maxBytes: MAX_BYTES });
    expect(store.room?.()).toEqual(expect.any(Number));
    expect(bounded.room?.()).toBeLessThan(MAX_BYTES);
  });

  test("refuses again and again without harm, and takes what is left to do when there is room", async () => {
    const store = await open(dataFile(), { maxBytes: MAX_BYTES });
    await store.load();
    const filler = new CommitWriter();
    let num = 0;
    let refused: unknown;
    while (refused === undefined) {
      num += 1;
      const commit = filler.next({ admitted: [anAdmission(num, {}, { prompt: "x".repeat(10_000) })] });
      refused = await store.commit(commit)?.catch((error: unknown) => error);
    }
    expect(full(refused)).toBe(true);
    expect(num).toBeGreaterThan(5);
    const next = new CommitWriter(num - 1).next({ admitted: [anAdmission(num, {}, { prompt: "x".repeat(10_000) })] });
    for (let n = 0; n < 3; n++) await expect(store.commit(next)).rejects.toSatisfy(full);
    await store.close();
    const again = await open();
    expect(await again.load()).toMatchObject({ lastSeq: num - 1, lastNum: num - 1 });
    await again.commit(next);
    expect((await again.bodies([num])).size).toBe(1);
  });
});

describe("a commit that can't be kept", () => {
  const failed = (error: unknown): boolean =>
    isPoolError(error, "store_failed") && error.details.unknown === undefined && error.details.broken === undefined;

  test("S3-B15: leaves nothing behind when it fails in its middle, and the next one is taken", async () => {
    const store = await open();
    await store.load();
    const writer = new CommitWriter();
    await store.commit(writer.next(ended(settledTask(1))));
    const twice = writer.next({ ...ended(settledTask(2), settledTask(3, {}, { id: idOf(1) })), open: [openTask(9)] });
    await expect(store.commit(twice)).rejects.toSatisfy(failed);
    const unwritable = { ...anEvent("x"), atMs: 1n } as unknown as ReturnType<typeof anEvent>;
    await expect(
      store.commit({ ...twice, ...ended(settledTask(2)), open: [openTask(9)], events: [unwritable] }),
    ).rejects.toSatisfy(failed);
    expect(await store.entry(idOf(2))).toBeUndefined();
    expect((await store.tally(asPoolId("main"))).completed).toBe(1);
    expect((await store.load()).open).toEqual([]);
    await store.commit(new CommitWriter(1).next(ended(settledTask(2))));
    expect((await store.tally(asPoolId("main"))).completed).toBe(2);
  });

  test("while a stranger writes to the file is refused, and taken afterwards", async () => {
    const store = await open();
    await store.load();
    const stranger = new DatabaseSync(dataFile());
    try {
      stranger.exec("BEGIN IMMEDIATE");
      await expect(store.commit(new CommitWriter().next())).rejects.toSatisfy(failed);
      stranger.exec("ROLLBACK");
    } finally {
      stranger.close();
    }
    await store.commit(new CommitWriter().next());
    expect((await store.load()).lastSeq).toBe(1);
  });

  test("before the first load is refused", async () => {
    const store = await open();
    await expect(store.commit(new CommitWriter().next())).rejects.toThrow("loaded before its first commit");
  });

  test.skipIf(process.platform === "win32")(
    "after an error of the system no further commit is taken, and what was acknowledged is there",
    async () => {
      // The system refuses files above this size (in units of 512 bytes or 1 KB) with an error that is not "disk full".
      const script = join(import.meta.dirname, "../../test/fixtures/sqlite-process.ts");
      const command = 'ulimit -f 400 && exec "$0" --conditions=troupe-source "$@"';
      const child = spawn("sh", ["-c", command, process.execPath, script, dataFile(), "fill"], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      children.push(child);
      const lines: string[] = [];
      for await (const line of createInterface({ input: child.stdout })) lines.push(line);
      const acknowledged = lines.slice(1, -2).map(Number);
      expect(acknowledged.length).toBeGreaterThan(1);
      expect(JSON.parse(lines.at(-2) ?? "")).toEqual({
        code: "store_failed",
        details: { file: dataFile(), broken: true, unknown: true },
      });
      expect(JSON.parse(lines.at(-1) ?? "")).toEqual({ next: "store_failed" });

      const store = await open();
      const { open: tasks, lastNum } = await store.load();
      expect(tasks.map(({ num }) => num).slice(0, acknowledged.length)).toEqual(acknowledged);
      expect(lastNum - acknowledged.length).toBeLessThanOrEqual(1);
      await store.close();
      expect(look(dataFile(), "PRAGMA integrity_check")).toEqual([{ integrity_check: "ok" }]);
    },
  );
});

describe("the file of the SQLite store", () => {
  test("is marked, in write-ahead mode, and can be made smaller", async () => {
    await (await open()).close();
    expect(look(dataFile(), "PRAGMA application_id")).toEqual([{ application_id: 0x54727065 }]);
    expect(look(dataFile(), "PRAGMA user_version")).toEqual([{ user_version: 1 }]);
    expect(look(dataFile(), "PRAGMA auto_vacuum")).toEqual([{ auto_vacuum: 2 }]);
    expect(look(dataFile(), "PRAGMA journal_mode")).toEqual([{ journal_mode: "wal" }]);
  });

  test("outlives the process, and the store says so", async () => {
    expect((await open()).durable).toBe(true);
  });

  test("has no log and no owner's number left after it was closed", async () => {
    const store = await open();
    await store.load();
    expect(existsSync(`${dataFile()}.owner.pid`)).toBe(true);
    await store.close();
    expect(readdirSync(join(directory, "data")).sort()).toEqual(["troupe.db", "troupe.db.owner"]);
  });

  test("takes its log in once that has 16 MB, so that few commits wait for it", async () => {
    const store = await open();
    await store.load();
    const writer = new CommitWriter();
    const logBytes: number[] = [];
    for (let num = 1; num <= 24; num++) {
      await store.commit(writer.next({ admitted: [anAdmission(num, {}, { prompt: "x".repeat(1_000_000) })] }));
      logBytes.push(statSync(`${dataFile()}-wal`).size);
    }
    expect(logBytes[13]).toBeGreaterThan(14_000_000);
    expect(logBytes.at(-1)).toBeLessThan(18_000_000);
  });

  test("grows its epoch on the disk before load returns", async () => {
    const store = await open();
    await store.load();
    const copy = join(directory, "copy.db");
    // The copy is taken by a process of its own: to close the live file here would drop its locks.
    const child = spawn("cp", [dataFile(), copy]);
    await once(child, "close");
    const log = spawn("cp", [`${dataFile()}-wal`, `${copy}-wal`]);
    await once(log, "close");
    expect(look(copy, "SELECT value FROM meta WHERE key = 'epoch'")).toEqual([{ value: 1 }]);
  });

  test("can be copied when it is closed, and goes on elsewhere", async () => {
    const store = await open();
    await store.load();
    await store.commit(new CommitWriter().next(ended(settledTask(1))));
    await store.close();
    const elsewhere = join(directory, "elsewhere.db");
    cpSync(dataFile(), elsewhere);
    const copy = await open(elsewhere);
    expect(await copy.load()).toMatchObject({ epoch: 2, lastNum: 1 });
  });

  test("keeps at least as many events as its limit, and not many more", async () => {
    const store = await open(dataFile(), { events: { count: 10 } });
    await store.load();
    const writer = new CommitWriter();
    for (let n = 0; n < 10; n++) await store.commit(writer.next({ events: [anEvent("a"), anEvent("b")] }));
    expect((await store.events(0, 100)).map(({ seq }) => seq)).toEqual([11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
    await store.commit(writer.next());
    expect((await store.events(0, 100))[0]?.seq).toBe(11);
    await store.commit(writer.next());
    expect((await store.events(0, 100))[0]?.seq).toBe(13);
    expect((await store.events(5, 2)).map(({ seq }) => seq)).toEqual([13, 14]);
    expect((await store.load()).lastSeq).toBe(22);
  });

  test("events older than the age go with the next commit, those that are just as old stay, and the newest always", async () => {
    const store = await open(dataFile(), { events: { ageMs: 1_000 } });
    await store.load();
    const writer = new CommitWriter();
    for (const atMs of [0, 400, 1_000]) await store.commit({ ...writer.next(), atMs });
    const kept = async () => (await store.events(0, 100)).map(({ atMs }) => atMs);
    expect(await kept()).toEqual([0, 400, 1_000]);
    await store.commit({ ...writer.next(), atMs: 1_001 });
    expect(await kept()).toEqual([400, 1_000, 1_001]);
    await store.commit({ ...writer.next(), atMs: 1_401 });
    expect(await kept()).toEqual([1_000, 1_001, 1_401]);
    await store.close();
    const again = await open(dataFile(), { events: { ageMs: 1_000 } });
    expect((await again.load()).lastSeq).toBe(5);
    await again.commit({ ...writer.next(), atMs: 90_000 });
    expect((await again.events(0, 100)).map(({ seq }) => seq)).toEqual([6]);
  });

  test("a file of before there were schedules and spending is taken as it is", async () => {
    const store = await open();
    await store.load();
    await store.commit(new CommitWriter().next(ended(settledTask(1))));
    await store.close();
    const older = new DatabaseSync(dataFile());
    older.exec("DROP TABLE schedules; DROP TABLE spending;");
    older.close();
    expect(await (await open()).load()).toMatchObject({ lastNum: 1, schedules: [], spending: [] });
  });

  test("is not held open by a reading of events that ended early", async () => {
    const store = await open();
    await store.load();
    const writer = new CommitWriter();
    for (let n = 0; n < 5; n++) await store.commit(writer.next());
    expect(await store.events(0, 2)).toHaveLength(2);
    const stranger = new DatabaseSync(dataFile());
    try {
      expect(stranger.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get()).toMatchObject({ busy: 0 });
    } finally {
      stranger.close();
    }
  });
});
