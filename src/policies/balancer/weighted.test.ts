import { expect, test } from "vitest";
import { type CandidateInput, candidates, place } from "../../testing/candidates.ts";
import { weighted } from "./weighted.ts";

function picks(count: number, ...agents: readonly CandidateInput[]): string {
  const list = candidates(...agents);
  return Array.from({ length: count }, () => "abcdef"[place(weighted, list) ?? -1] ?? "-").join("");
}

test("weights 5, 1, 1 are spread smoothly, again and again", () => {
  expect(picks(14, { weight: 5 }, { weight: 1 }, { weight: 1 })).toBe("aabacaaaabacaa");
});

test("S1-06 with weights 10 and 1 the heavy agent is given ten of eleven", () => {
  const given = picks(22, { weight: 10 }, { weight: 1 });
  expect([...given].filter((agent) => agent === "a")).toHaveLength(20);
  expect([...picks(20, { weight: 10 }, { weight: 1 })].filter((agent) => agent === "b").length).toBeGreaterThan(0);
});

test("equal weights take turns, and so do fractions of one", () => {
  expect(picks(6, {}, {}, {})).toBe("abcabc");
  expect(picks(6, { weight: 0.5 }, { weight: 0.25 })).toBe("abaaba");
});

test("S1-B09 weight 0 is never chosen", () => {
  expect(picks(6, { weight: 0 }, { weight: 1 }, { weight: 0 })).toBe("bbbbbb");
});

test("S1-B09 where all weigh 0 nobody is chosen", () => {
  expect(picks(2, { weight: 0 }, { weight: 0 })).toBe("--");
});

test("who is not there for a while builds up no claim", () => {
  const [a, b] = candidates({}, {}) as unknown as Parameters<typeof weighted>[0] & { 1: never };
  for (let n = 0; n < 50; n++) place(weighted, [a]);
  const given = Array.from({ length: 6 }, () => place(weighted, [a, b as unknown as typeof a]));
  expect(given).toEqual([0, 1, 0, 1, 0, 1]);
});

test("it is exact among many: a thousand agents get their weights", () => {
  const list = candidates(...Array.from({ length: 100 }, (_, n) => ({ weight: 1 + (n % 3) })));
  const counts = Array.from({ length: 100 }, () => 0);
  for (let n = 0; n < 199 * 5; n++) {
    const at = place(weighted, list) as number;
    counts[at] = (counts[at] ?? 0) + 1;
  }
  expect(counts).toEqual(Array.from({ length: 100 }, (_, n) => 5 * (1 + (n % 3))));
});
