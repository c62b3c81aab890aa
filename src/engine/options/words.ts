/** The words that all options are made of: how long an id may be, how far a duration may go. */
import { z } from "zod";
import { ID_PATTERN } from "../../base/ids.ts";

/** 30 days: nothing that is bounded by a duration may wait longer. */
export const LONGEST_MS = 30 * 24 * 3_600_000;

/** 10 min: a submission that waits for room is kept in memory, and holds what was looked up for it. */
export const LONGEST_HOLD_MS = 600_000;

/** 10 years of settled tasks. */
export const LONGEST_KEPT_MS = 3_650 * 24 * 3_600_000;

/** Entries a list in a request may have. */
export const LONGEST_LIST = 10_000;

export const id = z.string().regex(ID_PATTERN, "expected 1 to 128 letters, digits, '.', '_' or '-'");

export const name = z.string().min(1).max(128);

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused.
export const LABEL_PATTERN = /^[^\u0000-\u001f\u007f]{1,128}$/;

/** Of a type of work, or of what an agent must be able to do: any words, on one line. */
export const label = z.string().regex(LABEL_PATTERN, "expected 1 to 128 characters, no control characters");

export const text = (max: number) => z.string().max(max);

export const count = (min: number, max: number) => z.int().min(min).max(max);

export const duration = (minMs: number) => z.int().min(minMs).max(LONGEST_MS);

export const share = z.number().min(0).max(1);

export const instant = z.iso.datetime({ offset: true });

export const jsonObject = z.record(z.string(), z.json());

/** Nobody is served with weight 0, so there is none. */
export const weight = z.int().min(1).max(1_000_000);

export const jitter = z.enum(["full", "equal", "none"]);
