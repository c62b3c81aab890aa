/** Agents: shown; and the worker protocol by which remote ones join, claim work and keep their leases. */
import { parseWith } from "../../../engine/options/parse.ts";
import { readBody } from "../body.ts";
import { type App, type Doors, nodeOf } from "../context.ts";
import { pageOf } from "../page.ts";
import { noQuery, readQuery } from "../query.ts";
import { claimBody, emptyBody, failAgentBody, heartbeatBody, joinBody, pageQuery } from "../schema.ts";
import { followReply, waiting } from "../wait.ts";

export function addAgentRoutes(app: App, { engine, closing }: Doors): void {
  app.get("/v1/pools/:pool/agents", (c) => {
    const request = readQuery(c, pageQuery);
    return c.json(pageOf(engine.agents(c.req.param("pool")), (agent) => [agent.name, agent.id], request));
  });

  app.post("/v1/pools/:pool/agents", noQuery, async (c) => {
    const { kind: _kind, ...agent } = parseWith(joinBody, await readBody(c));
    const joined = await engine.join(c.req.param("pool"), agent);
    return c.json(joined, 201, { location: `/v1/agents/${joined.id}` });
  });

  app.get("/v1/agents/:id", noQuery, (c) => {
    return c.json(engine.agent(c.req.param("id")));
  });

  app.post("/v1/agents/:id/fail", noQuery, async (c) => {
    const { reason } = parseWith(failAgentBody, await readBody(c, { optional: true }));
    return c.json(await engine.failAgent(c.req.param("id"), reason));
  });

  app.post("/v1/agents/:id/recover", noQuery, async (c) => {
    parseWith(emptyBody, await readBody(c, { optional: true }));
    return c.json(await engine.recoverAgent(c.req.param("id")));
  });

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
    const { attempts } = parseWith(heartbeatBody, await readBody(c));
    return c.json(await engine.heartbeat(c.req.param("id"), attempts));
  });
}
