/** Scenarios with stored traces, compared exactly; `npm run scenarios -- -u` writes them anew, for a reader to approve. */
import { expect, test } from "vitest";
import { SCRIPTS } from "./scenarios/scripts.ts";
import { createStory } from "./scenarios/story.ts";

test.each(SCRIPTS)("$title", async ({ name, world, play }) => {
  const story = createStory(world);
  play(story);
  await expect(story.text()).toMatchFileSnapshot(`scenarios/${name}.txt`);
});

test("each scenario has a name of its own", () => {
  expect(new Set(SCRIPTS.map(({ name }) => name)).size).toBe(SCRIPTS.length);
});
