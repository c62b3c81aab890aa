/** Tasks of schedules bear the name of their schedule as affinity key, so that the log tells whose they are. */
export const SCHEDULE_MARK = "schedule-";

export function isScheduled({ affinityKey }: { readonly affinityKey?: string | undefined }): boolean {
  return affinityKey?.startsWith(SCHEDULE_MARK) === true;
}
