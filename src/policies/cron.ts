/** When a cron pattern is met next. A pure function of pattern, time zone and instant. */
import { Cron } from "croner";

export interface CronRule {
  /** Five fields, six with seconds, seven with a year, or a nickname such as `@daily`. */
  readonly cron: string;
  /** IANA name. */
  readonly timezone: string;
}

/** Instants that have passed are counted up to this: a pattern of seconds has 86,400 of them in a day. */
export const MISSED_LIMIT = 100;

const NICKNAME = /^@(?:yearly|annually|monthly|weekly|daily|midnight|hourly)$/i;
/** Words, not dates; `?` would stand for the moment at which the pattern is read. */
const FIELDS = /^[^\s?]+(?:\s+[^\s?]+){4,6}$/;

/** What is wrong with a rule: the field and a sentence. Undefined when it will be met after `nowMs`. */
export function problemOfCron(
  rule: CronRule,
  nowMs: number,
): { path: "cron" | "timezone"; message: string } | undefined {
  if (!isTimezone(rule.timezone)) {
    return { path: "timezone", message: `expected an IANA time zone such as Europe/Berlin; got ${rule.timezone}` };
  }
  const text = rule.cron.trim();
  if (!NICKNAME.test(text) && !FIELDS.test(text)) {
    return {
      path: "cron",
      message: "expected five to seven fields, such as 0 9 * * 1-5, or a nickname such as @daily",
    };
  }
  try {
    if (nextRunMs(rule, nowMs) !== undefined) return undefined;
  } catch (error) {
    return { path: "cron", message: (error as Error).message };
  }
  return { path: "cron", message: "it is never met" };
}

/**
 * The first instant after `afterMs` at which the rule is met; undefined when there is none. A time that a change of
 * clocks leaves out is met at the end of the gap, one that it repeats is met once.
 */
export function nextRunMs(rule: CronRule, afterMs: number): number | undefined {
  return runs(rule)(afterMs);
}

/** How many instants after `fromMs` have passed at `nowMs`; counted up to `MISSED_LIMIT`. */
export function missedRuns(rule: CronRule, fromMs: number, nowMs: number): number {
  const next = runs(rule);
  let missed = 0;
  for (let atMs = next(fromMs); atMs !== undefined && atMs <= nowMs && missed < MISSED_LIMIT; atMs = next(atMs)) {
    missed += 1;
  }
  return missed;
}

function runs({ cron, timezone }: CronRule): (afterMs: number) => number | undefined {
  const pattern = new Cron(cron.trim(), { timezone });
  return (afterMs) => pattern.nextRun(new Date(afterMs))?.getTime();
}

function isTimezone(timezone: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: timezone });
    return true;
  } catch {
    return false;
  }
}
