/** What to try once the work is done. */
import { resolve } from "node:path";
import { CONFIG, DEFAULT_DATA, DEFAULT_PORT, shown } from "./options.ts";
import type { Plan } from "./plan.ts";
import type { Server } from "./server.ts";

interface Run {
  /** Absolute. */
  readonly dataDir: string;
  readonly plan: Plan;
}

/** While the server stays up. */
export function nextLines(server: Server, { dataDir, plan }: Run): string[] {
  const url = new URL(server.url).port === String(DEFAULT_PORT) ? "" : ` --url ${server.url}`;
  const data = dataDir === resolve(DEFAULT_DATA) ? "" : ` --data ${shown(dataDir)}`;
  const troupe = (command: string): string => `npm run -s troupe -- ${command}${url}${data}`;
  const curl = `curl -sS -H "Authorization: Bearer $(cat ${shown(server.keyFile)})"`;
  const refusedId = plan.refused.task.id;
  return [
    "What to try next:",
    "",
    "  the index, as the task that made it tells it",
    `    ${troupe(`task ${plan.indexId}`)}`,
    "  all results",
    `    ${troupe("tasks")}`,
    "  the dead letter with its attempt, and its replay (a new life; it is refused again, as its input is still wrong)",
    `    ${troupe(`task ${refusedId}`)}`,
    `    ${troupe(`replay ${refusedId}`)}`,
    "  the daemons, and what becomes of one that you kill",
    `    ${curl} ${server.url}/health/pool?pool=readers`,
    "  work of your own",
    `    ${curl} -H 'Content-Type: application/json' \\`,
    `      -d '{ "type": "summarise", "prompt": "Put a long text here." }' '${server.url}/v1/pools/readers/tasks?waitMs=5000'`,
  ];
}

/** When the server is about to leave. */
export function laterLines({ dataDir, plan }: Run): string[] {
  const data = dataDir === resolve(DEFAULT_DATA) ? "" : ` --data ${shown(dataDir)}`;
  return [
    "All results stay in the data directory. To read them, start a server on it, and ask it from another terminal:",
    "",
    `    npm run -s troupe -- up --config ${CONFIG}${data}`,
    `    npm run -s troupe -- task ${plan.indexId}${data}`,
    "",
  ];
}
