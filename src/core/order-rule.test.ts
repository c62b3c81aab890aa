/** The order between two tasks, asked from both sides: whoever is named first, the answer is the same. */
import { expect, test } from "vitest";
import { asPoolId, asTaskId } from "../base/ids.ts";
import { type Ageing, goesFirst } from "./order.ts";
import { newTask, type Priority, type Task, type TaskSpec } from "./task.ts";

const STEP = { stepMs: 1_000 };

function aTask(priority: Priority, queuedAtMs: number, num = 1): Task {
  const spec = { id: asTaskId(`t${num}`), pool: asPoolId("p"), priority } as TaskSpec;
  return newTask(num, spec, queuedAtMs);
}

test.each<[string, first: Task, second: Task, ageing: Ageing]>([
  ["critical before high, however old that is", aTask(1, 9_000_000), aTask(2, 0), STEP],
  ["critical before low, however old that is", aTask(1, 9_000_000), aTask(4, 0), STEP],
  ["the older of two critical ones", aTask(1, 5), aTask(1, 6), STEP],
  ["high before medium of the same age", aTask(2, 500), aTask(3, 500), STEP],
  ["medium before high when it is more than a step older", aTask(3, 0), aTask(2, 1_001), STEP],
  ["high before medium when that is less than a step older", aTask(2, 999), aTask(3, 0), STEP],
  ["who was admitted first when a step makes up for the rank", aTask(3, 0, 1), aTask(2, 1_000, 2), STEP],
  ["the same, the other way round", aTask(2, 1_000, 1), aTask(3, 0, 2), STEP],
  ["low before high when it is more than two steps older", aTask(4, 0), aTask(2, 2_001), STEP],
  ["high before low without ageing, however old that is", aTask(2, 9_000_000), aTask(4, 0), false],
  ["critical before low without ageing", aTask(1, 9_000_000), aTask(4, 0), false],
])("S3-04 %s", (_, first, second, ageing) => {
  expect([goesFirst(first, second, ageing), goesFirst(second, first, ageing)]).toEqual([true, false]);
});
