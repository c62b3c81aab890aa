/** The only file with entropy; and the seeded generator that replaces it where runs must repeat. */
import { randomBytes, randomFillSync } from "node:crypto";
import { timedUuidOf, uuidOf } from "./uuid.ts";

export interface Random {
  /** In [0, 1). */
  next(): number;
}

/** An integer in [0, bound). */
export function below(random: Random, bound: number): number {
  return Math.floor(random.next() * bound);
}

/**
 * A generator that gives the same sequence for the same seed.
 *
 * @see "sfc32", Chris Doty-Humphrey, PractRand
 */
export function createRandom(seed: number): Random {
  let a = 0x9e3779b9;
  let b = 0x243f6a88;
  let c = seed | 0;
  let counter = 1;
  const next = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    c |= 0;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 12; i++) next();
  return { next };
}

/** Seeded anew at each start. */
export function createSystemRandom(): Random {
  return createRandom(randomBytes(4).readInt32LE());
}

/** Where ids and secrets come from. */
export interface Entropy {
  /** 128 random bits, as a UUID. */
  uuid(): string;
  /** As `uuid`, with the time in front: 74 random bits, and later ones come later in an index. */
  timedUuid(atMs: number): string;
  /** `count` lower-case hex digits. */
  hex(count: number): string;
  /** 256 random bits, URL-safe. */
  secret(): string;
}

/** Random bytes for the next 4,096 ids: drawing costs more than what is drawn, as it begins in cold code. */
const pool = new Uint8Array(65_536);
let used = pool.length;

/** Where the next sixteen of them begin. */
function drawn(): number {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += 16;
  return used - 16;
}

export const systemEntropy: Entropy = {
  uuid: () => uuidOf(pool, drawn()),
  timedUuid: (atMs) => timedUuidOf(pool, drawn(), atMs),
  hex: (count) =>
    randomBytes(Math.ceil(count / 2))
      .toString("hex")
      .slice(0, count),
  secret: () => randomBytes(32).toString("base64url"),
};

/** Repeatable ids for simulations. */
export function seededEntropy(random: Random): Entropy {
  const hex = (count: number): string => {
    let digits = "";
    while (digits.length < count) digits += below(random, 16).toString(16);
    return digits;
  };
  return { uuid: () => hex(32), timedUuid: () => hex(32), hex, secret: () => hex(43) };
}
