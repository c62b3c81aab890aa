import { describe, expect, test } from "vitest";
import { asAgentId } from "../base/ids.ts";
import { openTask, settledTask } from "../testing/store-facts.ts";
import { openFactsOf, openText, settledFactsOf, settledText } from "./sqlite-text.ts";

const agentIds = [asAgentId("ada")];
const attempts = [
  { number: 1, agentId: asAgentId("ada"), agentName: "ada", fence: 7, assignedAtMs: 1, endedAtMs: 2, outcome: "lost" },
] as const;

describe("facts come back from their text as they went in", () => {
  test.each([
    ["plain", openTask(1)],
    [
      "with all that most tasks do not have",
      openTask(2, { first: true, again: true, refunds: 1, replays: 2, unmet: 3 }),
    ],
    ["with a past", openTask(3, { failedAgentIds: agentIds, failedDependencies: [openTask(1).spec.id], attempts })],
  ])("an open task, %s", (_, facts) => {
    expect(openFactsOf(facts.num, JSON.stringify(facts.spec), openText(facts))).toEqual(facts);
  });

  test.each([
    ["plain", settledTask(1)],
    ["with a past", { ...settledTask(2), refunds: 1, replays: 2, failedAgentIds: agentIds, attempts }],
  ])("a settled task, %s", (_, facts) => {
    expect(settledFactsOf(facts.num, JSON.stringify(facts.spec), settledText(facts))).toEqual(facts);
  });
});

test("what most tasks have is not in the text, and text that has it is read the same", () => {
  const { num, spec, ...open } = openTask(1);
  const { num: _num, spec: _spec, ...settled } = settledTask(1);
  for (const name of ["failedAgentIds", "failedDependencies", "refunds", "replays"]) {
    expect(openText({ num, spec, ...open })).not.toContain(name);
    expect(settledText({ num, spec, ...settled })).not.toContain(name);
  }
  expect(openFactsOf(num, JSON.stringify(spec), JSON.stringify(open))).toEqual(openTask(1));
  expect(settledFactsOf(num, JSON.stringify(spec), JSON.stringify(settled))).toEqual(settledTask(1));
});
