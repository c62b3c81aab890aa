/** Who may call: every route decides here, before it reads anything. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { PoolError } from "../../base/errors.ts";
import type { AppEnv } from "./context.ts";

/** The key that callers present as `Authorization: Bearer <key>`, or `off`: every caller may do everything. */
export type Auth = { readonly key: string } | "off";

/** Routes anybody may ask: they tell counts, never names. */
export const OPEN_PATHS: ReadonlySet<string> = new Set(["/health", "/livez", "/readyz"]);

const BEARER = /^Bearer +(\S+) *$/i;

export function authCheck(auth: Auth): MiddlewareHandler<AppEnv> {
  const expected = auth === "off" ? undefined : digest(auth.key);
  return async (c, next) => {
    const open = (c.req.method === "GET" || c.req.method === "HEAD") && OPEN_PATHS.has(c.req.path);
    if (!open && expected !== undefined) check(c.req.header("authorization"), expected);
    await next();
  };
}

function check(header: string | undefined, expected: Buffer): void {
  const presented = header === undefined ? undefined : BEARER.exec(header)?.[1];
  if (presented === undefined) {
    throw new PoolError("unauthorized", "expected `Authorization: Bearer <key>`; `troupe key` prints the key");
  }
  // Digests have one length, so the comparison takes the same time whatever was presented.
  if (!timingSafeEqual(digest(presented), expected)) {
    throw new PoolError("unauthorized", "this is not the key of this server; `troupe key` prints it");
  }
}

function digest(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}
