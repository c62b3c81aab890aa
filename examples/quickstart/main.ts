/**
 * `npm start`: starts the real server, gives it real work, kills a daemon while it runs, and says what became of it.
 *
 *   node --conditions=troupe-source examples/quickstart/main.ts [--exit] [--port N] [--data DIR] [--documents N]
 *
 * Exits 0 when every task is settled as expected and, with `--exit` or after Ctrl-C, nothing of it is left running;
 * 1 on any trouble, 2 on a wrong argument, 130 when it is stopped before the work is done.
 */
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Api } from "./api.ts";
import { describeKinds, findDocuments, type ReadDocument, readDocument } from "./documents.ts";
import { readHealth } from "./failover.ts";
import { laterLines, nextLines } from "./next.ts";
import { CONFIG, LEAST_DOCUMENTS, type Options, parseOptions, shown } from "./options.ts";
import { planRun } from "./plan.ts";
import { runPlan } from "./run.ts";
import { freePort, leftovers, Server } from "./server.ts";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
/** For daemons to come up, and for processes to be gone after the server has ended. */
const PATIENCE_MS = 60_000;
const GONE_LIMIT_MS = 5_000;
/** Signals that come so soon after the first are the same press of a key. */
const SAME_KEY_MS = 1_000;

const say = (line = ""): void => void process.stdout.write(`${line}\n`);

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (typeof options === "string") {
    process.stderr.write(`${options}\n`);
    return 2;
  }
  const interrupted = new AbortController();
  let interruptedAt = 0;
  const port = await freePort(options.port);
  if (port !== options.port) say(`port ${options.port} is taken, the server gets another one`);
  const server = new Server({ root: ROOT, config: CONFIG, dataDir: options.dataDir, port });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      // The second one tells the server not to finish what is running. npm and the terminal both pass one Ctrl-C on.
      if (interrupted.signal.aborted && performance.now() - interruptedAt > SAME_KEY_MS) server.askToStop();
      if (!interrupted.signal.aborted) interruptedAt = performance.now();
      interrupted.abort();
    });
  }
  const seen: Seen = { pids: new Set(), ports: new Set() };
  const trouble: string[] = [];
  let code = 0;
  try {
    trouble.push(...(await work(server, options, seen, interrupted.signal)));
  } catch (error) {
    if (interrupted.signal.aborted) {
      say("\nstopped before the work was done: what is left goes on at the next start");
      code = 130;
    } else trouble.push(error instanceof Error ? error.message : String(error));
  }
  if (trouble.length === 0 && code === 0 && !options.exit) trouble.push(...(await stayUp(server, interrupted.signal)));
  tellTrouble(trouble, server);
  const left = (await stop(server, seen)).filter((line) => !trouble.includes(line));
  for (const line of left) process.stderr.write(`trouble: ${line}\n`);
  return trouble.length + left.length > 0 ? 1 : code;
}

/** What the server has started and listened on, to see that it is gone in the end. */
interface Seen {
  readonly pids: Set<number>;
  readonly ports: Set<number>;
}

/** @returns what did not go as it should, a sentence each */
async function work(server: Server, options: Options, seen: Seen, signal: AbortSignal): Promise<readonly string[]> {
  const modules = join(ROOT, "node_modules");
  const documents = findDocuments(modules, { count: options.documents, least: LEAST_DOCUMENTS }).map((found) =>
    readDocument(modules, found),
  );
  if (documents.length === 0) throw new Error(`there are no documents in ${modules}`);
  await unlessAborted(server.ready(), signal);
  const ended = new AbortController();
  const api = new Api({ url: server.url, key: server.key, signal: AbortSignal.any([signal, ended.signal]) });
  void server.ended.then((exit) => ended.abort(new Error(server.describeEnd(exit))));
  seen.pids.add(server.pid);
  seen.ports.add(Number(new URL(server.url).port));
  await daemonsReady(api, seen);
  say(`server  ${server.url}  (pid ${server.pid}, data in ${shown(options.dataDir)}, log in ${shown(server.logFile)})`);
  tellDocuments(documents);
  const plan = planRun(runName(new Date()), documents);
  say(
    `work    ${plan.tasks.length} tasks: 3 per document, a digest for each of ${plan.packages} packages, 1 index; and 1 that is to be refused`,
  );
  say();
  const trouble = await runPlan({ api, plan, dataDir: options.dataDir, out: process.stdout });
  await noteDaemons(api, seen);
  say();
  const { dataDir } = options;
  for (const line of options.exit ? laterLines({ dataDir, plan }) : nextLines(server, { dataDir, plan })) say(line);
  return trouble;
}

