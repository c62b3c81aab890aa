/** How the server, its engine and its pools are. */
import { PoolError } from "../../../base/errors.ts";
import type { App, Doors } from "../context.ts";
import { readQuery } from "../query.ts";
import { poolQuery } from "../schema.ts";

export function addHealthRoutes(app: App, { engine, closing }: Doors): void {
  app.get("/health", (c) => c.json(engine.health()));

  app.get("/livez", (c) => c.json({ status: "alive" }));

  app.get("/readyz", (c) => {
    if (closing.aborted) throw new PoolError("shutting_down", "the server is closing");
    if (!engine.ready()) throw new PoolError("unavailable", "not every pool of the file has had its agents ready yet");
    return c.json({ status: "ready" });
  });

  app.post("/pool/reset-circuit-breakers", async (c) => {
    const count = await engine.resetBreakers(readQuery(c, poolQuery).pool);
    return c.json({ success: true, count });
  });

  app.get("/health/pool/memory", (c) => c.json(engine.poolMemory(readQuery(c, poolQuery).pool)));

  app.get("/health/pool", (c) => c.json(engine.poolHealth(readQuery(c, poolQuery).pool)));
}
