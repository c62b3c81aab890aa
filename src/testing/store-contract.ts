/** What every store must do, as one suite of tests: run it in the test file of each. */
import { afterEach, describe, expect, test } from "vitest";
import type { Store } from "../stores/store.ts";
import { closing } from "./store-contract/closing.ts";
import { commits } from "./store-contract/commits.ts";
import { events } from "./store-contract/events.ts";
import { history } from "./store-contract/history.ts";
import { loading } from "./store-contract/loading.ts";
import type { Holds, Opened } from "./store-contract/opened.ts";
import { texts } from "./store-contract/texts.ts";
import { CommitWriter } from "./store-facts.ts";

export interface StoreContractOptions {
  /** Closes the store and opens what it kept. Without it, loading again is all that is tested. */
  readonly reopen?: ((store: Store) => Promise<Store>) | undefined;
  /** Title of a test → why this store can't pass it. */
  readonly skip?: Readonly<Record<string, string>> | undefined;
}

/**
 * Registers the suite.
 *
 * @param open - gives an empty store that nobody has loaded
 */
export function storeContract(name: string, open: () => Promise<Store>, options: StoreContractOptions = {}): void {
  const { reopen, skip = {} } = options;
  const opened = new Set<Store>();
  const titles = new Set<string>();

  afterEach(async () => {
    for (const store of opened) await store.close();
    opened.clear();
  });

  const use = async (store: Store): Promise<Opened> => {
    opened.add(store);
    const loaded = await store.load();
    return { store, loaded, writer: new CommitWriter(loaded.lastSeq) };
  };
  const fresh = async (): Promise<Opened> => use(await open());
  const again = async ({ store }: Opened): Promise<Opened> => use(reopen === undefined ? store : await reopen(store));

  const holds: Holds = (title, proof) => {
    titles.add(title);
    const reason = skip[title];
    if (reason === undefined) test(title, async () => proof(await fresh()));
    else test.skip(`${title} (${reason})`, () => {});
  };

  describe(`${name} keeps the contract of stores`, () => {
    describe("loading", () => loading(holds, again));
    describe("commits", () => commits(holds, again));
    describe("the history", () => history(holds, again));
    describe("bodies and results", () => texts(holds, again));
    describe("events", () => events(holds, again));
    describe("closing", () => closing(holds));

    test("every skipped title is one of the contract", () => {
      expect(Object.keys(skip).filter((title) => !titles.has(title))).toEqual([]);
    });
  });
}
