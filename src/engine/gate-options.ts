/** What an operator may say of a gate, and its defaults. */
import { z } from "zod";
import { invalid } from "../base/errors.ts";
import { ID_PATTERN } from "../base/ids.ts";
import type { Command } from "../core/command.ts";
import { parseWith } from "./options/parse.ts";
import { label } from "./options/words.ts";

/** 30 days, as for every duration an option may have. */
const LONGEST_MS = 30 * 24 * 3_600_000;
/** As agents are asked: every 10 s, an answer within 2 s. */
export const GATE_PROBE_DEFAULTS = { intervalMs: 10_000, timeoutMs: 2_000 };

const url = z
  .string()
  .max(2_048)
  .refine((text) => /^https?:$/.test(URL.parse(text)?.protocol ?? ""), "expected an http or https URL");

export const gateSchema = z.strictObject({
  /** False closes it: the types that it holds wait. */
  available: z.boolean(),
  /** Absent: as it was; a new gate holds nothing. */
  holds: z.array(label).max(1_000).optional(),
  /** Polled by the engine; any 2xx opens the gate, everything else closes it. Null takes the known one away. */
  probe: z
    .union([
      url,
      z.strictObject({
        url,
        intervalMs: z.int().min(10).max(LONGEST_MS).optional(),
        timeoutMs: z.int().min(1).max(LONGEST_MS).optional(),
      }),
    ])
    .nullable()
    .optional(),
});

export type GateInput = z.input<typeof gateSchema>;

/** @throws PoolError `invalid` with the path of the first problem */
export function resolveGate(name: string, input: unknown): Omit<Extract<Command, { type: "set_gate" }>, "type"> {
  if (!ID_PATTERN.test(name)) throw invalid("name", "expected 1 to 128 letters, digits, '.', '_' or '-'");
  const { available, holds, probe } = parseWith(gateSchema, input);
  return { name, available, holds: holds && [...new Set(holds)], probe: probe == null ? probe : probeOf(probe) };
}

function probeOf(probe: NonNullable<z.output<typeof gateSchema>["probe"]>) {
  const given = typeof probe === "string" ? { url: probe } : probe;
  const { url, intervalMs = GATE_PROBE_DEFAULTS.intervalMs, timeoutMs = GATE_PROBE_DEFAULTS.timeoutMs } = given;
  return { url, intervalMs, timeoutMs };
}
