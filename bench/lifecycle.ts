/**
 * Life cycles per second through the library: one task handed in, run by a function, settled.
 *
 *   npm run bench:lifecycle [-- --seconds 3 --rounds 3 --json]
 *
 * Rounds are interleaved and the middle one is quoted. Payload of 205 bytes, ten agents of ten slots each.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createPool, functionAgent } from "../src/index.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "3" },
    rounds: { type: "string", default: "3" },
    json: { type: "boolean" },
  },
});
const millis = Number(values.seconds) * 1_000;
const rounds = Number(values.rounds);

const CASES = [
  { store: "memory:", inFlight: 1 },
  { store: "memory:", inFlight: 100 },
  { store: "sqlite:", inFlight: 1 },
  { store: "sqlite:", inFlight: 100 },
] as const;

const prompt = "x".repeat(205);

interface Round {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function round({ store, inFlight }: (typeof CASES)[number]): Promise<Round> {
  const dataDir = mkdtempSync(join(tmpdir(), "troupe-bench-"));
  const agents = Array.from({ length: 10 }, (_, n) => functionAgent(`a${n}`, async () => "done", { concurrency: 10 }));
  const pool = await createPool({ store, dataDir, agents });
  try {
    await load(pool, inFlight, millis / 4);
    return await load(pool, inFlight, millis);
  } finally {
    await pool.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function load(pool: Awaited<ReturnType<typeof createPool>>, inFlight: number, forMs: number): Promise<Round> {
  const took: number[] = [];
  const began = performance.now();
  const caller = async (): Promise<void> => {
    while (performance.now() - began < forMs) {
      const from = performance.now();
      await pool.execute(prompt);
      took.push(performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
  const seconds = (performance.now() - began) / 1_000;
  took.sort((a, b) => a - b);
  const at = (share: number): number => took[Math.min(took.length - 1, Math.floor(share * took.length))] ?? Number.NaN;
  return { perSecond: took.length / seconds, p50Ms: at(0.5), p99Ms: at(0.99) };
}

const results = CASES.map(() => [] as Round[]);
for (let n = 0; n < rounds; n++) {
  for (const [index, setup] of CASES.entries()) results[index]?.push(await round(setup));
}

const rows = CASES.map(({ store, inFlight }, index) => {
  const sorted = (results[index] ?? []).sort((a, b) => a.perSecond - b.perSecond);
  const middle = sorted[Math.floor(sorted.length / 2)] as Round;
  return { store, inFlight, ...middle, lowest: sorted[0]?.perSecond, highest: sorted[sorted.length - 1]?.perSecond };
});

if (values.json) console.log(JSON.stringify({ node: process.version, cpus: cpus().length, rounds, rows }));
else {
  console.log(
    `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? "?"}, ${rounds} rounds of ${values.seconds} s\n`,
  );
  console.log("store     in flight   life cycles/s   (lowest – highest)      p50 ms   p99 ms");
  for (const row of rows) {
    const spread = `${Math.round(row.lowest ?? 0)} – ${Math.round(row.highest ?? 0)}`;
    console.log(
      `${row.store.padEnd(9)} ${String(row.inFlight).padStart(9)} ${String(Math.round(row.perSecond)).padStart(15)}   ${spread.padEnd(20)} ${row.p50Ms.toFixed(3).padStart(9)} ${row.p99Ms.toFixed(3).padStart(8)}`,
    );
  }
}
