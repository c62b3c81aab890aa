/** Events as they happen, of everything or of one task. */
import type { App, Doors } from "../context.ts";
import { eventStream, lastEventId } from "../event-stream.ts";
import { noQuery } from "../query.ts";

export function addEventRoutes(app: App, { engine, closing, clock }: Doors): void {
  app.get("/v1/events", noQuery, (c) => {
    const control = new AbortController();
    const frames = engine.events({ afterSeq: lastEventId(c), signal: control.signal });
    return eventStream(c, frames, { control, closing, clock });
  });

  app.get("/v1/tasks/:id/events", noQuery, async (c) => {
    const control = new AbortController();
    const options = { afterSeq: lastEventId(c), signal: control.signal };
    const frames = await engine.taskEvents(c.req.param("id"), options);
    return eventStream(c, frames, { control, closing, clock });
  });
}
