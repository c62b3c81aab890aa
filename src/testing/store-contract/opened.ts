/** What the tests of the contract share: a store that was loaded, and how a test is said. */
import type { HistoryFilter, Loaded, Store } from "../../stores/store.ts";
import type { CommitWriter } from "../store-facts.ts";

/** A store that was loaded, and what writes to it. */
export interface Opened {
  readonly store: Store;
  readonly loaded: Loaded;
  readonly writer: CommitWriter;
}

/** Says what holds, and proves it with a fresh store. */
export type Holds = (title: string, proof: (opened: Opened) => Promise<void>) => void;
/** Closes the store, if it can be, and opens what it kept. */
export type Again = (opened: Opened) => Promise<Opened>;

export const EVERYTHING: HistoryFilter = { afterNum: 0, limit: 1_000 };

export const nums = (rows: readonly { readonly num: number }[]): number[] => rows.map(({ num }) => num);
