/** The peers, as far as the bench asks anything of them. They are installed in `bench/` only, so nothing is typed. */

/** Loads a package of `bench/node_modules`. */
const load = async <T>(name: string): Promise<T> => (await import(name)) as T;

type Work = () => Promise<unknown>;

export async function fastq(concurrency: number): Promise<(work: Work) => Promise<unknown>> {
  type Make = {
    promise(run: (work: Work) => Promise<unknown>, concurrency: number): { push(work: Work): Promise<unknown> };
  };
  const { default: make } = await load<{ default: Make }>("fastq");
  const queue = make.promise((work) => work(), concurrency);
  return (work) => queue.push(work);
}

export async function pLimit(concurrency: number): Promise<(work: Work) => Promise<unknown>> {
  const { default: make } = await load<{ default: (concurrency: number) => (work: Work) => Promise<unknown> }>(
    "p-limit",
  );
  return make(concurrency);
}

interface PriorityQueue {
  add(work: Work, options?: { priority?: number }): Promise<unknown>;
}

export async function pQueue(options: { concurrency: number; autoStart?: boolean }): Promise<PriorityQueue> {
  const { default: Queue } = await load<{ default: new (options: object) => PriorityQueue }>("p-queue");
  return new Queue(options);
}

export async function asyncPriorityQueue(
  concurrency: number,
): Promise<(work: Work, priority: number) => Promise<unknown>> {
  type Make = (
    run: (work: Work) => Promise<unknown>,
    concurrency: number,
  ) => { push(work: Work, priority: number): Promise<unknown> };
  const { default: library } = await load<{ default: { priorityQueue: Make } }>("async");
  const queue = library.priorityQueue(async (work) => work(), concurrency);
  return (work, priority) => queue.push(work, priority);
}

/** Retry, breaker and bulkhead, as its documentation puts them together. */
export async function cockatiel(concurrency: number): Promise<(work: Work) => Promise<unknown>> {
  interface Policy {
    execute(work: Work): Promise<unknown>;
  }
  interface Library {
    readonly handleAll: unknown;
    readonly ConsecutiveBreaker: new (count: number) => unknown;
    retry(on: unknown, options: object): Policy;
    circuitBreaker(on: unknown, options: object): Policy;
    bulkhead(limit: number, queue: number): Policy;
    wrap(...policies: Policy[]): Policy;
  }
  const { handleAll, ConsecutiveBreaker, retry, circuitBreaker, bulkhead, wrap } = await load<Library>("cockatiel");
  const breaker = circuitBreaker(handleAll, { halfOpenAfter: 5_000, breaker: new ConsecutiveBreaker(5) });
  const policy = wrap(retry(handleAll, { maxAttempts: 2 }), breaker, bulkhead(concurrency, 1_000_000));
  return (work) => policy.execute(work);
}

interface Breaker {
  fire(): Promise<unknown>;
}

export async function opossum(work: Work): Promise<Breaker> {
  const { default: Circuit } = await load<{ default: new (work: Work, options: object) => Breaker }>("opossum");
  return new Circuit(work, { timeout: false, errorThresholdPercentage: 50, resetTimeout: 5_000 });
}

/** What one puts together in an afternoon: a priority queue, ten agents with a breaker each, the least loaded first. */
export async function assembled(
  work: Work,
  { agents, slots }: { agents: number; slots: number },
): Promise<(priority: number) => Promise<unknown>> {
  const queue = await pQueue({ concurrency: agents * slots });
  const crew = await Promise.all(
    Array.from({ length: agents }, async () => ({
      breaker: await opossum(work),
      inFlight: 0,
      succeeded: 0,
      failed: 0,
    })),
  );
  const run = async (): Promise<unknown> => {
    const agent = crew.reduce((best, next) => (next.inFlight < best.inFlight ? next : best));
    agent.inFlight += 1;
    try {
      const result = await agent.breaker.fire();
      agent.succeeded += 1;
      return result;
    } catch (error) {
      agent.failed += 1;
      throw error;
    } finally {
      agent.inFlight -= 1;
    }
  };
  return (priority) => queue.add(run, { priority });
}

export interface PlainJob {
  add(type: string, data: unknown): { id: number };
  getAndMarkJobAsProcessing(type: string): { id: number } | undefined;
  markJobAsDone(id: number): void;
  close(): void;
}

/** On better-sqlite3, with every commit synced. */
export async function plainJob(file: string): Promise<PlainJob> {
  interface Database {
    pragma(words: string): void;
  }
  const { default: Database } = await load<{ default: new (file: string) => Database }>("better-sqlite3");
  const { better, defineQueue } = await load<{
    better(database: Database): unknown;
    defineQueue(options: object): PlainJob;
  }>("plainjob");
  const database = new Database(file);
  const silent = { error() {}, warn() {}, info() {}, debug() {} };
  const queue = defineQueue({ connection: better(database), logger: silent });
  database.pragma("synchronous = FULL");
  return queue;
}
