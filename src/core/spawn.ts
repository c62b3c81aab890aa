/** What every spawn of an agent brings anew. */
import { below, type Random } from "../base/random.ts";
import { uuidOf } from "../base/uuid.ts";
import type { Isolation } from "./agent.ts";

export function newIsolation(random: Random): Isolation {
  const id = (): string => newUuid(random);
  return { contextWindowId: id(), toolSessionId: id(), memoryHandleId: id() };
}

export function newUuid(random: Random): string {
  const bytes = Uint8Array.from({ length: 16 }, () => below(random, 256));
  return uuidOf(bytes, 0);
}
