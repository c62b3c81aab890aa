import { describe, expect, test } from "vitest";
import { isPoolError } from "../../base/errors.ts";
import { LIMIT_DEFAULTS } from "./agent.ts";
import { resolvePool } from "./pool.ts";
import { resolvePoolChange } from "./pool-change.ts";

const aPool = (options: Record<string, unknown> = {}) => resolvePool({ id: "p", ...options }, () => "p");

function pathOf(current: ReturnType<typeof aPool>, change: unknown): unknown {
  try {
    resolvePoolChange(current, change, LIMIT_DEFAULTS);
  } catch (error) {
    if (isPoolError(error, "invalid")) return error.details.path;
    throw error;
  }
  return undefined;
}

describe("a change of a pool's options", () => {
  test("leaves all that is not named as it is, deep down", () => {
    const before = aPool({
      preset: "daemons",
      queue: { limit: 5 },
      agents: [{ kind: "command", program: "/bin/cat" }],
    });
    expect(resolvePoolChange(before, {}, LIMIT_DEFAULTS)).toEqual(before);
    const after = resolvePoolChange(before, { queue: { maxWaitMs: 7 }, breaker: { ratio: 0.5 } }, LIMIT_DEFAULTS);
    expect(after).toEqual({
      ...before,
      queue: { ...before.queue, maxWaitMs: 7 },
      breaker: { ...(before.breaker as object), ratio: 0.5 },
    });
  });

  test("turns parts on, off and back with null where nothing is the default", () => {
    const before = aPool({ timeoutMs: 5, types: ["a"], breaker: false });
    const after = resolvePoolChange(
      before,
      { timeoutMs: null, types: null, breaker: {}, ageing: false },
      LIMIT_DEFAULTS,
    );
    expect(after).toEqual({ ...aPool(), ageing: false });
  });

  test("one number of the size is meant, the others give way; those that size drives are counted anew", () => {
    const before = aPool({ agents: [{ kind: "command", program: "/bin/cat" }] });
    const after = resolvePoolChange(before, { size: { max: 2 } }, LIMIT_DEFAULTS);
    expect(after.size).toEqual({ min: 1, default: 2, max: 2 });
    expect(after.agents).toMatchObject([{ count: 2, sized: true }]);
  });

  test.each([
    [{ id: "q" }, "id"],
    [{ agents: [] }, "agents"],
    [{ daemon: {} }, "daemon"],
    [{ preset: "trio" }, "preset"],
    [{ nope: 1 }, "nope"],
    [{ queue: { limit: -1 } }, "queue.limit"],
    [{ queue: null }, "queue"],
    [{ strategy: "best" }, "strategy"],
    [{ lease: { ttlMs: 1_000 } }, "lease.renewMs"],
    [{ size: { max: 101 } }, "size.max"],
    [[], ""],
  ])("%j is refused by its path", (change, path) => {
    expect(pathOf(aPool({ agents: [{ kind: "command", program: "/bin/cat" }] }), change)).toBe(path);
  });
});
