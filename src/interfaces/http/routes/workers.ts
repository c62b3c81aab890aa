/** The worker protocol by which remote agents, once they have joined, claim work and keep their leases. */
import { parseWith } from "../../../engine/options/parse.ts";
import { readBody } from "../body.ts";
import { type App, type Doors, nodeOf } from "../context.ts";
import { noQuery } from "../query.ts";
import { claimBody, heartbeatBody } from "../schema.ts";
import { followReply, waiting } from "../wait.ts";

export function addWorkerRoutes(app: App, { engine, closing }: Doors): void {
  app.post("/v1/agents/:id/claim", noQuery, async (c) => {
    const claim = parseWith(claimBody, await readBody(c, { optional: true }));
    const claimed = await waiting(c, closing, async (signal) => {
      const found = await engine.claim(c.req.param("id"), claim, signal);
      if (!signal.aborted) return found;
      // Whoever stopped waiting is told of nothing, and what was found in that moment goes back.
      found.broken();
      return undefined;
    });
    if (claimed === undefined) return c.json({ attempts: [] });
    followReply(nodeOf(c).outgoing, claimed);
    return c.json({ attempts: claimed.attempts });
  });

  app.post("/v1/agents/:id/heartbeat", noQuery, async (c) => {
    const { attempts, health } = parseWith(heartbeatBody, await readBody(c));
    return c.json(await engine.heartbeat(c.req.param("id"), attempts, health));
  });
}
