import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isPoolError } from "../../base/errors.ts";
import { type Entropy, systemEntropy } from "../../base/random.ts";
import { CliError } from "./cli-error.ts";
import { ensureKey, keyFileOf, readKey } from "./key-file.ts";

let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "troupe-key-"));
  file = keyFileOf(directory);
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

const modeOf = (path: string): number => statSync(path).mode & 0o777;

test("a key of 256 bits is made once and kept, for its owner only", () => {
  const key = ensureKey(file, systemEntropy);
  expect(Buffer.from(key, "base64url")).toHaveLength(32);
  expect(modeOf(file)).toBe(0o600);
  expect(ensureKey(file, systemEntropy)).toBe(key);
  expect(readKey(file)).toBe(key);
  expect(readdirSync(directory)).toEqual(["key"]);
});

test("two keys are not the same", () => {
  const other = join(directory, "other");
  expect(ensureKey(file, systemEntropy)).not.toBe(ensureKey(other, systemEntropy));
});

test("a key that another start made meanwhile is not written over", () => {
  const theirs = "x".repeat(43);
  const entropy: Entropy = {
    ...systemEntropy,
    hex: (count) => {
      writeFileSync(file, theirs);
      return systemEntropy.hex(count);
    },
  };
  expect(ensureKey(file, entropy)).toBe(theirs);
  expect(readdirSync(directory)).toEqual(["key"]);
});

test("a key file that others may read is closed to them", () => {
  writeFileSync(file, `${"k".repeat(32)}\n`);
  chmodSync(file, 0o644);
  expect(ensureKey(file, systemEntropy)).toBe("k".repeat(32));
  expect(modeOf(file)).toBe(0o600);
});

test.each(["", "\n", "k".repeat(31), `${"k".repeat(32)} ${"k".repeat(32)}`, "ü".repeat(40)])(
  "a file that holds %o is no key, and stays",
  (text) => {
    writeFileSync(file, text);
    expect(() => ensureKey(file, systemEntropy)).toThrow(/does not hold a key/);
    expect(readFileSync(file, "utf8")).toBe(text);
  },
);

test("without a file there is no key", () => {
  expect(readKey(file)).toBeUndefined();
  expect(readKey(join(file, "below"))).toBeUndefined();
});

test("a key that can't be written is an error of the data directory", () => {
  const gone = join(directory, "gone", "key");
  expect(() => ensureKey(gone, systemEntropy)).toThrow(CliError);
  expect(existsSync(gone)).toBe(false);
});

test("a key file that is a directory is refused", () => {
  let thrown: unknown;
  try {
    readKey(directory);
  } catch (error) {
    thrown = error;
  }
  expect(isPoolError(thrown, "forbidden")).toBe(true);
});
