/**
 * Bugs to be planted, each an override of one module of the product: the best evidence that the simulation can fail.
 * Most are mistakes that other systems were shipped with.
 */
import type { Store } from "../src/stores/store.ts";

export interface Plant {
  readonly title: string;
  readonly path: string;
  readonly override: (original: never) => object;
}

/** Replaces some exports of one module of the product. */
function plant<M>(title: string, path: string, override: (original: M) => Partial<M>): Plant {
  return { title, path, override: override as Plant["override"] };
}

type Admits = typeof import("../src/core/admits.ts");
type Poison = typeof import("../src/core/poison.ts");
type BreakerModule = typeof import("../src/policies/breaker/breaker.ts");
type Budget = typeof import("../src/policies/retry-budget.ts");
type ClassesModule = typeof import("../src/core/classes.ts");
type Company = typeof import("../src/core/company.ts");
type Keys = typeof import("../src/core/fair-keys.ts");
type HeldLines = typeof import("../src/core/held-line.ts");
type Leases = typeof import("../src/core/lease.ts");
type Orders = typeof import("../src/core/order.ts");
type ServiceClasses = typeof import("../src/core/service-class.ts");
type Submissions = typeof import("../src/engine/submission.ts");
type Tasks = typeof import("../src/core/apply/tasks.ts");
type Due = typeof import("../src/core/due.ts");
type Flaky = typeof import("../src/testing/flaky-store.ts");
type Order = typeof import("../src/core/order.ts");
type Loops = typeof import("../src/engine/loop.ts");
type Memory = typeof import("../src/stores/memory.ts");
type Payload = typeof import("../src/engine/payloads.ts");
type Replace = typeof import("../src/core/replace.ts");
type Restore = typeof import("../src/core/restore.ts");
type Retry = typeof import("../src/core/retry.ts");
type Room = typeof import("../src/core/room.ts");
type Autoscale = typeof import("../src/policies/autoscale.ts");
type Cron = typeof import("../src/policies/cron.ts");
type Dependencies = typeof import("../src/core/dependencies.ts");
type ScheduleDesks = typeof import("../src/engine/schedule-desk.ts");
type Settle = typeof import("../src/core/settle.ts");
type Spend = typeof import("../src/core/spend.ts");
type State = typeof import("../src/core/state.ts");
type StubsModule = typeof import("../src/engine/stubs.ts");

