/** A schedule as callers hand it in. */
import { z } from "zod";
import { invalid, PoolError } from "../../base/errors.ts";
import { asPoolId } from "../../base/ids.ts";
import type { Json } from "../../base/json.ts";
import type { Schedule } from "../../core/schedule.ts";
import { problemOfCron } from "../../policies/cron.ts";
import { SELECTORS } from "../../policies/selector.ts";
import { routeSchema } from "../routing.ts";
import { parseWith } from "./parse.ts";
import { taskSchema } from "./task.ts";
import { id, text } from "./words.ts";

/** UTF-16 units of a schedule's task as JSON: it is kept in memory. */
export const SCHEDULED_TASK_LIMIT = 65_536;

const { shape } = taskSchema;

/** Not who it is, nor when it is due: both would be the same each time. */
const scheduledTaskSchema = z
  .strictObject({
    type: shape.type,
    prompt: shape.prompt,
    input: shape.input,
    context: shape.context,
    metadata: shape.metadata,
    requires: shape.requires,
    priority: shape.priority,
    dependencies: shape.dependencies,
    onDependencyFailure: shape.onDependencyFailure,
    preferredAgent: shape.preferredAgent,
    fairnessKey: shape.fairnessKey,
    tenant: shape.tenant,
    budget: shape.budget,
    affinityKey: shape.affinityKey,
    maxAttempts: shape.maxAttempts,
    retryable: shape.retryable,
    timeoutMs: shape.timeoutMs,
    delayMs: shape.delayMs,
    parentId: shape.parentId,
  })
  .refine((task) => task.prompt !== undefined || task.input !== undefined, {
    path: ["prompt"],
    error: "expected a prompt or an input",
  });

export const scheduleSchema = z
  .strictObject({
    id: id.optional(),
    /** Where its tasks go; with a `selector` the pool that the selector is given. */
    pool: id.optional(),
    /** How a pool is chosen each time, as in a routed submission. */
    selector: z.enum(SELECTORS).optional(),
    allow: routeSchema.shape.allow,
    /** Five fields, six with seconds, seven with a year, or a nickname such as `@daily`. */
    cron: text(256),
    /** IANA name; UTC when absent. */
    timezone: text(64).optional(),
    task: scheduledTaskSchema,
    /** `skip`: nothing is submitted while the task before is open. */
    overlap: z.enum(["allow", "skip"]).optional(),
    paused: z.boolean().optional(),
  })
  .refine((schedule) => schedule.pool !== undefined || schedule.selector !== undefined, {
    path: ["pool"],
    error: "expected a pool or a selector",
  })
  .refine((schedule) => schedule.allow === undefined || schedule.selector !== undefined, {
    path: ["allow"],
    error: "expected a selector that it is for",
  })
  .refine((schedule) => schedule.selector !== "affinity" || schedule.pool !== undefined, {
    path: ["pool"],
    error: "affinity needs the pool it is for",
  });

export type ScheduleInput = z.input<typeof scheduleSchema>;

/**
 * @param makeId - draws the id when none is given
 * @throws PoolError `invalid` with the path of the first problem, `too_large` for its task
 */
export function resolveSchedule(
  input: unknown,
  { nowMs, makeId }: { readonly nowMs: number; readonly makeId: () => string },
): Omit<Schedule, "createdAtMs" | "nextAtMs" | "fired" | "missed"> {
  const given = parseWith(scheduleSchema, input);
  const { pool, selector, allow, cron, timezone = "UTC", overlap = "allow", paused = false } = given;
  const problem = problemOfCron({ cron, timezone }, nowMs);
  if (problem !== undefined) throw invalid(problem.path, problem.message);
  const task = JSON.parse(JSON.stringify(given.task)) as Json;
  const size = JSON.stringify(task).length;
  if (size > SCHEDULED_TASK_LIMIT) {
    throw new PoolError("too_large", `task: ${size} characters, at most ${SCHEDULED_TASK_LIMIT} are kept`, {
      details: { path: "task", size, bound: SCHEDULED_TASK_LIMIT },
    });
  }
  const where =
    selector === undefined
      ? { pool: asPoolId(pool ?? "") }
      : { route: JSON.parse(JSON.stringify({ selector, allow, pool })) as { [name: string]: Json } };
  return { id: given.id ?? makeId(), ...where, cron, timezone, task, overlap, paused };
}
