import fc from "fast-check";
import { expect, test } from "vitest";
import { asTaskId, type TaskId } from "../base/ids.ts";
import { refusal } from "../testing/world.ts";
import { refuseCycle } from "./graph.ts";

type Node = { id: TaskId; dependencies: TaskId[] };

const graph = (edges: Readonly<Record<string, readonly string[]>>): Node[] =>
  Object.entries(edges).map(([id, dependencies]) => ({ id: asTaskId(id), dependencies: dependencies.map(asTaskId) }));

const cycleOf = (edges: Readonly<Record<string, readonly string[]>>): unknown =>
  refusal(() => refuseCycle(graph(edges))).details.cycle;

test("no tasks, and tasks without dependencies, form no cycle", () => {
  expect(() => refuseCycle([])).not.toThrow();
  expect(() => refuseCycle(graph({ a: [], b: [] }))).not.toThrow();
});

test("a diamond, and dependencies outside the batch, are no cycle", () => {
  expect(() => refuseCycle(graph({ d: ["b", "c"], b: ["a"], c: ["a"], a: ["elsewhere"] }))).not.toThrow();
});

test("S3-B21 S3-64 a task that depends on itself is refused, naming the cycle", () => {
  expect(refusal(() => refuseCycle(graph({ a: ["a"] })))).toMatchObject({
    code: "dependency_cycle",
    message: "the dependencies form a cycle: a → a",
    details: { cycle: ["a", "a"], path: "dependencies" },
  });
});

test("S3-B21 S3-64 a cycle is named from its first task back to it, without those that only lead to it", () => {
  expect(cycleOf({ lead: ["a"], a: ["b"], b: ["c"], c: ["a"] })).toEqual(["a", "b", "c", "a"]);
});

test("a cycle behind tasks that were found good is found too", () => {
  expect(cycleOf({ good: [], also: ["good"], x: ["also", "y"], y: ["good", "x"] })).toEqual(["x", "y", "x"]);
});

test("a chain of twenty thousand needs no stack", () => {
  const chain = Array.from({ length: 20_000 }, (_, n) => ({
    id: asTaskId(`t${n}`),
    dependencies: n === 19_999 ? [] : [asTaskId(`t${n + 1}`)],
  }));
  expect(() => refuseCycle(chain)).not.toThrow();
  chain[19_999]?.dependencies.push(asTaskId("t0"));
  expect((refusal(() => refuseCycle(chain)).details.cycle as unknown[]).length).toBe(20_001);
});

test("a graph is refused exactly when it can't be put in order, and what is named is a cycle of it", () => {
  const edge = fc.tuple(fc.nat({ max: 7 }), fc.nat({ max: 7 }));
  fc.assert(
    fc.property(fc.array(edge, { maxLength: 16 }), (edges) => {
      const nodes = Array.from({ length: 8 }, (_, n) => ({ id: asTaskId(`${n}`), dependencies: [] as TaskId[] }));
      for (const [from, to] of edges) nodes[from]?.dependencies.push(asTaskId(`${to}`));
      if (canBeOrdered(nodes)) {
        expect(() => refuseCycle(nodes)).not.toThrow();
        return;
      }
      const cycle = refusal(() => refuseCycle(nodes)).details.cycle as TaskId[];
      expect(cycle.length).toBeGreaterThan(1);
      expect(cycle[0]).toBe(cycle.at(-1));
      cycle.slice(1).forEach((to, index) => {
        expect(nodes.find(({ id }) => id === cycle[index])?.dependencies).toContain(to);
      });
    }),
    { numRuns: 500 },
  );
});

/** Takes away what depends on nothing that is left, until nothing more can be taken. */
function canBeOrdered(nodes: readonly Node[]): boolean {
  let left = [...nodes];
  for (;;) {
    const ids = new Set(left.map(({ id }) => id));
    const kept = left.filter(({ dependencies }) => dependencies.some((id) => ids.has(id)));
    if (kept.length === left.length) return left.length === 0;
    left = kept;
  }
}
