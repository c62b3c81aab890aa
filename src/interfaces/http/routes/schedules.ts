/** Schedules: made, shown, paused, deleted. */

import { parseWith } from "../../../engine/options/parse.ts";
import type { ScheduleInput } from "../../../engine/options/schedule.ts";
import { readBody } from "../body.ts";
import type { App, Doors } from "../context.ts";
import { pageOf } from "../page.ts";
import { noQuery, readQuery } from "../query.ts";
import { pageQuery, pauseBody } from "../schema.ts";

export function addScheduleRoutes(app: App, { engine }: Doors): void {
  app.get("/v1/schedules", (c) => {
    const request = readQuery(c, pageQuery);
    return c.json(pageOf(engine.schedules(), ({ createdAt, id }) => [createdAt, id], request));
  });

  app.post("/v1/schedules", noQuery, async (c) => {
    const body = await readBody(c);
    // The engine checks it with the schema that every door shares.
    const schedule = await engine.createSchedule(body as ScheduleInput);
    return c.json(schedule, 201, { location: `/v1/schedules/${schedule.id}` });
  });

  app.get("/v1/schedules/:id", noQuery, (c) => c.json(engine.schedule(c.req.param("id"))));

  app.post("/v1/schedules/:id", noQuery, async (c) => {
    const { paused } = parseWith(pauseBody, await readBody(c));
    return c.json(await engine.pauseSchedule(c.req.param("id"), paused));
  });

  app.delete("/v1/schedules/:id", noQuery, async (c) => {
    await engine.deleteSchedule(c.req.param("id"));
    return c.json({});
  });
}
