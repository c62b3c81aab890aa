import { expect, test } from "vitest";
import { pageQuery, waitQuery } from "./schema.ts";

test.each([
  [undefined, 100],
  ["1", 1],
  ["1000", 1_000],
  ["1001", 1_000],
  ["9".repeat(400), 1_000],
])("a page that is asked to have %s items has at most %i", (asked, limit) => {
  expect(pageQuery.parse({ limit: asked }).limit).toBe(limit);
});

test.each([
  [undefined, 0],
  ["0", 0],
  ["60000", 60_000],
])("a request that is asked to wait %s ms waits at most %i", (asked, waitMs) => {
  expect(waitQuery.parse({ waitMs: asked }).waitMs).toBe(waitMs);
});
