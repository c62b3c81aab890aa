/** Reads what stands behind the `?`. */
import type { MiddlewareHandler } from "hono";
import { z } from "zod";
import { invalid } from "../../base/errors.ts";
import { parseWith } from "../../engine/options/parse.ts";
import type { AppContext, AppEnv } from "./context.ts";

/** The query of a request; a parameter given twice is refused like one that is not known. */
export function readQuery<T>(c: AppContext, schema: z.ZodType<T>): T {
  const given = new Map<string, string>();
  for (const [key, value] of new URL(c.req.url).searchParams) {
    if (given.has(key)) throw invalid(key, "given twice");
    given.set(key, value);
  }
  return parseWith(schema, Object.fromEntries(given));
}

const nothing = z.strictObject({});

/** Stands before routes that take no parameters, so that a misplaced one is not silently ignored. */
export const noQuery: MiddlewareHandler<AppEnv> = async (c, next) => {
  readQuery(c, nothing);
  await next();
};
