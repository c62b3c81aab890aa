/**
 * What was told to a term that ended before it was stored, and is told again. It stands in turns of its own, so that an
 * outcome for which the store has no room keeps nothing else from being stored.
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { Command } from "../core/command.ts";

/**
 * How long the store is left alone once the same has failed twice in a row, and the longest that this doubles to.
 * Milliseconds.
 */
export const HOLD_FIRST_MS = 50;
export const HOLD_CAP_MS = 2_000;

/** After so many failures in a row; the first time it is tried again at once. Milliseconds. */
export function holdMs(failures: number): number {
  if (failures < 2) return 0;
  return Math.min(HOLD_CAP_MS, HOLD_FIRST_MS * 2 ** Math.min(failures - 2, 30));
}

/** Facts that nobody would tell a second time by himself. */
export function isToldOnce({ type }: Command): boolean {
  return type === "report" || type === "started" || type === "agent_exited";
}

export class Retold {
  readonly #clock: Clock;
  readonly #due: () => void;
  #commands: Command[] = [];
  /** Turns of these that failed since all of them were through. */
  #failures = 0;
  #resting: Timer | undefined;

  /** @param due - called when a rest is over */
  constructor(clock: Clock, due: () => void) {
    this.#clock = clock;
    this.#due = due;
  }

  get commands(): readonly Command[] {
    return this.#commands;
  }

  get isDue(): boolean {
    return this.#commands.length > 0 && this.#resting === undefined;
  }

  add(command: Command): void {
    this.#commands.push(command);
  }

  /** All of them in one turn; once that has failed, one by one. */
  take(): Command[] {
    return this.#commands.splice(0, this.#failures === 0 ? this.#commands.length : 1);
  }

  /** The turn that told them is stored. */
  through(): void {
    if (this.#commands.length === 0) this.#failures = 0;
  }

  /** The turn that told them has failed, and they have been added again: behind the others. */
  rest(): void {
    this.#failures += 1;
    const restMs = holdMs(this.#failures);
    if (restMs === 0) return;
    this.#resting = this.#clock.timer(restMs, () => {
      this.#resting = undefined;
      this.#due();
    });
  }

  close(): void {
    this.#resting?.cancel();
    this.#commands = [];
  }
}
