/** Gates: shown and set. */
import type { GateInput } from "../../../engine/gate-options.ts";
import { readBody } from "../body.ts";
import type { App, Doors } from "../context.ts";
import { pageOf } from "../page.ts";
import { noQuery, readQuery } from "../query.ts";
import { pageQuery } from "../schema.ts";

export function addGateRoutes(app: App, { engine }: Doors): void {
  app.get("/v1/gates", (c) => {
    const request = readQuery(c, pageQuery);
    return c.json(pageOf(engine.gates(), (gate) => [gate.name, gate.name], request));
  });

  app.get("/v1/gates/:name", noQuery, (c) => c.json(engine.gate(c.req.param("name"))));

  app.put("/v1/gates/:name", noQuery, async (c) => {
    const body = await readBody(c);
    // The engine checks it with the schema that every door shares.
    return c.json(await engine.putGate(c.req.param("name"), body as GateInput));
  });
}
