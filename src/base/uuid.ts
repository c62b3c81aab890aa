/**
 * Sixteen random bytes as the text of a UUID.
 *
 * Written byte by byte into one buffer, because the text is kept for as long as its task: what `crypto.randomUUID`
 * gives is a chain of twenty small pieces, 490 bytes that never become one string; this is 65 (`npm run bench:units`).
 */
import { Buffer } from "node:buffer";

const DIGITS = Buffer.from("0123456789abcdef", "latin1");
const HYPHEN = 0x2d;
const text = Buffer.allocUnsafeSlow(36);

/** Version 4, variant 1: 122 of the 128 bits from `at` on are kept. */
export function uuidOf(bytes: Uint8Array, at: number): string {
  return written(bytes, at, 0x40);
}

/**
 * Version 7: begins with the time in milliseconds, then 74 random bits. What is made at one time stands in one place of
 * an index, where random ids would touch a page each. Overwrites six of the bytes.
 */
export function timedUuidOf(bytes: Uint8Array, at: number, atMs: number): string {
  let left = Math.floor(atMs);
  for (let n = 5; n >= 0; n--) {
    bytes[at + n] = left % 256;
    left = Math.floor(left / 256);
  }
  return written(bytes, at, 0x70);
}

function written(bytes: Uint8Array, at: number, version: number): string {
  let place = 0;
  for (let n = 0; n < 16; n++) {
    if (n === 4 || n === 6 || n === 8 || n === 10) text[place++] = HYPHEN;
    const byte = marked(n, bytes[at + n] as number, version);
    text[place++] = DIGITS[byte >> 4] as number;
    text[place++] = DIGITS[byte & 15] as number;
  }
  return text.toString("latin1");
}

function marked(n: number, byte: number, version: number): number {
  if (n === 6) return (byte & 0x0f) | version;
  return n === 8 ? (byte & 0x3f) | 0x80 : byte;
}
