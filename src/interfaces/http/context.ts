/** What every route is given. */
import type { HttpBindings } from "@hono/node-server";
import type { Context, Hono } from "hono";
import type { Clock } from "../../base/clock.ts";
import type { Engine } from "../../engine/troupe.ts";

export interface AppEnv {
  Bindings: Partial<HttpBindings>;
  Variables: { requestId: string; traceparent: string };
}

export type App = Hono<AppEnv>;
export type AppContext = Context<AppEnv>;

/** What routes work with. */
export interface Doors {
  readonly engine: Engine;
  /** Aborted when the server closes: whoever waits stops waiting. */
  readonly closing: AbortSignal;
  /** Of heartbeats; the system's when absent. */
  readonly clock?: Clock | undefined;
}

/** Node's own request and response; absent when the app is called in memory. */
export function nodeOf(c: AppContext): Partial<HttpBindings> {
  // Hono types the bindings as given; called in memory there are none.
  return (c.env as Partial<HttpBindings> | undefined) ?? {};
}
