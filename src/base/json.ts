/** JSON values and their size-bounded text. */
import { PoolError } from "./errors.ts";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export interface EncodeLimit {
  /** UTF-8 bytes. */
  readonly limitBytes: number;
  /** Which field is meant, for the message. */
  readonly path: string;
}

/** JSON text of a value; refuses what JSON can't hold (`invalid`) and what is too large (`too_large`). */
export function encodeJson(value: unknown, { limitBytes, path }: EncodeLimit): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw new PoolError("invalid", `${path}: expected a value that JSON can hold`, { cause, details: { path } });
  }
  if (text === undefined) {
    throw new PoolError("invalid", `${path}: expected a value that JSON can hold, got ${typeof value}`, {
      details: { path },
    });
  }
  // A UTF-16 unit is at most three bytes of UTF-8, so short texts need no counting.
  if (text.length * 3 > limitBytes) {
    const bytes = utf8Bytes(text);
    if (bytes > limitBytes) {
      throw new PoolError("too_large", `${path}: ${bytes} bytes, at most ${limitBytes} are taken`, {
        details: { path, bytes, limitBytes },
      });
    }
  }
  return text;
}

/** The value of a text that `encodeJson` has made: of a string without escapes, which most are, without a parser. */
export function decodeJson(text: string): unknown {
  return text.startsWith('"') && !text.includes("\\") ? text.slice(1, -1) : JSON.parse(text);
}

const encoder = new TextEncoder();

export function utf8Bytes(text: string): number {
  return encoder.encode(text).byteLength;
}
