/** Schedules in the library. */
import type { LocalEngine } from "../engine.ts";
import type { ScheduleInput } from "../options/schedule.ts";
import type { ScheduleView } from "../view.ts";

/** Tasks that are submitted by the clock. */
export interface Schedules {
  /** @throws PoolError `conflict` for a known id, `invalid` for a bad pattern or time zone, `not_found` for the pool */
  create(schedule: ScheduleInput): Promise<ScheduleView>;
  list(): ScheduleView[];
  /** @throws PoolError `not_found` */
  get(id: string): ScheduleView;
  /** Lets its instants pass until it is resumed. */
  pause(id: string): Promise<ScheduleView>;
  /** It goes on with the next instant. */
  resume(id: string): Promise<ScheduleView>;
  /** Tasks that it has submitted stay. */
  delete(id: string): Promise<void>;
}

export function schedulesOf(engine: () => LocalEngine): Schedules {
  return {
    create: async (schedule) => engine().createSchedule(schedule),
    list: () => engine().schedules(),
    get: (id) => engine().schedule(id),
    pause: async (id) => engine().pauseSchedule(id, true),
    resume: async (id) => engine().pauseSchedule(id, false),
    delete: async (id) => engine().deleteSchedule(id),
  };
}
