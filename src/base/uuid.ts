/**
 * Sixteen random bytes as the text of a UUID.
 *
 * Its characters are written one by one and become a string all at once, because the text is kept for as long as its
 * task: what `crypto.randomUUID` gives is a chain of twenty small pieces, 490 bytes that never become one string; this
 * is 56, in half the time that a buffer takes to become one (`npm run bench:units`).
 */

/** Where the two digits of each byte begin. */
const PLACES = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34] as const;
/** The bytes before this one are the time, where there is one. */
const TIMED = 6;

const codesOf = (text: string): number[] => Array.from(text, (character) => character.charCodeAt(0));

const DIGITS = codesOf("0123456789abcdef");
const BLANK = "00000000-0000-0000-0000-000000000000";
const untimed = codesOf(BLANK);
const timed = codesOf(BLANK);
/** What stands in `timed`: most ids are of the same time as the one before. */
let timedAtMs = 0;

/** Version 4, variant 1: 122 of the 128 bits from `at` on are kept. */
export function uuidOf(bytes: Uint8Array, at: number): string {
  for (let n = 0; n < TIMED; n++) write(untimed, n, bytes[at + n] as number);
  writeMarked(untimed, bytes, at, 0x40);
  return String.fromCharCode(...untimed);
}

/**
 * Version 7: begins with the time in milliseconds, then 74 random bits. What is made at one time stands in one place of
 * an index, where random ids would touch a page each.
 */
export function timedUuidOf(bytes: Uint8Array, at: number, atMs: number): string {
  if (atMs !== timedAtMs) writeTime(atMs);
  writeMarked(timed, bytes, at, 0x70);
  return String.fromCharCode(...timed);
}

function writeTime(atMs: number): void {
  timedAtMs = atMs;
  let left = Math.floor(atMs);
  for (let n = TIMED - 1; n >= 0; n--) {
    write(timed, n, left % 256);
    left = Math.floor(left / 256);
  }
}

/** All but the time, with version and variant where they belong. */
function writeMarked(codes: number[], bytes: Uint8Array, at: number, version: number): void {
  write(codes, 6, ((bytes[at + 6] as number) & 0x0f) | version);
  write(codes, 7, bytes[at + 7] as number);
  write(codes, 8, ((bytes[at + 8] as number) & 0x3f) | 0x80);
  for (let n = 9; n < PLACES.length; n++) write(codes, n, bytes[at + n] as number);
}

function write(codes: number[], n: number, byte: number): void {
  const place = PLACES[n] as number;
  codes[place] = DIGITS[byte >> 4] as number;
  codes[place + 1] = DIGITS[byte & 15] as number;
}
