/** What only a task's agent reads: packed when it is handed in, opened when somebody looks. */
import { PoolError } from "../base/errors.ts";
import { encodeJson, utf8Bytes } from "../base/json.ts";
import type { TaskBody, TaskBodyRest } from "../core/task.ts";

/** All that a task brings along. Bytes of UTF-8. */
export const TASK_LIMIT_BYTES = 1_048_576;

/** @throws PoolError `too_large` */
export function bodyOf({
  prompt,
  input,
  context,
  metadata,
}: TaskBodyRest & { readonly prompt?: string | undefined }): TaskBody {
  const hasRest = input !== undefined || context !== undefined || metadata !== undefined;
  const rest = hasRest
    ? encodeJson({ input, context, metadata }, { limitBytes: TASK_LIMIT_BYTES, path: "input" })
    : undefined;
  const size = (prompt?.length ?? 0) + (rest?.length ?? 0);
  // Only what may be too large is counted in bytes.
  if (size * 3 > TASK_LIMIT_BYTES) {
    const bytes = utf8Bytes(prompt ?? "") + utf8Bytes(rest ?? "");
    if (bytes > TASK_LIMIT_BYTES) {
      throw new PoolError("too_large", `the task is ${bytes} bytes, at most ${TASK_LIMIT_BYTES} are taken`, {
        details: { path: prompt === undefined ? "input" : "prompt", bytes, limitBytes: TASK_LIMIT_BYTES },
      });
    }
  }
  return { prompt, rest };
}

export function restOf(body: TaskBody): TaskBodyRest {
  return body.rest === undefined ? {} : (JSON.parse(body.rest) as TaskBodyRest);
}
