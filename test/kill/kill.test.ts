/** The server is killed in the middle of a load, again and again; an outside ledger decides what was lost. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { submitter, worker } from "./load.ts";
import { processesNaming, type Server, startServer } from "./server.ts";

const KILLS = Number(process.env.TROUPE_TEST_KILLS ?? 10);
/** Acknowledgements between two kills. */
const ACKS_PER_LIFE = 25;

const dir = mkdtempSync(join(tmpdir(), "troupe-kill-"));
/** In the environment of every child of the servers, so that what is left of them can be found. */
const MARK = `KILL_TEST_${process.pid}`;
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const DAEMON = `
  require("node:http").createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => { body += chunk; });
    request.on("end", () => setTimeout(() => response.end(JSON.stringify({ read: body.length })), 20));
  }).listen(process.env.PORT, "127.0.0.1");
`;

function writeConfig(): string {
  const file = join(dir, "troupe.yaml");
  const env = { [MARK]: "1" };
  const pools = [
    { id: "shell", agents: [{ kind: "command", count: 2, program: "cat", env }], retry: { maxAttempts: 5 } },
    {
      id: "daemons",
      agents: [{ kind: "daemon", count: 2, env }],
      daemon: { program: process.execPath, args: ["-e", DAEMON], basePort: 0 },
      restart: { delayMs: 0 },
      retry: { maxAttempts: 5 },
    },
    { id: "remote", lease: { ttlMs: 2_000, renewMs: 500 } },
  ];
  writeFileSync(file, JSON.stringify({ server: { shutdown: { drainMs: 10_000 } }, pools }));
  return file;
}

test("S3-10 S3-L04 after kill -9 in the middle of a load no acknowledged task is lost, none is settled twice, no child is left", {
  timeout: 300_000,
}, async () => {
  const config = writeConfig();
  const data = join(dir, "data");
  const acknowledged: string[] = [];
  let server: Server | undefined;
  let stopped = false;
  let told: () => void = () => {};
  const clients: Promise<void>[] = [];
  const current = (): Server | undefined => server;
  const isStopped = (): boolean => stopped;
  for (const pool of ["shell", "daemons", "remote"]) {
    const note = (id: string): void => {
      acknowledged.push(id);
      told();
    };
    clients.push(submitter(current, isStopped, { name: `client-${pool}`, pool, acknowledged: note }));
  }
  let workersStopped = false;
  const workers = worker(current, () => workersStopped, "puller");

  for (let kill = 0; kill < KILLS; kill++) {
    server = await startServer(data, config);
    const goal = acknowledged.length + ACKS_PER_LIFE;
    await new Promise<void>((resolve) => {
      told = () => {
        if (acknowledged.length >= goal) resolve();
      };
    });
    const { child, pid } = server;
    // The two daemons at least: the check below would find what is left.
    expect(processesNaming(MARK, [pid]).length).toBeGreaterThanOrEqual(2);
    child.kill("SIGKILL");
    await once(child, "exit");
    server = undefined;
    await expect.poll(() => processesNaming(MARK, [pid]), { timeout: 20_000 }).toEqual([]);
  }

  stopped = true;
  server = await startServer(data, config);
  await Promise.all(clients);
  const last = server;
  const unsettled = async (): Promise<number> => {
    let open = 0;
    for (const status of ["pending", "assigned", "in_progress"]) {
      const { body } = await last.request("GET", `/v1/tasks?status=${status}&limit=1000`);
      open += (body as { items: unknown[] }).items.length;
    }
    return open;
  };
  await expect.poll(unsettled, { timeout: 120_000, interval: 200 }).toBe(0);
  workersStopped = true;
  await workers;
  last.child.kill("SIGTERM");
  const [code] = await once(last.child, "exit");
  expect(code).toBe(0);
  expect(processesNaming(MARK, [])).toEqual([]);

  const acks = join(dir, "acknowledged.jsonl");
  writeFileSync(acks, acknowledged.map((id) => `${JSON.stringify({ id })}\n`).join(""));
  const ledger = spawnSync(process.execPath, ["scripts/ledger.mjs", join(data, "troupe.db"), acks], {
    encoding: "utf8",
  });
  console.log(`ledger after ${KILLS} kills: ${ledger.stdout.trim()}`);
  expect(ledger.stderr).toBe("");
  const counts = JSON.parse(ledger.stdout) as Record<string, unknown>;
  expect(counts).toMatchObject({ lost: 0, settledTwice: 0, open: 0, gaps: 0, shrunkFences: 0, integrity: "ok" });
  expect(counts.acknowledged).toBeGreaterThanOrEqual(KILLS * ACKS_PER_LIFE);
  expect(ledger.status).toBe(0);
});
