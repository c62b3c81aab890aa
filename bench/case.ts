/** What a case of the bench is: one question, asked of several subjects, each in a process of its own. */

/** By the names of the case's columns. */
export type Figures = Readonly<Record<string, number>>;

export interface Subject {
  readonly name: string;
  /** Troupe, something one might take instead, or what the machine allows without any product. */
  readonly kind: "troupe" | "peer" | "floor";
  /** @param scale - 1 = as published; smaller = fewer tasks or less time, for a look whether it runs */
  run(scale: number): Promise<Figures>;
}

export interface Column {
  readonly key: string;
  /** With its unit. */
  readonly title: string;
  readonly digits?: number;
}

export interface Case {
  readonly id: string;
  readonly title: string;
  /** What is done, and what the figures are. */
  readonly says: string;
  readonly columns: readonly Column[];
  /** Ratios are taken of this column, and say how often a subject is better than `against`. */
  readonly ratio?: { readonly of: string; readonly better: "less" | "more"; readonly against: string };
  readonly subjects: readonly Subject[];
}

/** `scale` of something, at least `least`. */
export const scaled = (count: number, scale: number, least = 1): number => Math.max(least, Math.round(count * scale));

export function quantile(figures: readonly number[], share: number): number {
  const sorted = Float64Array.from(figures).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

export const middle = (figures: readonly number[]): number => quantile(figures, 0.5);

/** What a task costs: on the clock, and of the processor, which a busy machine changes less. Nanoseconds. */
export type Cost = { readonly nanos: number; readonly cpuNanos: number };

export const COST_COLUMNS: readonly Column[] = [
  { key: "nanos", title: "ns per task" },
  { key: "cpuNanos", title: "CPU ns per task" },
];

export async function costOf(tasks: number, drive: () => Promise<unknown>): Promise<Cost> {
  const cpuBefore = process.cpuUsage();
  const from = performance.now();
  await drive();
  const nanos = (performance.now() - from) * 1e6;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { nanos: nanos / tasks, cpuNanos: ((user + system) * 1_000) / tasks };
}

/**
 * So many callers, each awaiting its own task before it hands in the next. Before that as many again, which are not
 * measured: code that has been compiled is compared with code that has been compiled.
 */
export async function costPerTask(
  one: (n: number) => Promise<unknown>,
  { tasks, callers }: { tasks: number; callers: number },
): Promise<Cost> {
  const loop = async (count: number): Promise<void> => {
    let left = count;
    const caller = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        await one(left);
      }
    };
    await Promise.all(Array.from({ length: callers }, caller));
  };
  await loop(tasks);
  return costOf(tasks, () => loop(tasks));
}

/** The same for a time; tasks per second, and how long each took. */
export async function closedLoop(
  one: (n: number) => Promise<unknown>,
  { millis, callers }: { millis: number; callers: number },
): Promise<{ perSecond: number; tookMs: number[] }> {
  const loop = async (forMs: number): Promise<number[]> => {
    const tookMs: number[] = [];
    const until = performance.now() + forMs;
    const caller = async (): Promise<void> => {
      for (let from = performance.now(); from < until; from = performance.now()) {
        await one(tookMs.length);
        tookMs.push(performance.now() - from);
      }
    };
    await Promise.all(Array.from({ length: callers }, caller));
    return tookMs;
  };
  await loop(millis / 4);
  const from = performance.now();
  const tookMs = await loop(millis);
  return { perSecond: (tookMs.length * 1_000) / (performance.now() - from), tookMs };
}
