/** The load that the origins aimed at, in the core's own time: what the rules make of it, not how fast a machine is. */
import { expect, test } from "vitest";
import { createWorld } from "../testing/world.ts";

const MINUTE_MS = 60_000;

test("S3-25 S3-68 S4-25 twenty agents, two hundred at work, a thousand waiting: all is done, nobody idles, nothing waits for a free slot", () => {
  const world = createWorld({
    seed: 7,
    checks: "end",
    pool: { strategy: "least_loaded", queue: { limit: 1_000 } },
    agents: Array.from({ length: 20 }, (_, n) => ({ name: `agent-${n}`, concurrency: 10 })),
  });
  const startMs = world.nowMs;
  const specs = Array.from({ length: 1_200 }, () => ({}));
  const ids = world.submitBatch(specs).map((item) => ("taskId" in item ? item.taskId : ""));
  const running = (): string[] => ids.filter((id) => world.status(id) === "leased");
  expect(running()).toHaveLength(200);
  for (const id of running()) world.start(id);
  let busyMs = 0;
  while (running().length > 0) {
    const ending = running();
    world.advance(2_000);
    for (const id of ending) busyMs += world.nowMs - (world.lease(id)?.assignedAtMs ?? Number.NaN);
    for (const id of ending) world.complete(id);
    // Whoever was given a slot got it in the very turn in which it came free.
    const since = running().map((id) => world.lease(id)?.assignedAtMs);
    expect(new Set(since).size).toBeLessThanOrEqual(1);
  }
  world.check();
  const tookMs = world.nowMs - startMs;
  expect(ids.filter((id) => world.status(id) === "completed")).toHaveLength(1_200);
  expect(busyMs / (200 * tookMs)).toBeGreaterThanOrEqual(0.85);
  expect((1_200 * MINUTE_MS) / tookMs).toBeGreaterThanOrEqual(1_000);
});