/** Waits until every reader is up, so that the numbers of the run are not those of the start. */
async function daemonsReady(api: Api, seen: Seen): Promise<void> {
  const untilMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const { instances } = await noteDaemons(api, seen);
    if (instances.length > 0 && instances.every(({ state }) => state === "healthy")) {
      const list = instances.map(({ id, port }) => `${id} on ${port}`).join(", ");
      say(`readers ${list}`);
      return;
    }
    const states = instances.map(({ id, state }) => `${id} is ${state}`).join(", ");
    if (performance.now() > untilMs) throw new Error(`the readers did not come up: ${states}`);
    await sleep(50);
  }
}

async function noteDaemons(api: Api, seen: Seen): ReturnType<typeof readHealth> {
  const health = await readHealth(api, "readers");
  for (const { pid, port } of health.instances) {
    if (pid !== undefined) seen.pids.add(pid);
    if (port !== undefined) seen.ports.add(port);
  }
  return health;
}

function tellDocuments(documents: readonly ReadDocument[]): void {
  const bytes = documents.reduce((total, document) => total + document.bytes, 0);
  const sizes = documents.map((document) => document.bytes);
  const range = `${Math.min(...sizes)} to ${Math.max(...sizes)} bytes, ${Math.round(bytes / 1_000)} kB in all`;
  say(`reads   ${documents.length} documents of node_modules: ${describeKinds(documents)}; ${range}`);
  for (const { path, encoding } of documents.filter((document) => document.encoding !== "utf-8")) {
    say(`        ${path} is not UTF-8, read as ${encoding}`);
  }
  for (const { path, text } of documents.filter((document) => document.cut)) {
    say(`        ${path} is too large for a task, cut to its first ${text.length} characters`);
  }
}

/** @returns what ended it, unless it was asked to stop */
async function stayUp(server: Server, signal: AbortSignal): Promise<readonly string[]> {
  say();
  say("The server stays up. Ctrl-C stops it.");
  const asked = new Promise<undefined>((resolve) =>
    signal.addEventListener("abort", () => resolve(undefined), { once: true }),
  );
  if (signal.aborted) return [];
  const exit = await Promise.race([server.ended, asked]);
  return exit === undefined ? [] : [server.describeEnd(exit)];
}

/** Stops the server and makes sure that nothing of it is left. @returns what is */
async function stop(server: Server, seen: Seen): Promise<readonly string[]> {
  const exit = await server.stop();
  const left = await leftovers([...seen.pids], [...seen.ports], GONE_LIMIT_MS);
  if (exit.code !== 0) return [server.describeEnd(exit), ...left];
  if (left.length === 0)
    say(`stopped: all ${seen.pids.size} processes are gone, all ${seen.ports.size} ports are free`);
  return left;
}

function tellTrouble(trouble: readonly string[], server: Server): void {
  if (trouble.length === 0) return;
  for (const line of trouble) process.stderr.write(`trouble: ${line}\n`);
  process.stderr.write(`the end of ${shown(server.logFile)}:\n`);
  for (const line of server.logTail()) process.stderr.write(`  ${line}\n`);
}

/** Rejects with the signal's reason when that comes first. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
    promise.catch(() => {});
  }
}

/** `run-20260131-120507`: a new one at each start, so that one data directory holds them all. */
function runName(now: Date): string {
  const [date, time] = now
    .toISOString()
    .replace(/[-:]|\.\d+Z$/g, "")
    .split("T");
  return `run-${date}-${time}`;
}

process.exitCode = await main();
