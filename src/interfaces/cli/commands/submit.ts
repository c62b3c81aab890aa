/** `troupe submit`: hands in one task. */
import { type Command, InvalidArgumentError } from "commander";
import type { Json } from "../../../base/json.ts";
import type { TaskInput } from "../../../engine/options/task.ts";
import type { TaskView } from "../../../engine/view.ts";
import { CliError } from "../cli-error.ts";
import { isSettled, LONGEST_WAIT_MS } from "../client.ts";
import { clientCommand, commaList, connect, LONGEST_MS, wholeNumber } from "../connect.ts";
import { describeTask, exitCodeOf } from "../task-text.ts";

/** What a server takes as a task. */
const STDIN_LIMIT_BYTES = 1_048_576;

interface SubmitOptions {
  readonly input?: Json;
  readonly type?: string;
  readonly priority?: string;
  readonly id?: string;
  readonly depends?: string[];
  readonly requires?: string[];
  readonly timeoutMs?: number;
  readonly deadline?: string;
  readonly idempotencyKey?: string;
  /** True = until it is settled. */
  readonly wait?: number | true;
}

export function submitCommand(): Command {
  const milliseconds = wholeNumber({ min: 0, max: LONGEST_MS });
  return clientCommand("submit", "hand in a task")
    .argument("<pool>", "the pool")
    .argument("[prompt]", "text for the agent; - reads it from stdin")
    .option("--input <json>", "JSON for the agent", jsonValue)
    .option("--type <type>", "type of the task (general)")
    .option("--priority <priority>", "critical, high, medium or low, or 1 to 4 (medium)")
    .option("--id <id>", "its id (one is made)")
    .option("--depends <ids>", "tasks that must be completed first: a,b", commaList)
    .option("--requires <capabilities>", "what its agent must be able to do: a,b", commaList)
    .option("--timeout-ms <ms>", "limit of one attempt", wholeNumber({ min: 1, max: LONGEST_MS }))
    .option("--deadline <instant>", "when it must be done: 2030-01-31T12:00:00Z")
    .option("--idempotency-key <key>", "the same key and task again gives the same task")
    .option("--wait [ms]", "wait for its settlement, at most so long", milliseconds)
    .action(async (pool: string, prompt: string | undefined, options: SubmitOptions, command: Command) => {
      const { client, output } = connect(command);
      const body = taskOf(prompt === "-" ? await readStdin() : prompt, options);
      const { wait } = options;
      const waitMs = wait === true ? LONGEST_WAIT_MS : Math.min(wait ?? 0, LONGEST_WAIT_MS);
      const path = `/v1/pools/${encodeURIComponent(pool)}/tasks`;
      const first = await client.post<TaskView>(path, { body, waitMs });
      const longer = wait === true || (wait !== undefined && wait > waitMs);
      const task =
        longer && !isSettled(first)
          ? await client.settled(first.id, { waitMs: wait === true ? undefined : wait - waitMs })
          : first;
      output.data(task, () => (wait === undefined ? `${task.id}  ${task.status}` : describeTask(task)));
      if (wait !== undefined) process.exitCode = exitCodeOf(task);
    });
}

function taskOf(prompt: string | undefined, options: SubmitOptions): TaskInput {
  const { input, type, priority, id, depends, requires, timeoutMs, deadline, idempotencyKey } = options;
  if (prompt === undefined && input === undefined) {
    throw new CliError("usage", "expected a prompt, - to read it from stdin, or --input");
  }
  const level = priority !== undefined && /^[1-4]$/.test(priority) ? Number(priority) : priority;
  const task = {
    prompt,
    input,
    type,
    priority: level,
    id,
    dependencies: depends,
    requires,
    timeoutMs,
    deadlineAt: deadline,
    idempotencyKey,
  };
  // The server, which knows every rule, refuses what is wrong and names the field.
  return task as TaskInput;
}

function jsonValue(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    throw new InvalidArgumentError("Expected JSON.");
  }
}

async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin) {
    chunks.push(chunk as Buffer);
    size += (chunk as Buffer).byteLength;
    if (size > STDIN_LIMIT_BYTES) {
      throw new CliError("usage", `the prompt on stdin is too large: at most ${STDIN_LIMIT_BYTES} bytes are taken`);
    }
  }
  return Buffer.concat(chunks).toString("utf8");
}
