/**
 * A program of its own: outlives the engine by a moment, to end what the engine leaves behind.
 *
 * Argument: the engine's mark. Lines on stdin: `hold <pgid> <mark>` and `release <mark>`; a release is answered by
 * `released <mark>` once nothing that carries the mark is left. The end of stdin means that the engine is gone.
 */
import { createInterface } from "node:readline";
import { sleep, systemClock } from "../base/clock.ts";
import { marked, startOf } from "./mark.ts";

/** Between two sweeps after one child: its own children carry the mark from birth. */
const RELEASE_SWEEP_MS = 5;
/** Between the last sweeps: a child that the engine was just starting shows its mark within this time. */
const LAST_SWEEP_MS = 50;
/** What is left after so many can't be killed at all. */
const SWEEP_LIMIT = 12_000;
/** Two in a row, because a process may pass its life on between the listing and the look. */
const EMPTY_SWEEPS = 2;

interface Held {
  readonly pgid: number;
  /** Of the group's leader. */
  readonly start: string | undefined;
}

const engine = process.argv[2] ?? "";
const book = new Map<string, Held>();
let releasing = new Set<string>();
let sweeping = false;

function obey(line: string): void {
  const [verb, first = "", second = ""] = line.split(" ");
  if (verb === "hold") book.set(second, { pgid: Number(first), start: startOf(Number(first)) });
  if (verb === "release") {
    releasing.add(first);
    if (!sweeping) void release();
  }
}

/** Releases that arrive during a sweep share the next one. */
async function release(): Promise<void> {
  sweeping = true;
  while (releasing.size > 0) {
    const marks = releasing;
    releasing = new Set();
    await sweep(RELEASE_SWEEP_MS, (mark) => marks.has(mark));
    for (const mark of marks) {
      book.delete(mark);
      process.stdout.write(`released ${mark}\n`);
    }
  }
  sweeping = false;
}

async function endAll(): Promise<void> {
  for (const held of book.values()) killGroup(held);
  await sweep(LAST_SWEEP_MS, () => true);
  process.exit(0);
}

/** Kills what carries a mark that is meant, until none is found twice in a row. */
async function sweep(pauseMs: number, isMeant: (mark: string) => boolean): Promise<void> {
  let empty = 0;
  for (let round = 0; round < SWEEP_LIMIT && empty < EMPTY_SWEEPS; round++) {
    if (round > 0) await sleep(systemClock, pauseMs);
    empty += 1;
    for (const { pid, mark } of marked(engine)) {
      if (!isMeant(mark)) continue;
      empty = 0;
      kill(pid);
    }
  }
}

function killGroup({ pgid, start }: Held): void {
  const now = startOf(pgid);
  // A number that was given to a stranger meanwhile is none of ours.
  const isReused = now !== undefined && start !== undefined && now !== start;
  if (pgid > 1 && !isReused) kill(-pgid);
}

function kill(target: number): void {
  try {
    process.kill(target, "SIGKILL");
  } catch {
    // It is gone.
  }
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
// Nobody reads the answers of a warden whose engine is gone.
process.stdout.on("error", () => {});
process.stdin.on("error", () => {});

createInterface({ input: process.stdin })
  .on("line", obey)
  .on("close", () => void endAll());
