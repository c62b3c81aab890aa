/** How many agents a pool has, may have, and when it grows and shrinks by itself. */
import { z } from "zod";
import type { SizeOptions } from "../../core/pool.ts";
import { AUTOSCALE_DEFAULTS, type AutoscaleOptions } from "../../policies/autoscale.ts";
import { check, given } from "./parse.ts";
import { count, duration } from "./words.ts";

export const sizeSchema = z.strictObject({
  min: count(1, 10_000).optional(),
  default: count(1, 10_000).optional(),
  max: count(1, 10_000).optional(),
});

export const autoscaleSchema = z.strictObject({
  targetWaitMs: duration(1).optional(),
  targetPerAgent: z.number().gt(0).max(1_000_000).optional(),
  cooldownMs: duration(1).optional(),
});

type SizeInput = z.output<typeof sizeSchema>;

const SIZE_DEFAULTS: SizeOptions = { min: 1, default: 4, max: 16 };

/**
 * Whoever says one number of the three means it: the others give way.
 *
 * @param preset - what the preset says of the size
 * @param most - what the server allows for agents of this kind
 */
export function resolveSize(
  input: SizeInput = {},
  { preset, most }: { preset: SizeInput | undefined; most: number },
): SizeOptions {
  const usual = { ...SIZE_DEFAULTS, ...given(preset) };
  const max = input.max ?? Math.max(Math.min(usual.max, most), input.min ?? 0, input.default ?? 0);
  check(max <= most, "size.max", `${max} processes, at most ${most} are allowed`);
  const min = input.min ?? Math.min(usual.min, input.default ?? max, max);
  check(min <= max, "size.min", `expected at most size.max (${max})`);
  const start = input.default ?? Math.min(max, Math.max(min, usual.default));
  check(min <= start && start <= max, "size.default", `expected ${min} to ${max}`);
  return { min, default: start, max };
}

/** A pool keeps its size unless it is asked to follow its load. */
export function resolveAutoscale(
  input: z.output<typeof autoscaleSchema> | false | undefined,
): AutoscaleOptions | false {
  return input === undefined || input === false ? false : { ...AUTOSCALE_DEFAULTS, ...given(input) };
}
