// The program behind the pool `readers`: a plain HTTP server that knows nothing of Troupe.
//
//   POST /        { taskId, attempt, type, prompt, input, context } → 200 the result as JSON
//                 type summarise, keywords: of the text in `prompt`; digest, index: joins `context.dependencies`
//                 422 when the request itself is at fault: no reader could answer it
//   GET  /health  200
//
// Listens on 127.0.0.1, on the port in PORT (0 or none: any), and says on stdout which one it is.

import { createServer } from "node:http";
import { catalogue } from "./reading/catalogue.mjs";
import { digest } from "./reading/digest.mjs";
import { keywords } from "./reading/keywords.mjs";
import { Refusal } from "./reading/refusal.mjs";
import { summarise } from "./reading/summary.mjs";

/** Results of dependencies are at most 16 MB; the rest is the task itself. */
const BODY_LIMIT_BYTES = 20 * 1024 * 1024;

const WORK = {
  summarise: (task) => summarise(textOf(task)),
  keywords: (task) => keywords(textOf(task)),
  digest: (task) => digest(task.input, dependenciesOf(task)),
  index: (task) => catalogue(task.input, dependenciesOf(task)),
};

const server = createServer((request, response) => {
  answer(request).then(
    ({ status, body }) => send(response, status, body),
    (error) => {
      if (error instanceof Refusal) return send(response, error.status, { error: error.message });
      console.error(error);
      send(response, 500, { error: "the reader failed; its log says why" });
    },
  );
});

// Longer than any client keeps an idle connection, so that a request never meets one that is just being closed.
server.keepAliveTimeout = 120_000;
server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => {
  console.log(JSON.stringify({ event: "listening", port: server.address().port, pid: process.pid }));
});

for (const signal of ["SIGTERM", "SIGINT"]) {
  process.once(signal, () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}

async function answer(request) {
  const { pathname } = new URL(request.url, "http://localhost");
  if (request.method === "GET" && pathname === "/health") return { status: 200, body: { status: "ok" } };
  if (pathname !== "/") throw new Refusal(`there is nothing at ${pathname}`, 404);
  if (request.method !== "POST") throw new Refusal(`expected POST, got ${request.method}`, 405);
  const task = parse(await readBody(request));
  const work = Object.hasOwn(WORK, task.type) ? WORK[task.type] : undefined;
  if (work === undefined) throw new Refusal(`type: expected ${Object.keys(WORK).join(", ")}, got ${task.type}`);
  return { status: 200, body: work(task) };
}

function send(response, status, body) {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

async function readBody(request) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > BODY_LIMIT_BYTES) throw new Refusal(`more than ${BODY_LIMIT_BYTES} bytes`, 413);
    chunks.push(chunk);
  }
  // Bytes that are not UTF-8 become U+FFFD: a strange document is still a document.
  return Buffer.concat(chunks).toString("utf8");
}

function parse(body) {
  let task;
  try {
    task = JSON.parse(body);
  } catch {
    throw new Refusal("expected a body in JSON", 400);
  }
  if (task === null || typeof task !== "object" || Array.isArray(task)) throw new Refusal("expected an object", 400);
  return task;
}

function textOf({ prompt }) {
  if (typeof prompt === "string") return prompt;
  throw new Refusal(`prompt: expected the text of a document, got ${prompt === undefined ? "none" : typeof prompt}`);
}

function dependenciesOf({ context }) {
  const results = context?.dependencies;
  if (results !== null && typeof results === "object") return results;
  throw new Refusal("context.dependencies: expected the results to join");
}
