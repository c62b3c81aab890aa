/** What the engine gives to drivers of process kinds. */
import type { Clock } from "../base/clock.ts";
import type { Entropy } from "../base/random.ts";
import type { Warden } from "./warden.ts";

export interface ProcessContext {
  /** Declared environment variables. */
  readonly env: Readonly<Record<string, string>>;
  /** Between asking a process to end and killing it. */
  readonly stopMs: number;
  /** Agents get directories of their own in it. */
  readonly dir: string;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly warden: Warden;
}
