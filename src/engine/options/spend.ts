/** Limits of what may be spent. */
import { z } from "zod";
import { count, duration, LONGEST_KEPT_MS } from "./words.ts";

const limits = {
  tokens: count(1, Number.MAX_SAFE_INTEGER).optional(),
  costUsd: z.number().positive().max(1_000_000_000).optional(),
  /** Running time of all attempts together. */
  wallMs: z.int().min(1).max(LONGEST_KEPT_MS).optional(),
};

const namesOne = ({ tokens, costUsd, wallMs }: { tokens?: unknown; costUsd?: unknown; wallMs?: unknown }): boolean =>
  tokens !== undefined || costUsd !== undefined || wallMs !== undefined;
const ONE = { error: "expected tokens, costUsd or wallMs" };

/** Of one task. */
export const budgetSchema = z.strictObject(limits).refine(namesOne, ONE);

/** Of a pool or a tenant, in each window of `perMs`. */
export const spendSchema = z.strictObject({ ...limits, perMs: duration(1) }).refine(namesOne, ONE);
