/** The HTTP door: middleware in its order, routes, and one answer to whatever is thrown. */
import { Hono } from "hono";
import type { Clock } from "../../base/clock.ts";
import { isPoolError, messageOf, PoolError } from "../../base/errors.ts";
import { type Entropy, systemEntropy } from "../../base/random.ts";
import type { LogEvent } from "../../engine/open.ts";
import type { Engine } from "../../engine/troupe.ts";
import { type Auth, authCheck } from "./auth.ts";
import type { App, AppContext, AppEnv } from "./context.ts";
import { type Hosts, originCheck } from "./origin.ts";
import { headersOf, problemOf } from "./problem.ts";
import { addAgentRoutes } from "./routes/agents.ts";
import { addDocsRoutes } from "./routes/docs.ts";
import { addEventRoutes } from "./routes/events.ts";
import { addGateRoutes } from "./routes/gates.ts";
import { addHealthRoutes } from "./routes/health.ts";
import { addPoolRoutes } from "./routes/pools.ts";
import { addScheduleRoutes } from "./routes/schedules.ts";
import { addTaskRoutes } from "./routes/tasks.ts";
import { addWorkerRoutes } from "./routes/workers.ts";
import { trace } from "./trace.ts";

export interface AppOptions {
  readonly auth: Auth;
  /** Which names the server answers under; `loopback` when absent. */
  readonly hosts?: Hosts | undefined;
  /** Aborted when the server closes: waiting requests are answered at once, connections end with their answer. */
  readonly closing?: AbortSignal | undefined;
  readonly entropy?: Entropy | undefined;
  readonly clock?: Clock | undefined;
  readonly log?: ((event: LogEvent) => void) | undefined;
}

/** Routes over an engine. `app.request(path)` calls it in memory, `serveHttp` behind a socket. */
export function createApp(engine: Engine, options: AppOptions): App {
  const {
    auth,
    hosts = "loopback",
    closing = new AbortController().signal,
    entropy = systemEntropy,
    clock,
    log,
  } = options;
  const app = new Hono<AppEnv>();

  app.use(trace(entropy));
  app.use(async (c, next) => {
    c.header("x-content-type-options", "nosniff");
    c.header("cache-control", "no-store");
    try {
      await next();
    } catch (thrown) {
      // Errors have been answered by `onError`; this is for what is thrown without being one.
      c.res = answer(c, thrown, log);
    }
    if (closing.aborted) c.header("connection", "close");
  });
  app.use(originCheck(hosts));
  app.use(authCheck(auth));

  const doors = { engine, closing, clock };
  addHealthRoutes(app, doors);
  addPoolRoutes(app, doors);
  addTaskRoutes(app, doors);
  addAgentRoutes(app, doors);
  addWorkerRoutes(app, doors);
  addEventRoutes(app, doors);
  addGateRoutes(app, doors);
  addScheduleRoutes(app, doors);
  addDocsRoutes(app);

  app.notFound((c) => answer(c, new PoolError("not_found", `there is no ${c.req.method} ${c.req.path}`), log));
  app.onError((error, c) => answer(c, error, log));
  return app;
}

function answer(c: AppContext, thrown: unknown, log: AppOptions["log"]): Response {
  const problem = problemOf(thrown);
  if (problem.status >= 500) {
    log?.({
      level: isPoolError(thrown) ? "warn" : "error",
      event: "http.failed",
      method: c.req.method,
      path: c.req.path,
      status: problem.status,
      code: problem.code,
      message: messageOf(thrown),
      ...(thrown instanceof Error && !isPoolError(thrown) ? { stack: thrown.stack } : {}),
      requestId: c.get("requestId"),
      traceparent: c.get("traceparent"),
    });
  }
  return c.body(JSON.stringify(problem), problem.status, headersOf(problem));
}
