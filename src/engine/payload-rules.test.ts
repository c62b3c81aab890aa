/** What a payload consists of, and how much of what others made goes with it. */
import { expect, test } from "vitest";
import { asPoolId, asTaskId } from "../base/ids.ts";
import type { TaskBody, TaskSpec } from "../core/task.ts";
import { functionAgent } from "./library/agents.ts";
import { createPool } from "./library/troupe.ts";
import { payloadFingerprint } from "./submission.ts";

const aSpec = (spec: Partial<TaskSpec> = {}): TaskSpec =>
  ({ id: asTaskId("t"), pool: asPoolId("p"), type: "general", priority: 3, dependencies: [], ...spec }) as TaskSpec;
const aBody = (rest: object = {}, prompt?: string): TaskBody => ({ prompt, rest: JSON.stringify(rest) });

const ids = (...names: string[]) => names.map(asTaskId);

test("S2-L03 a payload is its type, prompt, input, context and dependencies, in whatever order these are written", () => {
  const rest = { input: { a: 1, b: [1, 2] }, context: { c: 3 } };
  const made = payloadFingerprint(aSpec({ dependencies: ids("x", "y") }), aBody(rest, "do"));
  expect(made).toMatch(/^[0-9a-f]{64}$/);
  const reordered = { context: { c: 3 }, input: { b: [1, 2], a: 1 } };
  expect(payloadFingerprint(aSpec({ dependencies: ids("y", "x") }), aBody(reordered, "do"))).toBe(made);
});

test.each<[string, Partial<TaskSpec>, object, string | undefined]>([
  ["its type", { type: "other" }, {}, "do"],
  ["its prompt", {}, {}, "do it"],
  ["its input", {}, { input: 1 }, "do"],
  ["its context", {}, { context: { c: 1 } }, "do"],
  ["its dependencies", { dependencies: ids("x") }, {}, "do"],
])("S2-L03 a payload is another by %s", (_, spec, rest, prompt) => {
  const plain = payloadFingerprint(aSpec(), aBody({}, "do"));
  expect(payloadFingerprint(aSpec(spec), aBody(rest, prompt))).not.toBe(plain);
});

test("S2-L03 a payload is the same under another id, priority, tenant and other metadata", () => {
  const plain = payloadFingerprint(aSpec(), aBody({}, "do"));
  const spec = aSpec({ id: asTaskId("u"), priority: 1, maxAttempts: 9, fairnessKey: "k" });
  expect(payloadFingerprint(spec, aBody({ metadata: { a: 1 } }, "do"))).toBe(plain);
});

test("S3-B25 results of 16 MB in all go with a task, a byte more does not", async () => {
  const half = 8 * 1_048_576;
  // A text has its two quotes besides.
  const sizes: Record<string, number> = { one: half - 2, two: half - 2, more: 1 };
  await using pool = await createPool({
    retry: { maxAttempts: 1 },
    agents: [
      functionAgent("ada", ({ task }) => {
        const size = sizes[task.id];
        return size === undefined ? Object.keys(task.context.dependencies as object).length : "x".repeat(size);
      }),
    ],
  });
  for (const id of Object.keys(sizes)) await pool.execute({ id, prompt: "make" });
  expect(await pool.execute({ prompt: "fits", dependencies: ["one", "two"] })).toBe(2);
  const late = pool.execute({ prompt: "is too much", dependencies: ["one", "two", "more"] });
  await expect(late).rejects.toThrow("the results of its dependencies exceed");
});

test("S3-B22 with `run` a task is told how each of its failed dependencies ended", async () => {
  await using pool = await createPool({
    retry: { maxAttempts: 1 },
    agents: [
      functionAgent("ada", ({ task }) => {
        if (task.prompt === "bad") throw new Error("no luck");
        return task.context;
      }),
    ],
  });
  await pool.execute({ id: "good", prompt: "good" });
  await pool.execute({ id: "bad", prompt: "bad" }).catch(() => {});
  const context = await pool.execute({ prompt: "all", dependencies: ["good", "bad"], onDependencyFailure: "run" });
  expect(context).toMatchObject({
    dependencies: { good: {} },
    failedDependencies: { bad: { status: "failed", error: { code: "exhausted" } } },
  });
  expect(Object.keys((context as { dependencies: object }).dependencies)).toEqual(["good"]);
});
