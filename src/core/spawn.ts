/** What every spawn of an agent brings anew. */
import { below, type Random } from "../base/random.ts";
import type { Isolation } from "./agent.ts";

/** Three ids of 128 random bits each. */
export function newIsolation(random: Random): Isolation {
  const id = (): string => Array.from({ length: 32 }, () => below(random, 16).toString(16)).join("");
  return { contextWindowId: id(), toolSessionId: id(), memoryHandleId: id() };
}
