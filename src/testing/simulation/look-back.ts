/** The end of a run: everything that anybody was told, compared with what the engine shows. */
import { isPoolError } from "../../base/errors.ts";
import type { LocalEngine } from "../../engine/engine.ts";
import type { TaskView } from "../../engine/view.ts";
import { Lost, type Scene, Unreachable } from "./scene.ts";

/** How many acknowledged tasks are not there. */
export async function lookBack(scene: Scene): Promise<number> {
  const { ledger, audit, violate } = scene;
  let lost = 0;
  const listed = await list(scene);
  for (const entry of ledger.entries.values()) {
    const view = await find(scene, entry.id);
    if (view === undefined) lost += 1;
    ledger.checkEnd(entry, view, scene);
    if (!listed.has(entry.id)) violate(`task ${entry.id} is listed`);
  }
  if (listed.size !== audit.tasks.size) violate(`${audit.tasks.size} tasks are listed, not ${listed.size}`);
  ledger.checkRefused(scene);
  return lost;
}

async function find(scene: Scene, id: string): Promise<TaskView | undefined> {
  try {
    return await insist(scene, (engine) => engine.task(id));
  } catch (error) {
    if (isPoolError(error, "not_found")) return undefined;
    throw error;
  }
}

/** Every task, page by page. */
async function list(scene: Scene): Promise<Set<string>> {
  const seen = new Set<string>();
  let cursor: string | undefined;
  do {
    const page = await insist(scene, (engine) => engine.tasks({ limit: 7, cursor }));
    for (const { id } of page.items) {
      if (seen.has(id)) scene.violate(`task ${id} is listed once`);
      seen.add(id);
    }
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return seen;
}

/** An engine whose last commit fails late may be gone once more. */
async function insist<T>(scene: Scene, ask: (engine: LocalEngine) => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await scene.call(ask);
    } catch (error) {
      const passes = error instanceof Lost || error instanceof Unreachable || isPoolError(error, "unavailable");
      if (!passes) throw error;
      await scene.sleep(100);
    }
  }
}
