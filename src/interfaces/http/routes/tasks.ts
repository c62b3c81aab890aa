/** Tasks: submitted, waited for, listed, cancelled, replayed; and what agents report of them. */

import { invalid } from "../../../base/errors.ts";
import { parseWith } from "../../../engine/options/parse.ts";
import type { EditInput, TaskInput } from "../../../engine/options/task.ts";
import type { RouteOptions } from "../../../engine/routing.ts";
import type { TaskView } from "../../../engine/view.ts";
import { BATCH_LIMIT_BYTES, RESULT_LIMIT_BYTES, readBody } from "../body.ts";
import type { App, Doors } from "../context.ts";
import { problemOf } from "../problem.ts";
import { noQuery, readQuery } from "../query.ts";
import {
  batchBody,
  cancelBody,
  completeBody,
  deadLetterQuery,
  failBody,
  progressBody,
  releaseBody,
  replayBody,
  taskQuery,
  waitQuery,
} from "../schema.ts";
import { waiting } from "../wait.ts";

export function addTaskRoutes(app: App, doors: Doors): void {
  addSubmitRoutes(app, doors);
  addReadRoutes(app, doors);
  addReportRoutes(app, doors);
}

function addSubmitRoutes(app: App, { engine, closing }: Doors): void {
  app.post("/v1/pools/:pool/tasks", async (c) => {
    const { waitMs } = readQuery(c, waitQuery);
    const body = await readBody(c);
    // The engine checks it with the schema that every door shares.
    const { task, created } = await waiting(c, closing, (signal) =>
      engine.submit(c.req.param("pool"), body as TaskInput, { signal }),
    );
    const shown =
      waitMs === 0 || isFinal(task)
        ? task
        : await waiting(c, closing, (signal) => engine.waitFor(task.id, { waitMs, signal }));
    const settledMeanwhile = waitMs > 0 && isFinal(shown);
    return c.json(shown, created && !settledMeanwhile ? 201 : 200, { location: `/v1/tasks/${task.id}` });
  });

  app.post("/v1/tasks", noQuery, async (c) => {
    const body = await readBody(c);
    if (typeof body !== "object" || body === null || Array.isArray(body)) throw invalid("", "expected an object");
    // The engine checks both parts with the schemas that every door shares.
    const { selector, allow, pool, ...task } = body as Record<string, unknown>;
    const { created, ...routed } = await engine.route(task as TaskInput, { selector, allow, pool } as RouteOptions);
    return c.json(routed, created ? 201 : 200, { location: `/v1/tasks/${routed.task.id}` });
  });

  app.post("/v1/pools/:pool/tasks/batch", noQuery, async (c) => {
    const { tasks, partial } = parseWith(batchBody, await readBody(c, { limitBytes: BATCH_LIMIT_BYTES }));
    const results = await waiting(c, closing, (signal) =>
      engine.submitBatch(c.req.param("pool"), tasks as TaskInput[], { partial, signal }),
    );
    const items = results.map((result) => ("task" in result ? result.task : { error: problemOf(result.error) }));
    return c.json({ items }, 201);
  });
}

function addReadRoutes(app: App, { engine, closing }: Doors): void {
  app.get("/v1/tasks", async (c) => c.json(await engine.tasks(readQuery(c, taskQuery))));

  app.get("/v1/dead-letters", async (c) => {
    return c.json(await engine.tasks({ ...readQuery(c, deadLetterQuery), deadLettered: true }));
  });

  app.get("/v1/tasks/:id", async (c) => {
    const { waitMs } = readQuery(c, waitQuery);
    const id = c.req.param("id");
    if (waitMs === 0) return c.json(await engine.task(id));
    return c.json(await waiting(c, closing, (signal) => engine.waitFor(id, { waitMs, signal })));
  });

  app.get("/v1/tasks/:id/explain", noQuery, async (c) => c.json(await engine.explain(c.req.param("id"))));

  app.post("/v1/tasks/:id/cancel", noQuery, async (c) => {
    const { reason } = parseWith(cancelBody, await readBody(c, { optional: true }));
    return c.json(await engine.cancel(c.req.param("id"), reason));
  });

  app.post("/v1/tasks/:id/replay", noQuery, async (c) => {
    const { edit } = parseWith(replayBody, await readBody(c, { optional: true }));
    // The engine checks it, as it does a submission.
    return c.json(await engine.replay(c.req.param("id"), edit as EditInput | undefined));
  });

  app.delete("/v1/dead-letters/:id", noQuery, async (c) => c.json(await engine.discard(c.req.param("id"))));
}

function addReportRoutes(app: App, { engine }: Doors): void {
  app.post("/v1/tasks/:id/progress", noQuery, async (c) => {
    const { fence, progress } = parseWith(progressBody, await readBody(c));
    await engine.progress(c.req.param("id"), fence, progress);
    return c.json({});
  });

  app.post("/v1/tasks/:id/complete", noQuery, async (c) => {
    const { fence, result, usage } = parseWith(completeBody, await readBody(c, { limitBytes: RESULT_LIMIT_BYTES }));
    return c.json(await engine.complete(c.req.param("id"), fence, result, usage));
  });

  app.post("/v1/tasks/:id/fail", noQuery, async (c) => {
    const { fence, error } = parseWith(failBody, await readBody(c));
    return c.json(await engine.fail(c.req.param("id"), fence, error));
  });

  app.post("/v1/tasks/:id/release", noQuery, async (c) => {
    const { fence } = parseWith(releaseBody, await readBody(c));
    return c.json(await engine.release(c.req.param("id"), fence));
  });
}

function isFinal(task: Pick<TaskView, "status">): boolean {
  return task.status === "completed" || task.status === "failed" || task.status === "cancelled";
}
