/** Pages of lists that are held in memory whole. Tasks have pages of their own, by the engine. */
import { invalid } from "../../base/errors.ts";
import type { Page } from "../../engine/view.ts";

/** Where an item stands: by the first (numbers inside it by their value), then by the second, which is unique. */
export type Place = readonly [string, string];

export interface PageRequest {
  readonly limit: number;
  /** What the page before gave as `nextCursor`. */
  readonly cursor?: string | undefined;
}

const collator = new Intl.Collator("en", { numeric: true });

/** The items after the cursor, in order of their places, so that what comes or goes between two pages moves no other. */
export function pageOf<T>(items: readonly T[], placeOf: (item: T) => Place, { limit, cursor }: PageRequest): Page<T> {
  const after = cursor === undefined ? undefined : decode(cursor);
  const placed = items.map((item) => ({ item, place: placeOf(item) })).sort((a, b) => compare(a.place, b.place));
  const rest = after === undefined ? placed : placed.filter(({ place }) => compare(place, after) > 0);
  const shown = rest.slice(0, limit);
  const last = shown.at(-1);
  const page: Page<T> = { items: shown.map(({ item }) => item) };
  if (rest.length > limit && last !== undefined) page.nextCursor = encode(last.place);
  return page;
}

function compare([first, second]: Place, [otherFirst, otherSecond]: Place): number {
  return collator.compare(first, otherFirst) || Number(second > otherSecond) - Number(second < otherSecond);
}

function encode(place: Place): string {
  return Buffer.from(JSON.stringify(place)).toString("base64url");
}

function decode(cursor: string): Place {
  let place: unknown;
  try {
    place = JSON.parse(Buffer.from(cursor, "base64url").toString());
  } catch {
    place = undefined;
  }
  if (Array.isArray(place) && place.length === 2) {
    const [first, second]: unknown[] = place;
    if (typeof first === "string" && typeof second === "string") return [first, second];
  }
  throw invalid("cursor", "expected the nextCursor of an earlier page");
}
