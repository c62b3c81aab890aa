/** Names each request: `X-Request-Id` and `traceparent` are taken when well-formed, made when not, and echoed. */
import type { MiddlewareHandler } from "hono";
import type { Entropy } from "../../base/random.ts";
import type { AppEnv } from "./context.ts";

const REQUEST_ID = /^[\w.:/+=@~-]{1,128}$/;
/** @see "Trace Context", W3C: version, trace id and parent id are not all zeros, version ff is forbidden. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

export function trace(entropy: Entropy): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const requestId = c.req.header("x-request-id");
    const traceparent = c.req.header("traceparent");
    c.set("requestId", requestId !== undefined && REQUEST_ID.test(requestId) ? requestId : entropy.uuid());
    c.set("traceparent", traceparent !== undefined && TRACEPARENT.test(traceparent) ? traceparent : begin(entropy));
    c.header("x-request-id", c.get("requestId"));
    c.header("traceparent", c.get("traceparent"));
    await next();
  };
}

/** A new trace, not sampled: whoever wants it recorded says so. */
function begin(entropy: Entropy): string {
  const digits = entropy.hex(48);
  return `00-${digits.slice(0, 32)}-${digits.slice(32)}-00`;
}
