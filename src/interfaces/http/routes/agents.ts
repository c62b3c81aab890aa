/** Agents: shown, added, changed, drained, restarted, removed. */
import type { AgentChangeInput, NewAgentInput } from "../../../engine/options/agent.ts";
import { parseWith } from "../../../engine/options/parse.ts";
import { readBody } from "../body.ts";
import type { App, AppContext, Doors } from "../context.ts";
import { pageOf } from "../page.ts";
import { noQuery, readQuery } from "../query.ts";
import {
  capabilityBody,
  emptyBody,
  failAgentBody,
  joinBody,
  kindBody,
  logQuery,
  pageQuery,
  stopQuery,
} from "../schema.ts";

export function addAgentRoutes(app: App, doors: Doors): void {
  addPoolRoutes(app, doors);
  addViewRoutes(app, doors);
  addWordRoutes(app, doors);
}

function addPoolRoutes(app: App, { engine, closing }: Doors): void {
  app.get("/v1/pools/:pool/agents", (c) => {
    const request = readQuery(c, pageQuery);
    return c.json(pageOf(engine.agents(c.req.param("pool")), (agent) => [agent.name, agent.id], request));
  });

  app.post("/v1/pools/:pool/agents", noQuery, async (c) => {
    const body = await readBody(c);
    const pool = c.req.param("pool");
    if (parseWith(kindBody, body).kind !== "remote") {
      // The engine checks it with the schema that every door shares.
      const agent = await engine.addAgent(pool, body as NewAgentInput);
      return c.json(agent, 201, { location: `/v1/agents/${agent.id}` });
    }
    const { kind: _kind, ...agent } = parseWith(joinBody, body);
    const joined = await engine.join(pool, agent);
    return c.json(joined, 201, { location: `/v1/agents/${joined.id}` });
  });

  app.get("/v1/pools/:pool/isolation", noQuery, (c) => c.json(engine.isolation(c.req.param("pool"))));

  app.post("/v1/pools/:pool/restart", async (c) => {
    const { timeoutMs } = readQuery(c, stopQuery);
    parseWith(emptyBody, await readBody(c, { optional: true }));
    const pool = c.req.param("pool");
    // It is carried through whether somebody waits for the answer or not.
    return c.json(await engine.restartPool(pool, { timeoutMs, signal: closing }));
  });
}

function addViewRoutes(app: App, { engine }: Doors): void {
  app.get("/v1/agents/:id", noQuery, (c) => c.json(engine.agent(c.req.param("id"))));

  app.patch("/v1/agents/:id", noQuery, async (c) => {
    const body = await readBody(c);
    // The engine checks it with the schema that every door shares.
    return c.json(await engine.changeAgent(c.req.param("id"), body as AgentChangeInput));
  });

  app.delete("/v1/agents/:id", async (c) => {
    const { timeoutMs } = readQuery(c, stopQuery);
    const id = c.req.param("id");
    // It is carried through whether somebody waits for the answer or not.
    return c.json(await engine.removeAgent(id, { timeoutMs }));
  });

  app.get("/v1/agents/:id/logs", (c) => {
    const page = engine.logs(c.req.param("id"), readQuery(c, logQuery));
    return wantsText(c) ? c.text(page.lines.map((line) => `${line}\n`).join("")) : c.json(page);
  });
}

function addWordRoutes(app: App, { engine }: Doors): void {
  app.post("/v1/agents/:id/fail", noQuery, async (c) => {
    const { reason } = parseWith(failAgentBody, await readBody(c, { optional: true }));
    return c.json(await engine.failAgent(c.req.param("id"), reason));
  });

  app.post("/v1/agents/:id/restart", async (c) => {
    const { timeoutMs } = readQuery(c, stopQuery);
    parseWith(emptyBody, await readBody(c, { optional: true }));
    return c.json(await engine.restartAgent(c.req.param("id"), { timeoutMs }));
  });

  app.post("/v1/agents/:id/capabilities", noQuery, async (c) => {
    const { capability } = parseWith(capabilityBody, await readBody(c));
    return c.json(await engine.verifyCapability(c.req.param("id"), capability));
  });

  const words = [
    ["recover", (id: string) => engine.recoverAgent(id)],
    ["reset", (id: string) => engine.resetAgent(id)],
    ["drain", (id: string) => engine.drainAgent(id)],
  ] as const;
  for (const [word, act] of words) {
    app.post(`/v1/agents/:id/${word}`, noQuery, async (c) => {
      parseWith(emptyBody, await readBody(c, { optional: true }));
      return c.json(await act(c.req.param("id")));
    });
  }
}

/** JSON is what everybody gets who does not ask for plain text before it. */
function wantsText(c: AppContext): boolean {
  const accepted = (c.req.header("accept") ?? "").split(",").map((part) => part.split(";")[0]?.trim());
  const text = accepted.indexOf("text/plain");
  const json = accepted.indexOf("application/json");
  return text !== -1 && (json === -1 || text < json);
}
