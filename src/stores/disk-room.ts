/** How much of a disk, or of a file with a limit, new tasks may take: all but a reserve for ending old ones. */
import { type StatsFs, statfsSync } from "node:fs";

/** 64 MB, and at most this share of all that the disk, or the file, may hold. */
export const RESERVE_BYTES = 64 * 1_048_576;
const RESERVE_SHARE = 1 / 8;

export function reserveOf(totalBytes: number): number {
  return Math.min(RESERVE_BYTES, totalBytes * RESERVE_SHARE);
}

/** Undefined where the system does not say. */
export function roomOnDisk(directory: string): number | undefined {
  let disk: StatsFs;
  try {
    disk = statfsSync(directory);
  } catch {
    return undefined;
  }
  const totalBytes = disk.blocks * disk.bsize;
  return totalBytes === 0 ? undefined : disk.bavail * disk.bsize - reserveOf(totalBytes);
}
