/** Clients of a server that may die at any moment: submitters who keep a ledger, and a remote worker. */
import type { Server } from "./server.ts";

/** Whoever is the server just now. */
export type Current = () => Server | undefined;

/** The connection broke, or the server said that it can't right now. */
const again = (status: number): boolean => status >= 500 || status === 429;

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

/** Repeats a request, on whatever server there is, until it is answered for good. Undefined once `stopped`. */
export async function insist(
  current: Current,
  stopped: () => boolean,
  [method, path, body]: readonly [string, string, unknown?],
): Promise<{ status: number; body: unknown } | undefined> {
  while (!stopped()) {
    try {
      const answer = await current()?.request(method, path, body);
      if (answer !== undefined && !again(answer.status)) return answer;
    } catch {
      // Unknown is not failed: the same request, with the same key, again.
    }
    await pause();
  }
  return undefined;
}

/** Submits tasks one after another, each under an idempotency key, and notes what was acknowledged. */
export async function submitter(
  current: Current,
  stopped: () => boolean,
  { name, pool, acknowledged }: { name: string; pool: string; acknowledged: (id: string) => void },
): Promise<void> {
  for (let n = 0; !stopped(); n++) {
    const task = { prompt: `${name} ${n}`, idempotencyKey: `${name}-${n}` };
    const answer = await insist(current, stopped, ["POST", `/v1/pools/${pool}/tasks`, task]);
    if (answer === undefined) return;
    if (answer.status !== 200 && answer.status !== 201) throw new Error(JSON.stringify(answer));
    acknowledged((answer.body as { id: string }).id);
  }
}

/** Claims and completes, joins again when it is not known, repeats reports that were not answered. */
export async function worker(current: Current, stopped: () => boolean, name: string): Promise<void> {
  let id: string | undefined;
  while (!stopped()) {
    if (id === undefined) {
      const joined = await insist(current, stopped, [
        "POST",
        "/v1/pools/remote/agents",
        { kind: "remote", name, replace: true },
      ]);
      id = (joined?.body as { id?: string } | undefined)?.id;
      continue;
    }
    const claimed = await insist(current, stopped, ["POST", `/v1/agents/${id}/claim`, { max: 1, waitMs: 200 }]);
    if (claimed?.status === 404) id = undefined;
    const { attempts = [] } = (claimed?.body ?? {}) as {
      attempts?: { taskId: string; fence: number; task: { prompt: string } }[];
    };
    for (const { taskId, fence, task } of attempts) {
      const report = { fence, result: task.prompt.length };
      await insist(current, stopped, ["POST", `/v1/tasks/${taskId}/complete`, report]);
    }
  }
}
