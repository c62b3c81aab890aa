/**
 * Keeps web pages out: a page that has its name resolve to this machine (Host), or that posts from another site (Origin).
 */
import type { MiddlewareHandler } from "hono";
import { PoolError } from "../../base/errors.ts";
import type { AppEnv } from "./context.ts";

/** `loopback`: the Host of a request must name this machine; `any`: a public name, known only to who runs the server. */
export type Hosts = "loopback" | "any";

const LOOPBACK = /^(?:localhost|(?:[a-z0-9-]+\.)+localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;
/** Name or address, and a port. */
const AUTHORITY = /^(?:[\w.-]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?$/;

export function originCheck(hosts: Hosts): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const host = c.req.header("host") ?? new URL(c.req.url).host;
    if (hosts === "loopback" && !isLoopback(host)) {
      throw new PoolError("forbidden", "this server answers only under a loopback name, such as localhost");
    }
    const origin = c.req.header("origin");
    const changes = c.req.method !== "GET" && c.req.method !== "HEAD";
    if (changes && origin !== undefined && !isOwn(origin, host, hosts)) {
      throw new PoolError("forbidden", "requests from pages of another origin are not taken");
    }
    await next();
  };
}

/** True for a name or address of this machine, with or without a port. */
export function isLoopback(host: string): boolean {
  const parsed = AUTHORITY.test(host) ? URL.parse(`http://${host}`) : null;
  return parsed !== null && LOOPBACK.test(parsed.hostname);
}

/** The origin of our own pages: same name and port as the Host; on loopback one of its names is as good as another. */
function isOwn(origin: string, host: string, hosts: Hosts): boolean {
  const page = URL.parse(origin);
  if (page === null || (page.protocol !== "http:" && page.protocol !== "https:")) return false;
  const own = URL.parse(`${page.protocol}//${host}`);
  if (own === null) return false;
  if (own.host === page.host) return true;
  return hosts === "loopback" && own.port === page.port && LOOPBACK.test(page.hostname);
}
