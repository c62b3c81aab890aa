/**
 * An outside ledger: a client's acknowledgements against the event log of a data file. Shares no code with the engine.
 *
 *   node scripts/ledger.mjs <troupe.db> <acknowledged.jsonl>
 *
 * Each line of the second file is `{"id": "…"}` for a task that the server has acknowledged. Prints the counts and
 * ends with 1 when a task was lost, settled twice in one life, is still open, or when sequence numbers or fences are
 * not what they must be. To be run when no server owns the file.
 */
import { readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

const [file, acknowledgedFile] = process.argv.slice(2);
if (file === undefined || acknowledgedFile === undefined) {
  console.error("usage: node scripts/ledger.mjs <troupe.db> <acknowledged.jsonl>");
  process.exit(2);
}

const acknowledged = readFileSync(acknowledgedFile, "utf8")
  .split("\n")
  .filter((line) => line !== "")
  .map((line) => JSON.parse(line).id);

const db = new DatabaseSync(file, { readOnly: true });
/** What the log says of each task: how often submitted, settled and replayed, and the fences in order. */
const tasks = new Map();
let events = 0;
let nextSeq;
let gaps = 0;
for (const row of db.prepare("SELECT first_seq, last_seq, events FROM commits ORDER BY first_seq").iterate()) {
  const packed = JSON.parse(row.events);
  if (nextSeq !== undefined && row.first_seq !== nextSeq) gaps += 1;
  if (row.last_seq - row.first_seq + 1 !== packed.length) gaps += 1;
  nextSeq = row.last_seq + 1;
  for (const event of packed) {
    events += 1;
    const id = event.taskId ?? event.spec?.id ?? event.facts?.spec.id;
    if (id === undefined) continue;
    const seen = tasks.get(id) ?? { submitted: 0, settled: 0, replayed: 0, fences: [] };
    tasks.set(id, seen);
    if (event.type === "task.submitted") seen.submitted += 1;
    if (event.type === "task.settled") seen.settled += 1;
    if (event.type === "task.replayed") seen.replayed += 1;
    if (event.type === "task.leased") seen.fences.push(event.fence);
  }
}
const integrity = db.prepare("PRAGMA integrity_check").get().integrity_check;
db.close();

const lost = acknowledged.filter((id) => (tasks.get(id)?.submitted ?? 0) !== 1);
const open = [...tasks].filter(([, task]) => task.settled < 1 + task.replayed).map(([id]) => id);
const twice = [...tasks].filter(([, task]) => task.settled > 1 + task.replayed).map(([id]) => id);
const shrunk = [...tasks].filter(([, { fences }]) => fences.some((fence, i) => i > 0 && fence <= fences[i - 1]));
const attempts = [...tasks.values()].reduce((sum, { fences }) => sum + fences.length, 0);

console.log(
  JSON.stringify({
    acknowledged: acknowledged.length,
    tasks: tasks.size,
    attempts,
    events,
    lost: lost.length,
    settledTwice: twice.length,
    open: open.length,
    gaps,
    shrunkFences: shrunk.length,
    integrity,
    examples: [...lost.slice(0, 3), ...twice.slice(0, 3), ...open.slice(0, 3)],
  }),
);
const ok = lost.length + twice.length + open.length + gaps + shrunk.length === 0 && integrity === "ok";
process.exit(ok ? 0 : 1);
