/** What comes in while a store is slow. It answers when the test says so, and time stands still. */
import { expect, test } from "vitest";
import { isPoolError } from "../base/errors.ts";
import { createMemoryStore } from "../stores/memory.ts";
import type { Commit, Store } from "../stores/store.ts";
import { createVirtualClock } from "../testing/virtual-clock.ts";
import { startEngine } from "./engine.ts";

interface SlowStore {
  readonly store: Store;
  /** How many tasks each commit has brought. */
  readonly admitted: number[];
  /** Commits are answered at once before this, and one by one with `release` after it. */
  hold(): void;
  release(): void;
}

function slowStore(): SlowStore {
  const inner = createMemoryStore();
  const admitted: number[] = [];
  let held: (() => void)[] | undefined;
  const commit = async (turn: Commit): Promise<void> => {
    await inner.commit(turn);
    admitted.push(turn.admitted.length);
    await new Promise<void>((resolve) => (held === undefined ? resolve() : held.push(resolve)));
  };
  const store = new Proxy(inner, {
    get(target, name) {
      if (name === "commit") return commit;
      if (name === "durable") return true;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const hold = (): void => {
    held = [];
  };
  return { store, admitted, hold, release: () => held?.shift()?.() };
}

test("who asks faster than the store keeps waits for it: one commit under way, the next takes all that came meanwhile, and a full queue refuses the rest", async () => {
  const clock = createVirtualClock();
  const { store, admitted, hold, release } = slowStore();
  const pools = [{ id: "main", queue: { limit: 10 } }];
  const starting = startEngine({ store, clock, pools, dataDir: "unused" });
  await clock.settle();
  const engine = await starting;
  const told = { accepted: 0, refused: 0 };
  const submit = (): void => {
    engine.submit("main", { prompt: "x" }).then(
      () => {
        told.accepted += 1;
      },
      (error: unknown) => {
        if (!isPoolError(error, "queue_full")) throw error;
        told.refused += 1;
      },
    );
  };
  admitted.length = 0;
  hold();
  submit();
  await clock.settle();
  for (let n = 0; n < 100; n++) {
    submit();
    await clock.settle();
  }
  expect({ admitted, told }).toEqual({ admitted: [1], told: { accepted: 0, refused: 0 } });

  release();
  await clock.settle();
  expect({ admitted, told }).toEqual({ admitted: [1, 9], told: { accepted: 1, refused: 0 } });
  release();
  await clock.settle();
  expect({ admitted, told }).toEqual({ admitted: [1, 9], told: { accepted: 10, refused: 91 } });

  const closing = engine.close({ drainMs: 0 });
  for (let n = 0; n < 10; n++) {
    await clock.settle();
    release();
  }
  await closing;
});