/** The same store, but for its commits. */
function committing(store: Store, commit: Store["commit"]): Store {
  return new Proxy(store, {
    get(target, name) {
      if (name === "commit") return commit;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

export const PLANTS: readonly Plant[] = [
  plant<Loops>("an attempt begins before its lease is stored", "../src/engine/loop.ts", ({ Loop }) => ({
    Loop: class extends Loop {
      constructor(options: ConstructorParameters<typeof Loop>[0]) {
        const { store, perform } = options;
        const early = committing(store, async (commit) => {
          const nothing = { record: () => {} } as never;
          for (const event of commit.events)
            if (event.type === "task.leased") perform({ type: "run", attempt: event }, nothing);
          await store.commit(commit);
        });
        super({ ...options, store: early });
      }
    },
  })),
  plant<Loops>("callers are answered before their commit", "../src/engine/loop.ts", ({ Loop }) => ({
    Loop: class extends Loop {
      constructor(options: ConstructorParameters<typeof Loop>[0]) {
        const { store } = options;
        let last: Promise<void> = Promise.resolve();
        const hasty = committing(store, async (commit) => {
          last = last.then(() => store.commit(commit)).catch(() => {});
        });
        super({ ...options, store: hasty });
      }
    },
  })),
  plant<Flaky>("a store acknowledges and forgets", "../src/testing/flaky-store.ts", ({ createFlakyStore }) => ({
    createFlakyStore: (inner, plan) => createFlakyStore(inner, Object.create(plan, { unsynced: { value: 2 } })),
  })),
  plant<Memory>("a store forgets a row of a commit", "../src/stores/memory.ts", ({ createMemoryStore }) => ({
    createMemoryStore: (options) => {
      const store = createMemoryStore(options);
      return committing(store, (commit) => store.commit({ ...commit, open: commit.open.slice(0, 2) }));
    },
  })),
  plant<Settle>("a report with an old fence is taken", "../src/core/settle.ts", ({ report }) => ({
    report: (state, command, turn) => {
      const now = state.tasks.get(command.taskId)?.state;
      return report(state, now?.name === "leased" ? { ...command, fence: now.lease.fence } : command, turn);
    },
  })),
  plant<Retry>("the agent that failed is not excluded", "../src/core/retry.ts", ({ afterAttempt }) => ({
    afterAttempt: (task, outcome, facts) => ({ ...afterAttempt(task, outcome, facts), exclude: false }),
  })),
  plant<Retry>("every attempt that is given back is free", "../src/core/retry.ts", ({ afterAttempt }) => ({
    afterAttempt: (task, outcome, facts) => {
      const verdict = afterAttempt(task, outcome, facts);
      return outcome.name === "released" ? { ...verdict, charged: false } : verdict;
    },
  })),
  plant<Tasks>("a dependent is released twice after a restart", "../src/core/apply/tasks.ts", ({ waitFor }) => ({
    waitFor: (state, dependency, id) => {
      waitFor(state, dependency, id);
      waitFor(state, dependency, id);
    },
  })),
  plant<Dependencies>("a dependent does not wait for its time", "../src/core/dependencies.ts", () => ({
    afterDependencies: () => ({ reason: "agent" }),
  })),
  plant<State>("fences begin anew with a restart", "../src/core/state.ts", () => ({
    nextFence: (state) => state.fences + 1,
  })),
  plant<Restore>("a restart forgets who failed a task", "../src/core/restore.ts", ({ restore }) => ({
    restore: (stored, nowMs) => {
      const open = stored.open.map((facts) => ({ ...facts, failedAgentIds: [] }));
      return restore({ ...stored, open }, nowMs);
    },
  })),
  plant<Room>("a full queue takes everything", "../src/core/room.ts", () => ({
    roomFor: () => ({ waiting: 0, startsLast: true }),
  })),
  plant<Order>("the youngest task goes first", "../src/core/order.ts", ({ precedes }) => ({
    precedes: (a, b) => precedes(b, a),
  })),
  plant<Due>("a wake-up is lost now and then", "../src/core/due.ts", ({ Due }) => {
    let wakes = 0;
    class Forgetful extends Due {
      override add(entry: Parameters<InstanceType<typeof Due>["add"]>[0]): void {
        if (entry.kind === "wake" && ++wakes % 10 === 0) return;
        super.add(entry);
      }
    }
    return { Due: Forgetful as typeof Due };
  }),
  plant<StubsModule>("a key is forgotten with the end of its task", "../src/engine/stubs.ts", ({ Stubs }) => ({
    Stubs: class extends Stubs {
      override lookUp: InstanceType<typeof Stubs>["lookUp"] = (ids, _keys, use) => super.lookUp(ids, [], use);
    },
  })),
  plant<Payload>("a result gets lost on the way to the store", "../src/engine/payloads.ts", ({ Payloads }) => ({
    Payloads: class extends Payloads {
      override keepResult(fence: number, result: string): void {
        if (fence % 16 !== 0) super.keepResult(fence, result);
      }
    },
  })),
  // --- order and match ---
  plant<Orders>("nothing is more urgent than age", "../src/core/order.ts", () => ({
    goesFirst: (a, b) => (a.queuedAtMs === b.queuedAtMs ? a.num < b.num : a.queuedAtMs < b.queuedAtMs),
  })),
  plant<ServiceClasses>("anybody may do anything", "../src/core/service-class.ts", () => ({ mayServe: () => true })),
  plant<Keys>("no key is ever full", "../src/core/fair-keys.ts", ({ FairKeys }) => ({
    FairKeys: class<L> extends FairKeys<L> {
      override isFull(): boolean {
        return false;
      }
    },
  })),
  plant<Admits>("an operator's word is forgotten", "../src/core/admits.ts", ({ againstWork }) => ({
    againstWork: (pool, agent, nowMs) => (agent.findings.has("operator") ? undefined : againstWork(pool, agent, nowMs)),
  })),
  // --- gates ---
  plant<ClassesModule>("a closed gate holds nothing", "../src/core/classes.ts", ({ Classes }) => ({
    Classes: class extends Classes {
      override holds(): boolean {
        return false;
      }
    },
  })),
  plant<ClassesModule>("an opened gate lets nothing go", "../src/core/classes.ts", ({ Classes }) => ({
    Classes: class extends Classes {
      override review(type: string, publish: Parameters<InstanceType<typeof Classes>["review"]>[1]): boolean {
        return this.holds(type) && super.review(type, publish);
      }
    },
  })),
  // --- blame and refunds ---
  plant<Retry>("a fault of the task is tried elsewhere", "../src/core/retry.ts", ({ afterAttempt }) => ({
    afterAttempt: (task, outcome, facts) =>
      afterAttempt(task, outcome.name === "failed" ? { ...outcome, blame: "unknown" } : outcome, facts),
  })),
  plant<Retry>("throttling is charged", "../src/core/retry.ts", ({ afterAttempt }) => ({
    afterAttempt: (task, outcome, facts) => {
      const verdict = afterAttempt(task, outcome, facts);
      return outcome.name === "throttled" ? { ...verdict, charged: true } : verdict;
    },
  })),
  plant<Budget>("every retry is affordable", "../src/policies/retry-budget.ts", ({ RetryBudget }) => ({
    RetryBudget: class extends RetryBudget {
      override allows(): boolean {
        return true;
      }
    },
  })),
  // --- poison ---
  plant<Poison>("a death in company counts against everybody", "../src/core/poison.ts", ({ killOf }) => ({
    killOf: (...told) => killOf(...told) && { counted: true },
  })),
  plant<Poison>("nothing is ever poison", "../src/core/poison.ts", () => ({ poisonOf: () => undefined })),
  plant<Poison>("deaths of the engine are not counted", "../src/core/poison.ts", () => ({ deathsOf: () => undefined })),
  plant<Company>("a suspect runs in company", "../src/core/company.ts", () => ({ needsEmptyAgent: () => false })),
  // --- breakers, with the holes of others ---
  plant<BreakerModule>("a stale success closes a breaker", "../src/policies/breaker/breaker.ts", ({ settle }) => ({
    settle: (breaker, permit, outcome, facts) => {
      const [first] = breaker.name === "half_open" ? breaker.leases : [];
      const taken = first === undefined || outcome.name !== "succeeded" ? permit : { ...permit, ...first };
      return settle(breaker, { ...taken, generation: first ? breaker.generation : permit.generation }, outcome, facts);
    },
  })),
  plant<BreakerModule>("a late failure opens a breaker again", "../src/policies/breaker/breaker.ts", ({ settle }) => ({
    settle: (breaker, permit, outcome, facts) => {
      const [first] = breaker.name === "half_open" ? breaker.leases : [];
      if (first === undefined || outcome.name !== "failed") return settle(breaker, permit, outcome, facts);
      return settle(breaker, { generation: breaker.generation, number: first.number }, outcome, facts);
    },
  })),
  plant<BreakerModule>("a hung probe keeps its permit", "../src/policies/breaker/breaker.ts", ({ admitsAtMs }) => ({
    admitsAtMs: (breaker, nowMs, options) => {
      const isOut = breaker.name === "half_open" && breaker.leases.length >= options.permits;
      return isOut ? nowMs + 1_000_000_000 : admitsAtMs(breaker, nowMs, options);
    },
  })),
  plant<BreakerModule>("half-open lets everybody through", "../src/policies/breaker/breaker.ts", ({ admitsAtMs }) => ({
    admitsAtMs: (breaker, nowMs, options) =>
      breaker.name === "half_open" ? nowMs : admitsAtMs(breaker, nowMs, options),
  })),
  plant<BreakerModule>("a breaker's window never expires", "../src/policies/breaker/breaker.ts", ({ settle }) => ({
    settle: (breaker, permit, outcome, facts) =>
      settle(breaker, permit, outcome, { ...facts, options: { ...facts.options, maxAgeMs: 1_000_000_000 } }),
  })),
  // --- health ---
  plant<Leases>("a sign of life clears failures", "../src/core/lease.ts", ({ vouch }) => ({
    vouch: (state, command, turn) => {
      const { agentId } = command;
      if (state.agents.get(agentId)?.findings.has("passive") === true) {
        turn.record({ type: "agent.health", agentId, source: "passive", health: "healthy", reason: "" });
      }
      return vouch(state, command, turn);
    },
  })),
  plant<Settle>("a late report heals", "../src/core/settle.ts", ({ report }) => ({
    report: (state, command, turn) => {
      try {
        return report(state, command, turn);
      } catch (error) {
        const { agentId } = command;
        if (agentId !== undefined && state.agents.get(agentId)?.findings.has("passive") === true) {
          turn.record({ type: "agent.health", agentId, source: "passive", health: "healthy", reason: "" });
        }
        throw error;
      }
    },
  })),
  // --- dependencies, keys, time, room ---
  plant<Dependencies>("a dependency that failed before stops nobody", "../src/core/dependencies.ts", () => ({
    fateOf: () => "met" as const,
  })),
  plant<Submissions>("whatever comes under a key is the same request", "../src/engine/submission.ts", (original) => ({
    submissionOf: (task, options, facts) => {
      const made = original.submissionOf(task, options, facts);
      return { ...made, spec: { ...made.spec, bodyHash: "same" } };
    },
  })),
  plant<Leases>("a heartbeat renews nothing", "../src/core/lease.ts", () => ({ renew: () => {} })),
  plant<Due>("no deadline ever passes", "../src/core/due.ts", ({ Due }) => ({
    Due: class extends Due {
      override add(entry: Parameters<InstanceType<typeof Due>["add"]>[0]): void {
        if (entry.kind !== "deadline") super.add(entry);
      }
    } as typeof Due,
  })),
  plant<Due>("what is waited for may come for ever", "../src/core/due.ts", ({ Due }) => ({
    Due: class extends Due {
      override add(entry: Parameters<InstanceType<typeof Due>["add"]>[0]): void {
        if (entry.kind !== "awaited") super.add(entry);
      }
    } as typeof Due,
  })),
  // --- sizes, spending, schedules ---
  plant<Replace>("nobody is replaced", "../src/core/replace.ts", () => ({ replaceAiling: () => {} })),
  plant<Autoscale>("an idle pool is left without agents", "../src/policies/autoscale.ts", ({ resize }) => ({
    resize: (load, options) => resize({ ...load, min: 0 }, options),
  })),
  plant<Spend>("nothing is ever spent", "../src/core/spend.ts", () => ({ spentOf: () => undefined })),
  plant<Spend>("what was spent before is forgotten", "../src/core/spend.ts", ({ sumOf }) => ({
    sumOf: (_, spent) => sumOf(undefined, spent),
  })),
  plant<Cron>("a schedule goes on with what has passed", "../src/policies/cron.ts", ({ nextRunMs }) => ({
    nextRunMs: (rule, afterMs) => nextRunMs(rule, afterMs - 1_000),
  })),
  plant<ScheduleDesks>("an instant is served again after a crash", "../src/engine/schedule-desk.ts", (original) => ({
    ScheduleDesk: class extends original.ScheduleDesk {
      constructor(...[frame, { submit, route }]: ConstructorParameters<typeof original.ScheduleDesk>) {
        const anew = <T extends object>(task: T): T => ({ ...task, idempotencyKey: undefined });
        super(frame, {
          submit: (pool, task) => submit(pool, anew(task)),
          route: (task, options) => route(anew(task), options),
        });
      }
    },
  })),
  plant<HeldLines>("who waited for room is admitted twice", "../src/core/held-line.ts", ({ HeldLine }) => ({
    HeldLine: class extends HeldLine {
      #times = 0;
      override remove(holdId: number): void {
        this.#times += 1;
        if (this.#times % 2 === 0) super.remove(holdId);
      }
    },
  })),
];
