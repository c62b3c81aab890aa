/** What an agent is handed: the task's body and the results of its dependencies, composed when it is leased. */
import type { AttemptTask } from "../agents/agent.ts";
import { PoolError } from "../base/errors.ts";
import type { TaskId } from "../base/ids.ts";
import type { Json } from "../base/json.ts";
import type { LeasedAttempt } from "../core/effect.ts";
import type { NamespaceState } from "../core/state.ts";
import type { Task, TaskBody, TaskBodyRest } from "../core/task.ts";
import type { Store } from "../stores/store.ts";
import type { Payloads } from "./payloads.ts";
import { restOf } from "./task-body.ts";

/** Results of all dependencies together. UTF-16 units. */
export const DEPENDENCIES_LIMIT = 16 * 1_048_576;

export interface HandoverOptions {
  readonly state: NamespaceState;
  readonly store: Store;
  readonly payloads: Payloads;
}

export class Handover {
  readonly #options: HandoverOptions;

  constructor(options: HandoverOptions) {
    this.#options = options;
  }

  /** At once when everything is at hand, else when the store has answered. Undefined when the task is gone. */
  compose(attempt: LeasedAttempt): AttemptTask | undefined | Promise<AttemptTask | undefined> {
    const task = this.#options.state.tasks.get(attempt.taskId);
    if (task === undefined) return undefined;
    const body = this.#options.payloads.body(task.num);
    if (body !== undefined && task.spec.dependencies.length === 0)
      return attemptTask(task, attempt, body, NOTHING_ADDED);
    return this.#fetch(task, attempt, body);
  }

  async #fetch(task: Task, attempt: LeasedAttempt, cached: TaskBody | undefined): Promise<AttemptTask> {
    const { store } = this.#options;
    const body = cached ?? (await store.bodies([task.num])).get(task.num) ?? {};
    const { dependencies } = task.spec;
    if (dependencies.length === 0) return attemptTask(task, attempt, body, NOTHING_ADDED);
    const results = await store.results(dependencies);
    let size = 0;
    const byId: [TaskId, Json][] = [];
    for (const [id, text] of results) {
      size += text.length;
      if (size > DEPENDENCIES_LIMIT) {
        throw new PoolError("too_large", `the results of its dependencies exceed ${DEPENDENCIES_LIMIT} characters`);
      }
      byId.push([id, JSON.parse(text) as Json]);
    }
    const failed = await this.#failures(task.failedDependencies);
    return attemptTask(task, attempt, body, { dependencies: Object.fromEntries(byId), ...failed });
  }

  async #failures(ids: readonly TaskId[]): Promise<{ failedDependencies?: Record<string, Json> }> {
    if (ids.length === 0) return {};
    const { tasks } = await this.#options.store.facts(ids, []);
    const failed = ids.map((id): [TaskId, Json] => {
      const settlement = tasks.get(id)?.settlement;
      // It was waited for, and never submitted.
      if (settlement === undefined) {
        return [id, { status: "unknown", error: { code: "unknown_dependency", message: "nobody has submitted it" } }];
      }
      const { code = settlement.status, message = "" } = settlement.error ?? {};
      return [id, { status: settlement.status, error: { code, message } }];
    });
    return { failedDependencies: Object.fromEntries(failed) };
  }
}

/** Most tasks bring a prompt and nothing else, and depend on nothing. */
const NOTHING_MORE: TaskBodyRest = {};
const NOTHING_ADDED: { readonly [key: string]: Json } = {};

function attemptTask(
  { spec }: Task,
  { number, fence }: LeasedAttempt,
  body: TaskBody,
  added: { readonly [key: string]: Json },
): AttemptTask {
  const rest = body.rest === undefined ? NOTHING_MORE : restOf(body);
  return {
    id: spec.id,
    pool: spec.pool,
    type: spec.type,
    attempt: number,
    fence,
    prompt: body.prompt,
    input: rest.input,
    context: rest.context === undefined && added === NOTHING_ADDED ? {} : { ...rest.context, ...added },
    metadata: rest.metadata ?? {},
  };
}
