/** A server of the test's own, with an engine in memory, and how it is asked. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { openEngine } from "../src/engine/open.ts";
import type { Engine } from "../src/engine/troupe.ts";
import { type HttpServer, serveHttp } from "../src/interfaces/http/server.ts";
import { createMemoryStore } from "../src/stores/memory.ts";

export const KEY = "a-key-for-tests";
const DAEMON = resolve("test/fixtures/agents/daemon.mjs");

export interface Answer<T> {
  readonly status: number;
  readonly body: T;
}

/** What an error is answered with. */
export interface Problem {
  readonly code: string;
  readonly path?: string;
  readonly detail: string;
}

export interface Served {
  /** For files of the test. */
  readonly dir: string;
  readonly engine: Engine;
  readonly url: string;
  ask<T>(method: string, path: string, body?: unknown): Promise<Answer<T>>;
}

/** Serves from the first test of the file to its last; `name` begins the name of its directory. */
export function served(name: string): Served {
  const dir = mkdtempSync(join(tmpdir(), `troupe-${name}-`));
  let engine: Engine;
  let http: HttpServer;

  beforeAll(async () => {
    engine = await openEngine({ store: createMemoryStore(), dataDir: dir });
    http = await serveHttp({ engine, host: "127.0.0.1", port: 0, auth: { key: KEY } });
  });

  afterAll(async () => {
    await engine.close({ drainMs: 0 });
    await http.close();
    rmSync(dir, { recursive: true, force: true });
  });

  return {
    dir,
    get engine() {
      return engine;
    },
    get url() {
      return http.url;
    },
    async ask<T>(method: string, path: string, body?: unknown): Promise<Answer<T>> {
      const response = await fetch(http.url + path, {
        method,
        headers: { authorization: `Bearer ${KEY}`, "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, body: (await response.json()) as T };
    },
  };
}

/** Daemons of the fixture; port 0 lets the system choose. */
export const daemonOf = (options: readonly string[] = [], basePort = 0) => ({
  program: process.execPath,
  args: [DAEMON, "{port}", ...options],
  basePort,
});
