/** Pools: made, shown, changed, paused, drained, resumed, scaled, deleted. */

import { parseWith } from "../../../engine/options/parse.ts";
import type { PoolOptionsInput } from "../../../engine/options/pool.ts";
import type { PoolChangeInput } from "../../../engine/options/pool-change.ts";
import type { ScaleInput } from "../../../engine/troupe.ts";
import { readBody } from "../body.ts";
import type { App, Doors } from "../context.ts";
import { pageOf } from "../page.ts";
import { noQuery, readQuery } from "../query.ts";
import { deletePoolQuery, emptyBody, pageQuery } from "../schema.ts";

const MODES = [
  ["pause", "paused"],
  ["resume", "running"],
  ["drain", "draining"],
] as const;

export function addPoolRoutes(app: App, { engine }: Doors): void {
  app.get("/v1/pools", (c) => {
    const request = readQuery(c, pageQuery);
    return c.json(pageOf(engine.pools(), (pool) => [pool.createdAt, pool.id], request));
  });

  app.post("/v1/pools", noQuery, async (c) => {
    const body = await readBody(c);
    // The engine checks it with the schema that every door shares.
    const pool = await engine.createPool(body as PoolOptionsInput);
    return c.json(pool, 201, { location: `/v1/pools/${pool.id}` });
  });

  app.get("/v1/pools/:pool", noQuery, async (c) => {
    return c.json(await engine.pool(c.req.param("pool")));
  });

  app.patch("/v1/pools/:pool", noQuery, async (c) => {
    const body = await readBody(c);
    // The engine checks it with the schema that every door shares.
    return c.json(await engine.changePool(c.req.param("pool"), body as PoolChangeInput));
  });

  app.get("/v1/pools/:pool/metrics", noQuery, async (c) => c.json(await engine.metrics(c.req.param("pool"))));

  app.get("/v1/pools/:pool/analytics", noQuery, async (c) => c.json(await engine.analytics(c.req.param("pool"))));

  app.get("/v1/pools/:pool/quarantine", (c) => {
    const request = readQuery(c, pageQuery);
    const items = engine.quarantine(c.req.param("pool"));
    return c.json(pageOf(items, ({ at, fingerprint }) => [at, fingerprint], request));
  });

  app.delete("/v1/pools/:pool/quarantine/:fingerprint", noQuery, async (c) => {
    await engine.releasePayload(c.req.param("pool"), c.req.param("fingerprint"));
    return c.json({});
  });

  for (const [word, mode] of MODES) {
    app.post(`/v1/pools/:pool/${word}`, noQuery, async (c) => {
      parseWith(emptyBody, await readBody(c, { optional: true }));
      return c.json(await engine.setMode(c.req.param("pool"), mode));
    });
  }

  app.post("/v1/pools/:pool/scale", noQuery, async (c) => {
    const body = await readBody(c);
    return c.json(await engine.scale(c.req.param("pool"), body as ScaleInput));
  });

  app.delete("/v1/pools/:pool", async (c) => {
    const { timeoutMs } = readQuery(c, deletePoolQuery);
    return c.json(await engine.deletePool(c.req.param("pool"), { timeoutMs }));
  });
}
