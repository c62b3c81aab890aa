/** What this API is: for machines, and to read. */
import type { App } from "../context.ts";
import { DOCS_POLICY, docsPage } from "../docs-page.ts";
import { type OpenApi, openApi } from "../openapi.ts";
import { noQuery } from "../query.ts";

export function addDocsRoutes(app: App): void {
  // Made when somebody asks: most servers are never asked.
  let made: OpenApi | undefined;
  const document = (): OpenApi => {
    made ??= openApi();
    return made;
  };

  app.get("/openapi.json", noQuery, (c) => c.json(document()));

  app.get("/docs", noQuery, (c) => c.html(docsPage(document()), 200, { "content-security-policy": DOCS_POLICY }));
}
