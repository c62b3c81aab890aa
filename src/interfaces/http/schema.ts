/** What requests may hold, where the engine has no schema of its own. */
import { z } from "zod";
import { ID_PATTERN } from "../../base/ids.ts";
import { AGENT_KINDS } from "../../core/agent.ts";
import { agentSchema, isolationFields } from "../../engine/options/agent.ts";
import { label } from "../../engine/options/words.ts";
import { TASK_STATUSES } from "../../engine/view.ts";

/** 60 s: how long a request may wait. */
export const LONGEST_WAIT_MS = 60_000;
const PAGE = { default: 100, limit: 1_000 };
/** Attempts one heartbeat may name. */
const HEARTBEAT_LIMIT = 10_000;
/** 30 days, as for every duration an option may have. */
const LONGEST_MS = 30 * 24 * 3_600_000;

const digits = z.string().regex(/^\d+$/, "expected a whole number").transform(Number);
const digitsTo = (max: number) => digits.refine((value) => value <= max, `expected 0 to ${max}`);
const name = z.string().min(1).max(128);
const id = z.string().regex(ID_PATTERN, "expected 1 to 128 letters, digits, '.', '_' or '-'");
const jsonObject = z.record(z.string(), z.json());
const fence = z.int().min(0);

const paging = {
  limit: digits
    .refine((limit) => limit >= 1, `expected 1 to ${PAGE.limit}`)
    .transform((limit) => Math.min(limit, PAGE.limit))
    .default(PAGE.default),
  cursor: z.string().min(1).max(4_096).optional(),
};

export const poolQuery = z.strictObject({ pool: z.string().optional() });
export const pageQuery = z.strictObject(paging);
export const deletePoolQuery = z.strictObject({ timeoutMs: digitsTo(LONGEST_MS).optional() });
export const waitQuery = z.strictObject({ waitMs: digitsTo(LONGEST_WAIT_MS).default(0) });
export const deadLetterQuery = z.strictObject({ pool: z.string().optional(), ...paging });
export const taskQuery = z.strictObject({
  pool: z.string().optional(),
  status: z.enum(TASK_STATUSES).optional(),
  type: z.string().optional(),
  ...paging,
});

export const batchBody = z.strictObject({
  /** Each is checked by the engine, as a task that comes alone. */
  tasks: z.array(z.unknown()),
  partial: z.boolean().optional(),
});

export const cancelBody = z.strictObject({ reason: z.string().max(10_000).optional() });
export const replayBody = z.strictObject({ edit: z.record(z.string(), z.unknown()).optional() });

/** For routes whose path says it all. */
export const emptyBody = z.strictObject({});

export const pauseBody = z.strictObject({ paused: z.boolean() });

export const failAgentBody = z.strictObject({ reason: z.string().max(10_000).optional() });

/** Agents of other kinds are checked by the engine, as entries of a pool's `agents`. */
export const kindBody = z.looseObject({ kind: z.enum(AGENT_KINDS) });

export const joinBody = z.strictObject({
  kind: z.literal("remote"),
  name: name.optional(),
  id: id.optional(),
  replace: z.boolean().optional(),
  capabilities: z.array(name).max(1_000).optional(),
  concurrency: z.int().min(1).max(100_000).optional(),
  weight: z.number().min(0).max(1_000_000).optional(),
  priority: z.int().min(-1_000_000).max(1_000_000).optional(),
  metadata: jsonObject.optional(),
  rate: agentSchema.shape.rate,
  ...isolationFields,
});

export const stopQuery = z.strictObject({ timeoutMs: digitsTo(LONGEST_MS).optional() });
export const logQuery = z.strictObject({ after: digitsTo(Number.MAX_SAFE_INTEGER).optional() });
export const capabilityBody = z.strictObject({ capability: name });

export const claimBody = z.strictObject({
  /** The engine knows the bounds of both. */
  max: z.int().default(1),
  waitMs: z.int().default(0),
  /** Absent: any type; empty: none. */
  types: z.array(label).max(1_000).optional(),
});

export const heartbeatBody = z.strictObject({
  attempts: z.array(z.strictObject({ taskId: id, fence })).max(HEARTBEAT_LIMIT),
  health: z.enum(["healthy", "degraded", "unhealthy"]).optional(),
});

export const progressBody = z.strictObject({ fence, progress: z.json() });

export const completeBody = z.strictObject({
  fence,
  /** Absent is null. */
  result: z.json().default(null),
  usage: z
    .strictObject({ tokens: z.number().min(0).exactOptional(), costUsd: z.number().min(0).exactOptional() })
    .optional(),
});

export const failBody = z.strictObject({
  fence,
  error: z.strictObject({
    message: z.string().max(65_536),
    code: z.string().min(1).max(128).optional(),
    blame: z.enum(["agent", "task", "throttle", "dependency", "unknown"]).optional(),
    retryable: z.boolean().optional(),
    retryAfterMs: z.int().min(0).max(LONGEST_MS).optional(),
    details: z.json().optional(),
  }),
});

export const releaseBody = z.strictObject({ fence });
