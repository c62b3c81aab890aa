/** What has been told to the engine is seen by whoever reads afterwards, although nobody waits for what is told. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openStore } from "../stores/open.ts";
import { openEngine } from "./open.ts";

test.each(["memory:", "sqlite:"])(
  "a claim whose reply was written shows a task in progress to the next reader (%s)",
  async (url) => {
    const dataDir = mkdtempSync(join(tmpdir(), "troupe-read-"));
    const engine = await openEngine({ store: await openStore(url, { dataDir }), dataDir });
    try {
      await engine.createPool({ id: "p" });
      const { id } = await engine.join("p", { name: "ada", concurrency: 10 });
      const { signal } = new AbortController();
      for (let n = 0; n < 5; n++) {
        const { task } = await engine.submit("p", { prompt: "x" }, { signal });
        if (!("attempts" in task)) throw new Error("expected a task");
        const claimed = await engine.claim(id, { max: 1, waitMs: 0 }, signal);
        claimed.written();
        expect(await engine.task(task.id)).toMatchObject({ status: "in_progress" });
      }
      const { items } = await engine.tasks({ pool: "p" });
      expect(items.map(({ status }) => status)).toEqual(Array(5).fill("in_progress"));
    } finally {
      await engine.close({ drainMs: 0 });
      rmSync(dataDir, { recursive: true, force: true });
    }
  },
);
