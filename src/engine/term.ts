/**
 * The engine's terms. A commit that was refused, or of which nobody knows, ends a term: what the state says is not what
 * is stored. The next term begins with what the store has, under a new epoch, in the same process.
 */
import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import { isPoolError, PoolError } from "../base/errors.ts";
import type { Command } from "../core/command.ts";
import { restore } from "../core/restore.ts";
import { becomeState, type NamespaceState } from "../core/state.ts";
import type { Commit, Loaded, Store } from "../stores/store.ts";
import type { LogEvent } from "./engine-options.ts";
import type { Payloads } from "./payloads.ts";
import { holdMs } from "./retold.ts";

/** The second broken invariant within this time stops the engine: going on does not mend it. Milliseconds. */
export const BROKEN_AGAIN_MS = 60_000;

export interface TermOptions {
  readonly state: NamespaceState;
  readonly store: Store;
  readonly clock: Clock;
  readonly payloads: Payloads;
  readonly log: (event: LogEvent) => void;
}

/** What the last term was doing when it ended. */
export interface Ending {
  readonly error: unknown;
  /** The number of the last event that is known to be stored. */
  readonly lastSeq: number;
  /** Whose fate is not confirmed. */
  readonly commit: Commit | undefined;
  /** What was told and is told again. */
  readonly retold: readonly Command[];
}

/** What had become of the commit that ended a term: `kept`, `lost`, or there is more than this engine has written. */
export type Fate = "kept" | "lost" | "strange";

export class Terms {
  readonly #options: TermOptions;
  #failuresInARow = 0;
  #brokenAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: TermOptions) {
    this.#options = options;
  }

  /** A commit was stored. */
  confirmed(): void {
    this.#failuresInARow = 0;
  }

  /**
   * Whether a next term may follow. Not after an error of reading or writing, as nobody knows what the store holds
   * then; not when we are wrong for the second time in short order. With `rests` what failed rests by itself, so that
   * nobody else has to wait.
   */
  mayFollow(error: unknown, { rests = false }: { rests?: boolean } = {}): boolean {
    if (!rests) this.#failuresInARow += 1;
    const { clock, log } = this.#options;
    const code = isPoolError(error) ? error.code : "internal";
    const stack = isPoolError(error) || !(error instanceof Error) ? undefined : error.stack;
    log({
      level: stack === undefined ? "warn" : "error",
      event: "engine.term_ended",
      code,
      error: String(error),
      stack,
    });
    if (isPoolError(error)) return error.details.broken !== true;
    const nowMs = clock.monotonic();
    const isAgain = nowMs - this.#brokenAtMs < BROKEN_AGAIN_MS;
    this.#brokenAtMs = nowMs;
    return !isAgain;
  }

  /** How long to leave the store alone. The first time it is asked again at once. Milliseconds. */
  get holdMs(): number {
    return holdMs(this.#failuresInARow);
  }

  /** What the store has, under a new epoch. */
  load(): Promise<Loaded> {
    return this.#options.store.load();
  }

  fateOf({ commit, lastSeq }: Pick<Ending, "commit" | "lastSeq">, loaded: Loaded): Fate {
    if (loaded.lastSeq === lastSeq) return "lost";
    return commit !== undefined && loaded.lastSeq === lastSeq + commit.events.length ? "kept" : "strange";
  }

  /** From here on the state is what the store has. */
  begin({ commit, retold }: Ending, loaded: Loaded): void {
    const { state, clock, payloads, log } = this.#options;
    assert(loaded.epoch > state.epoch, "every term has a larger epoch than the one before");
    becomeState(state, restore(loaded, clock.now()));
    const fences = new Set(retold.flatMap((command) => (command.type === "report" ? [command.fence] : [])));
    payloads.endTerm(commit?.settled ?? [], fences);
    log({ level: "info", event: "engine.term_began", epoch: state.epoch });
  }
}

/** What those are told who waited when the term ended. */
export function reasonOf(error: unknown): PoolError {
  if (!isPoolError(error)) {
    return new PoolError("internal", "the engine has stopped: a broken invariant", { cause: error });
  }
  if (error.details.unknown !== true || error.details.broken === true) return error;
  const details = { ...error.details, unknown: true };
  return new PoolError("unavailable", `nobody knows what became of it: ${error.message}`, {
    retryable: true,
    details,
    cause: error,
  });
}
