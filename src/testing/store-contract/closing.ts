/** A store that is closed. */
import { expect } from "vitest";
import { isPoolError } from "../../base/errors.ts";
import { asPoolId } from "../../base/ids.ts";
import { idOf } from "../store-facts.ts";
import { EVERYTHING, type Holds } from "./opened.ts";

export function closing(holds: Holds): void {
  holds("closing twice is the same as closing once", async ({ store, writer }) => {
    await store.commit(writer.next());
    await store.close();
    await store.close();
  });

  holds("a closed store takes and gives nothing", async ({ store, writer }) => {
    await store.close();
    const closed = (error: unknown): boolean => isPoolError(error, "store_failed");
    for (const asked of [
      store.commit(writer.next()),
      store.load(),
      store.history(EVERYTHING),
      store.facts([], []),
      store.entry(idOf(1)),
      store.tally(asPoolId("main")),
      store.bodies([1]),
      store.results([idOf(1)]),
      store.events(0, 1),
    ]) {
      await expect(asked).rejects.toSatisfy(closed);
    }
  });
}
