/** What the actors of a simulation see of it. */
import type { Clock } from "../../base/clock.ts";
import type { LocalEngine } from "../../engine/engine.ts";
import type { Books } from "./books.ts";
import type { Dice } from "./dice.ts";
import type { Ledger } from "./ledger.ts";
import type { Reach } from "./situations.ts";
import type { WorldTime } from "./time.ts";

export interface Scene {
  readonly time: WorldTime;
  readonly dice: Dice;
  readonly audit: Books;
  readonly ledger: Ledger;
  readonly reach: Reach;
  /** Something that must never be has been. The first one ends the run. */
  violate(message: string): void;
  trace(line: string): void;
  /** The next commit may not be able to tell why something is as it is. */
  disturb(): void;
  sleep(ms: number): Promise<void>;
  /** A process begins, with a clock of its own. */
  processBegins(clock: Clock): void;
  /** An engine begins anew, in a process of its own or not: what is volatile is gone. */
  termBegins(): void;
  /** What is run may kill the engine; true when it does. */
  explodes(prompt: string | undefined): boolean;
  /** Lets an actor play; what it throws is a violation. */
  spawn(play: () => Promise<void>): void;
  /**
   * Asks the engine. Throws what it refuses with, `Unreachable` when it was certainly not asked, `Lost` when nobody
   * knows what became of the question.
   */
  call<T>(ask: (engine: LocalEngine) => Promise<T>): Promise<T>;
}

/** Nobody was there: certainly nothing was done. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";
}

/** The answer did not come: perhaps it was done, perhaps not. */
export class Lost extends Error {
  override readonly name = "Lost";
}
