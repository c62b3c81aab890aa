import { expect, test } from "vitest";
import { systemEntropy } from "./random.ts";
import { timedUuidOf, uuidOf } from "./uuid.ts";

test("sixteen bytes become a version 4 UUID, in their order", () => {
  const bytes = Uint8Array.from({ length: 20 }, (_, n) => 0x10 * (n % 16) + n);
  expect(uuidOf(bytes, 0)).toBe("00112233-4455-4677-8899-aabbccddeeff");
  expect(uuidOf(bytes, 4)).toBe("44556677-8899-4abb-8cdd-eeff10213243");
});

test("version and variant stand where they belong, whatever the bytes", () => {
  for (const filler of [0x00, 0xff]) {
    expect(uuidOf(new Uint8Array(16).fill(filler), 0)).toMatch(/^[0f]{8}-[0f]{4}-4[0f]{3}-[8b][0f]{3}-[0f]{12}$/);
  }
});

test("a version 7 UUID begins with its time, so that texts stand in the order of their times", () => {
  const random = (): Uint8Array => Uint8Array.from({ length: 16 }, (_, n) => 0x11 * n);
  expect(timedUuidOf(random(), 0, 0x0123456789ab)).toBe("01234567-89ab-7677-8899-aabbccddeeff");
  const times = [0, 1, 255, 256, 1_795_000_000_000.7, 1_795_000_000_001];
  const ids = times.map((atMs) => timedUuidOf(new Uint8Array(16).fill(0xff), 0, atMs));
  expect([...ids].sort()).toEqual(ids);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7fff-bfff-f{12}$/);
});

test("ids of one time begin alike, also with ids of another kind in between", () => {
  const bytes = Uint8Array.from({ length: 32 }, (_, n) => n);
  const ids = [5, 5, 7, 5].map((atMs, n) => {
    uuidOf(bytes, 0);
    return timedUuidOf(bytes, n, atMs);
  });
  expect(ids).toEqual([
    "00000000-0005-7607-8809-0a0b0c0d0e0f",
    "00000000-0005-7708-890a-0b0c0d0e0f10",
    "00000000-0007-7809-8a0b-0c0d0e0f1011",
    "00000000-0005-790a-8b0c-0d0e0f101112",
  ]);
});

test("ids of this process are all different, also over several fillings of the pool of random bytes", () => {
  const ids = new Set(Array.from({ length: 5_000 }, () => systemEntropy.uuid()));
  expect(ids.size).toBe(5_000);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
