/** What an attempt will do: drawn when it begins, played by whatever kind of agent runs it. */
import type { Json } from "../../base/json.ts";
import type { Dice } from "./dice.ts";
import { GATES, PILLS } from "./plan.ts";

export type Script =
  | { readonly name: "succeeds"; readonly afterMs: number }
  | {
      readonly name: "fails";
      readonly afterMs: number;
      readonly blame: "agent" | "task" | "dependency" | "unknown";
      readonly retryable?: boolean;
      /** The gate that it says is closed. */
      readonly gate?: string;
    }
  | { readonly name: "throttles"; readonly afterMs: number; readonly retryAfterMs?: number }
  /** Does nothing for very long, but stops when it is told to. */
  | { readonly name: "hangs"; readonly afterMs: number }
  /** Goes on for a while whatever it is told, and then succeeds. */
  | { readonly name: "ignores_stop"; readonly afterMs: number }
  /** Gives a result that JSON can't hold. */
  | { readonly name: "returns_nonsense"; readonly afterMs: number }
  /** A child's process dies with everything on it. */
  | { readonly name: "dies"; readonly afterMs: number; readonly byPill?: true };

/** Longer than any lease or timeout here. Where there is neither, it is long all the same. */
const HANG_MS = 40_000;

export function drawScript(dice: Dice, prompt: string | undefined): Script {
  const afterMs = dice.happens("is_slow") ? dice.between(500, 4_000) : dice.between(0, 60);
  if (!dice.calm && PILLS.some((pill) => pill === prompt)) return { name: "dies", afterMs, byPill: true };
  if (dice.happens("hangs")) return { name: "hangs", afterMs: HANG_MS };
  if (dice.happens("ignores_stop")) return { name: "ignores_stop", afterMs: dice.between(1_000, 8_000) };
  if (dice.happens("returns_nonsense")) return { name: "returns_nonsense", afterMs };
  if (dice.happens("dies")) return { name: "dies", afterMs };
  if (dice.happens("throttles")) {
    return dice.chance(0.5)
      ? { name: "throttles", afterMs, retryAfterMs: dice.between(0, 2_000) }
      : { name: "throttles", afterMs };
  }
  for (const blame of ["agent", "task", "dependency", "unknown"] as const) {
    if (!dice.happens(`blames_${blame}`)) continue;
    const fails = { name: "fails", afterMs, blame } as const;
    if (dice.happens("says_not_retryable")) return { ...fails, retryable: false };
    if (blame === "dependency" && dice.happens("blames_gate")) return { ...fails, gate: dice.pick(GATES).name };
    return blame === "task" && dice.chance(0.3) ? { ...fails, retryable: true } : fails;
  }
  return { name: "succeeds", afterMs };
}

/** What every agent here gives back: who asks can see whose result it is. */
export function resultOf(task: { readonly id: string; readonly fence: number }): { readonly [key: string]: Json } {
  return { task: task.id, fence: task.fence };
}
