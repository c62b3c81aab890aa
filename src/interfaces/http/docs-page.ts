/** The document of this API as a page to read: text and a style sheet, nothing that runs. */
import { createHash } from "node:crypto";
import type { OpenApi } from "./openapi.ts";

const STYLE = `
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { font: 600 1rem ui-monospace, monospace; margin: 2rem 0 0.25rem; }
p { margin: 0.25rem 0; }
pre { font-size: 0.8rem; overflow: auto; max-height: 20rem; background: #8882; padding: 0.5rem; }
`;

const STYLE_HASH = createHash("sha256").update(STYLE).digest("base64");

/** Nothing is fetched, nothing runs, nobody frames it. */
export const DOCS_POLICY = `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

interface Shown {
  readonly summary?: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly requestBody?: { readonly content: { readonly "application/json": { readonly schema: unknown } } };
}

export function docsPage({ paths }: OpenApi): string {
  const sections = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => sectionOf(`${method.toUpperCase()} ${path}`, operation)),
  );
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Troupe: the API</title><style>${STYLE}</style></head>
<body>
<h1>Troupe: the API</h1>
<p>The same for machines: <a href="/openapi.json">/openapi.json</a>, OpenAPI 3.1, with the shapes of all answers.</p>
${sections.join("\n")}
</body>
</html>
`;
}

function sectionOf(route: string, operation: Shown): string {
  const query = (operation.parameters ?? []).filter((parameter) => parameter.in === "query").map(({ name }) => name);
  const body = operation.requestBody?.content["application/json"].schema;
  return [
    `<h2>${escaped(route)}</h2>`,
    `<p>${escaped(operation.summary ?? "")}.</p>`,
    ...(query.length === 0 ? [] : [`<p>Query: ${escaped(query.join(", "))}</p>`]),
    ...(body === undefined
      ? []
      : [`<details><summary>Body</summary><pre>${escaped(JSON.stringify(body, null, 2))}</pre></details>`]),
  ].join("\n");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
