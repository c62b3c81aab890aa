import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isPoolError } from "../base/errors.ts";
import { openStore } from "./open.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "troupe-open-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const dataDir = (): string => join(directory, "data");

describe("a store's URL", () => {
  test("S0-L06 memory: makes no file", async () => {
    const store = await openStore("memory:", { dataDir: dataDir() });
    expect((await store.load()).epoch).toBe(1);
    await store.close();
    expect(readdirSync(directory)).toEqual([]);
  });

  test.each([
    ["sqlite:", "data/troupe.db"],
    ["sqlite:./x.db", "data/x.db"],
    ["sqlite:x.db", "data/x.db"],
    ["sqlite:deep/er/x.db", "data/deep/er/x.db"],
    ["sqlite:../beside.db", "beside.db"],
    ["sqlite::memory:", "data/:memory:"],
    ["sqlite:file:x.db?mode=memory", "data/file:x.db?mode=memory"],
  ])("%s is the file %s", async (url, file) => {
    const store = await openStore(url, { dataDir: dataDir() });
    await store.load();
    await store.close();
    expect(existsSync(join(directory, file))).toBe(true);
    const again = await openStore(url, { dataDir: dataDir() });
    expect((await again.load()).epoch).toBe(2);
    await again.close();
  });

  test.each(["sqlite:", "sqlite://"])("%s before an absolute path is that file", async (scheme) => {
    const file = join(directory, "elsewhere", "x.db");
    const store = await openStore(`${scheme}${file}`, { dataDir: dataDir() });
    await store.close();
    expect(existsSync(file)).toBe(true);
    expect(existsSync(dataDir())).toBe(false);
  });

  test.each([
    "",
    ":",
    "troupe.db",
    "./troupe.db",
    "memory",
    "memory:x",
    "Memory:",
    "SQLITE:",
    "sqlite",
    "sqlite://x.db",
    "file:x.db",
  ])("%j is refused, naming what is known", async (url) => {
    const refused = await openStore(url, { dataDir: dataDir() }).catch((error: unknown) => error);
    expect(refused).toSatisfy((error) => isPoolError(error, "config_invalid"));
    expect((refused as Error).message).toContain("expected memory:, sqlite: or sqlite:./file.db");
    expect(refused).toMatchObject({ details: { path: "store" } });
    expect(existsSync(dataDir())).toBe(false);
  });

  test("a refused one is not repeated, for it may hold a password", async () => {
    const refused = await openStore("redis://user:hunter2@host:6379", { dataDir: dataDir() }).catch(
      (error: unknown) => error,
    );
    expect((refused as Error).message).toContain("got redis:…");
    expect((refused as Error).message).not.toContain("hunter2");
  });
});
