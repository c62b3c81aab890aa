/** Kills one daemon and watches how the pool gets over it. */
import { setTimeout as sleep } from "node:timers/promises";
import type { PoolHealthView } from "../../src/engine/view.ts";
import type { Api } from "./api.ts";

/** Short enough to see a state that lasts as long as a process needs to start. */
const LOOK_MS = 20;
/** Restart delay, start and first probe need about two seconds. */
const RECOVERY_LIMIT_MS = 60_000;

type Instance = PoolHealthView["instances"][number];

export interface Victim {
  readonly id: string;
  readonly pid: number;
  readonly port: number | undefined;
  /** It had work when it was chosen. */
  readonly busy: boolean;
}

export interface Recovery {
  /** The states it went through, in order: crashed, restarting, healthy. */
  readonly states: readonly { readonly state: string; readonly afterMs: number }[];
  readonly pid: number | undefined;
  readonly port: number | undefined;
  readonly recovered: boolean;
}

export function readHealth(api: Api, pool: string): Promise<PoolHealthView> {
  return api.get<PoolHealthView>(`/health/pool?pool=${pool}`);
}

/** Sends SIGKILL to a daemon of the pool, to one that is working if there is one. */
export async function killOne(api: Api, pool: string): Promise<Victim> {
  const { instances } = await readHealth(api, pool);
  const alive = instances.filter((instance) => instance.state === "healthy" && instance.pid !== undefined);
  const chosen = alive.find(({ busy }) => busy) ?? alive[0];
  if (chosen?.pid === undefined) throw new Error(`no healthy daemon in ${pool}: ${describeStates(instances)}`);
  process.kill(chosen.pid, "SIGKILL");
  return { id: chosen.id, pid: chosen.pid, port: chosen.port, busy: chosen.busy };
}

/** Looks at the pool's health until the daemon is up again as a new process, or it takes too long. */
export async function watchRecovery(api: Api, pool: string, victim: Victim): Promise<Recovery> {
  const startedAt = performance.now();
  const states: { state: string; afterMs: number }[] = [];
  for (;;) {
    const { instances } = await readHealth(api, pool);
    const seen = instances.find(({ id }) => id === victim.id);
    const afterMs = Math.round(performance.now() - startedAt);
    const state = stateOf(seen, victim);
    if (state !== undefined && state !== states.at(-1)?.state) states.push({ state, afterMs });
    const recovered = state === "healthy";
    if (recovered || afterMs > RECOVERY_LIMIT_MS) return { states, pid: seen?.pid, port: seen?.port, recovered };
    await sleep(LOOK_MS);
  }
}

/** Undefined while the death has not been noticed: it is still listed as healthy, with the old process or none. */
function stateOf(seen: Instance | undefined, victim: Victim): string | undefined {
  if (seen === undefined) return "gone";
  const isBack = seen.pid !== undefined && seen.pid !== victim.pid;
  return seen.state === "healthy" && !isBack ? undefined : seen.state;
}

function describeStates(instances: readonly Instance[]): string {
  return instances.map(({ id, state }) => `${id} is ${state}`).join(", ");
}
