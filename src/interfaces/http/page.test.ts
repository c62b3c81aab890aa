import { describe, expect, test } from "vitest";
import { isPoolError } from "../../base/errors.ts";
import { type Place, pageOf } from "./page.ts";

interface Thing {
  readonly name: string;
  readonly id: string;
}

const things = (...names: string[]): Thing[] => names.map((name, index) => ({ name, id: `id-${index}` }));
const place = ({ name, id }: Thing): Place => [name, id];
const names = (items: readonly Thing[]): string[] => items.map(({ name }) => name);

/** All pages, one after the other; `between` may change the list before the next is asked for. */
function walk(list: Thing[], limit: number, between: (list: Thing[]) => void = () => {}): string[][] {
  const pages: string[][] = [];
  let cursor: string | undefined;
  do {
    const page = pageOf(list, place, { limit, cursor });
    pages.push(names(page.items));
    cursor = page.nextCursor;
    between(list);
  } while (cursor !== undefined);
  return pages;
}

describe("pages", () => {
  test("show everything once, numbers in names by their value", () => {
    expect(walk(things("d_10", "d_2", "d_1", "d_0"), 3)).toEqual([["d_0", "d_1", "d_2"], ["d_10"]]);
  });

  test.each([
    [0, [[]]],
    [1, [["a"]]],
    [2, [["a", "b"]]],
    [3, [["a", "b"], ["c"]]],
    [
      4,
      [
        ["a", "b"],
        ["c", "d"],
      ],
    ],
  ])("of two end exactly when %i items do", (count, pages) => {
    expect(walk(things("a", "b", "c", "d").slice(0, count), 2)).toEqual(pages);
  });

  test("show items of one name by their ids", () => {
    const twins = [
      { name: "a", id: "2" },
      { name: "a", id: "10" },
      { name: "a", id: "1" },
    ];
    const first = pageOf(twins, place, { limit: 2 });
    expect(first.items.map(({ id }) => id)).toEqual(["1", "10"]);
    expect(pageOf(twins, place, { limit: 2, cursor: first.nextCursor }).items.map(({ id }) => id)).toEqual(["2"]);
  });

  test("neither skip nor repeat when the item they stopped at goes away", () => {
    const pages = walk(things("a", "b", "c", "d"), 2, (list) => {
      const at = list.findIndex(({ name }) => name === "b");
      if (at >= 0) list.splice(at, 1);
    });
    expect(pages).toEqual([
      ["a", "b"],
      ["c", "d"],
    ]);
  });

  test("carry any name in their cursor", () => {
    expect(walk(things('"]', "ü🙂", "a b", ""), 1).flat()).toHaveLength(4);
  });

  const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  test.each(["x", "", "%", encoded("a"), encoded(["a"]), encoded(["a", 1]), encoded(["a", "b", "c"]), encoded(null)])(
    "refuse the cursor %j",
    (cursor) => {
      expect(() => pageOf(things("a"), place, { limit: 1, cursor })).toThrowError(
        expect.toSatisfy((error) => isPoolError(error, "invalid") && error.details.path === "cursor"),
      );
    },
  );
});
