/** Claims that wait for work: who asked, and what they are answered. */
import { IntMap } from "../base/int-map.ts";
import type { LeasedAttempt } from "../core/effect.ts";

export class ClaimDesk {
  readonly #waiting = new IntMap<(attempts: readonly LeasedAttempt[]) => void>();
  #lastId = 0;

  /** A new claim; `answered` resolves with what it was given, perhaps nothing. */
  open(): { readonly claimId: number; readonly answered: Promise<readonly LeasedAttempt[]> } {
    this.#lastId += 1;
    const claimId = this.#lastId;
    const answered = new Promise<readonly LeasedAttempt[]>((resolve) => this.#waiting.set(claimId, resolve));
    return { claimId, answered };
  }

  answer(claimId: number, attempts: readonly LeasedAttempt[]): void {
    this.#waiting.get(claimId)?.(attempts);
    this.#waiting.delete(claimId);
  }

  /** Nobody knows of them any more: all are answered with nothing, and may ask again. */
  endTerm(): void {
    for (const claimId of [...this.#waiting.keys()]) this.answer(claimId, []);
  }
}
