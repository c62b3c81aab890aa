/** 200,000 tasks through an engine: each is settled, each once, whatever its agents make of it. */
import { expect, test } from "vitest";
import type { AgentFunction } from "../src/agents/function.ts";
import { createRandom } from "../src/base/random.ts";
import { functionKey } from "../src/engine/crew.ts";
import { startEngine } from "../src/engine/engine.ts";
import { AgentError } from "../src/index.ts";
import { STRATEGIES } from "../src/policies/balancer/strategies.ts";
import { createMemoryStore } from "../src/stores/memory.ts";

const SEEDS = 20;
const BATCHES = 20;
const BATCH = 500;
const AGENTS = ["ada", "bob", "eve", "joe"];
const PATIENCE_MS = 120_000;

const seeds = Array.from({ length: SEEDS }, (_, n) => ({ seed: n + 1, strategy: STRATEGIES[n % STRATEGIES.length] }));

test.each(seeds)(
  "10,000 tasks from seed $seed, by $strategy: none is lost, none succeeds twice",
  async ({ seed, strategy }) => {
    const random = createRandom(seed);
    const successes = new Map<string, number>();
    const run: AgentFunction = ({ task }) => {
      const draw = random.next();
      if (draw < 0.02) throw new AgentError({ message: "bad input", blame: "task" });
      if (draw < 0.07) throw new AgentError({ message: "it broke", blame: "agent" });
      successes.set(task.id, (successes.get(task.id) ?? 0) + 1);
      return task.id;
    };
    const engine = await startEngine({
      store: createMemoryStore(),
      dataDir: "/nowhere",
      random: createRandom(seed),
      functions: new Map(AGENTS.map((name) => [functionKey("main", name), run])),
      pools: [
        {
          id: "main",
          strategy,
          breaker: false,
          health: false,
          agents: AGENTS.map((name) => ({ kind: "function", name, concurrency: 25 })),
          retry: { backoff: { baseMs: 1, capMs: 2 } },
        },
      ],
    });

    const ids: string[] = [];
    for (let batch = 0; batch < BATCHES; batch++) {
      const inputs = Array.from(
        { length: BATCH },
        (_, n) => ({ prompt: `${batch}/${n}`, priority: (n % 4) + 1 }) as never,
      );
      for (const item of await engine.submitBatch("main", inputs)) if ("task" in item) ids.push(item.task.id);
    }
    const counts = { completed: 0, failed: 0 };
    for (const id of ids) {
      const { status } = await engine.waitFor(id, { waitMs: 60_000 });
      const times = successes.get(id) ?? 0;
      if (status === "completed" && times === 1) counts.completed += 1;
      if (status === "failed" && times === 0) counts.failed += 1;
    }
    await engine.close();

    expect(new Set(ids).size).toBe(BATCHES * BATCH);
    expect(counts.completed + counts.failed).toBe(BATCHES * BATCH);
    expect(counts.failed).toBeGreaterThan(0);
  },
  PATIENCE_MS,
);
