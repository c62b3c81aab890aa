/**
 * The loop: takes what was asked, steps the core, commits, acts, tells. The only place where time passes.
 *
 * One turn at a time: what arrives while a turn is being committed is the next turn, so a busy store gets large
 * commits and an idle one answers at once.
 *
 * Longer than other files, because whether a turn may begin, is under way, is lost or begins a term is one state, and
 * every method moves it.
 */
import type { Clock, Timer } from "../base/clock.ts";
import { isPoolError, PoolError } from "../base/errors.ts";
import type { TaskId } from "../base/ids.ts";
import type { Random } from "../base/random.ts";
import type { Command, Reply } from "../core/command.ts";
import type { Effect } from "../core/effect.ts";
import type { DurableEvent, Notice } from "../core/event.ts";
import { quarantine } from "../core/quarantine.ts";
import type { NamespaceState } from "../core/state.ts";
import { dueFirst, matchLast, step } from "../core/step.ts";
import { Turn } from "../core/turn.ts";
import type { Commit, SettledRow, Store } from "../stores/store.ts";
import { assemble } from "./assembly.ts";
import type { Payloads } from "./payloads.ts";
import { isToldOnce, Retold } from "./retold.ts";
import { Stubs } from "./stubs.ts";
import { payloadFingerprint } from "./submission.ts";
import { type Ending, type Fate, reasonOf, type Terms } from "./term.ts";
import type { TurnClock } from "./turn-clock.ts";

export interface LoopOptions {
  readonly state: NamespaceState;
  readonly store: Store;
  readonly clock: Clock;
  readonly turnClock: TurnClock;
  readonly random: Random;
  readonly payloads: Payloads;
  /** Of the last event that the store has. */
  readonly lastSeq: number;
  /** Performs an effect whose turn has been committed. `turn` takes volatile events that come of it. */
  readonly perform: (effect: Effect, turn: Turn) => void;
  /** These facts are stored; nobody has been told yet, and all that they name is still in the state. */
  readonly committed: (commit: Commit) => void;
  /** A turn is over: these tasks, if any, are settled and stored, and this is what has happened in it. */
  readonly told: (settled: readonly SettledRow[], happened: Happened) => void;
  readonly terms: Terms;
  /** The state is that of a new term: this is how its first turn begins, given what is told again. */
  readonly recovery: (retold: readonly Command[]) => readonly Command[];
  /** The state is that of a new term, its first turn is still to come. Those who waited for the last one get the reason. */
  readonly renewed: (reason: PoolError, fate: Fate) => void;
  /** It can't go on. */
  readonly fatal: (error: unknown) => void;
}

/** The events of a turn that are worth telling, in order; the durable ones are numbered from `firstSeq` to `lastSeq`. */
export interface Happened {
  readonly events: readonly (DurableEvent | Notice)[];
  readonly firstSeq: number;
  /** One less than `firstSeq` when no event was durable. */
  readonly lastSeq: number;
  readonly atMs: number;
}

/** Whoever asks, and is told after the commit of the turn that carried the command out. The first word counts. */
export interface Asker {
  answered(reply: Reply): void;
  refused(error: unknown): void;
}

interface Asked {
  readonly command: Command;
  readonly asker: Asker | undefined;
}

/** What became of a command in its turn. */
type Answer = Reply | PoolError;

/** A turn that the core has taken; `commit` once it is known what of it is stored. */
interface Taken {
  readonly turn: Turn;
  /** In the order of the commands. */
  readonly answers: readonly Answer[];
  readonly commit?: Commit | undefined;
}

/** The last term, until the next one has begun. */
interface Lost extends Omit<Ending, "retold"> {
  readonly reason: PoolError;
  /** What happened in the turn whose commit is not confirmed. */
  readonly happened: Happened | undefined;
}

/** Used when no pool says how late is late. Milliseconds. */
const LATE_MS = 10_000;

/** Turns without a pass of the event loop between them: whoever asks without end must not keep timers and sockets away. */
const TURNS_AT_ONCE = 64;

const READY = Promise.resolve();

export class Loop {
  readonly stubs: Stubs;
  readonly #options: LoopOptions;
  #asked: Asked[] = [];
  /** Commands that have come, and how many of them nobody waits to take any more. */
  #come = 0;
  #taken = 0;
  #scheduled = false;
  /** Resolved when the turn that is scheduled has begun. */
  #beginning: PromiseWithResolvers<void> | undefined;
  #turnsAtOnce = 0;
  #running: Promise<void> | undefined;
  #timer: Timer | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #lastSeq: number;
  #dead: PoolError | undefined;
  /** What the turn under way has given to the store. */
  #committing: Commit | undefined;
  /** Set from the end of a term until the state is that of the next one. */
  #lost: Lost | undefined;
  /** Nothing is taken until the next term begins its first turn. */
  #refusing: PoolError | undefined;
  /** The store is left alone for a while. */
  #isHolding = false;
  /** The next turn is the first one of its term. */
  #isNewTerm = false;
  readonly #retold: Retold;
  /** The turn under way carries out what is told again, and nothing else. */
  #isRetelling = false;

  constructor(options: LoopOptions) {
    this.#options = options;
    this.#lastSeq = options.lastSeq;
    this.#retold = new Retold(options.clock, () => this.#schedule());
    this.stubs = new Stubs(options.state, options.store, () => this.#lastSeq);
  }

  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** Resolves after the commit of the turn that carried the command out; rejects when it was refused. */
  ask(command: Command): Promise<Reply> {
    return new Promise((answered, refused) => this.post(command, { answered, refused }));
  }

  /** As `ask`; resolves with what `look` sees right after that commit, before anything else happens. */
  askThen<T>(command: Command, look: (reply: Reply) => T): Promise<T> {
    return new Promise((resolve, refused) =>
      this.post(command, { answered: (reply) => resolve(look(reply)), refused }),
    );
  }

  /** As `ask`, for those who keep no promise. */
  post(command: Command, asker: Asker): void {
    const refusal = this.#dead ?? this.#refusing;
    if (refusal !== undefined) asker.refused(refusal);
    else this.#add({ command, asker });
  }

  /** As `ask`, for those who need no answer. */
  tell(command: Command): void {
    if (this.#dead !== undefined) return;
    if (this.#refusing === undefined) this.#add({ command, asker: undefined });
    else if (isToldOnce(command)) this.#retold.add(command);
  }

  /** A commit was refused, and the next term has not begun yet. */
  get isBetweenTerms(): boolean {
    return this.#refusing !== undefined;
  }

  /**
   * Resolves when all that is in the state, or was asked before, has been committed: whoever has seen one thing happen is
   * shown no state from before it. Rejects when the engine has ended before, or can't reach
   * its store: with a code of its own, as the reason says nothing of what was carried out and stored before it.
   */
  async stored(): Promise<void> {
    const upTo = this.#come;
    while (this.#running !== undefined || this.#isToBegin(upTo)) await (this.#running ?? this.#begun());
    const reason = this.#dead ?? this.#lost?.reason;
    if (reason === undefined) return;
    const options = { retryable: true, details: { unknown: true }, cause: reason };
    throw new PoolError("unavailable", `the engine has ended: ${reason.message}`, options);
  }

  /** The next turn carries out what was asked by then, or says of a new term what runs in it. */
  #isToBegin(upTo: number): boolean {
    return this.#dead === undefined && (this.#isNewTerm || (this.#scheduled && this.#taken < upTo));
  }

  #begun(): Promise<void> {
    this.#beginning ??= Promise.withResolvers();
    return this.#beginning.promise;
  }

  /** Refuses everything from now on; resolves when the turn under way is over. */
  async stop(reason: PoolError): Promise<void> {
    this.#die(reason);
    while (this.#running !== undefined) await this.#running;
  }

  #add(asked: Asked): void {
    this.#asked.push(asked);
    this.#come += 1;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#running !== undefined || this.#isHolding || this.#dead !== undefined) return;
    this.#scheduled = true;
    const { store, clock } = this.#options;
    // A sync costs more than a pass of the event loop: let it take in all that is there.
    if (store.durable) clock.defer(this.#begin);
    else if (this.#turnsAtOnce < TURNS_AT_ONCE || clock.breathe === undefined) {
      this.#turnsAtOnce += 1;
      void READY.then(this.#begin);
    } else {
      this.#turnsAtOnce = 0;
      clock.breathe(this.#begin);
    }
  }

  readonly #begin = (): void => {
    this.#scheduled = false;
    this.#beginning?.resolve();
    this.#beginning = undefined;
    if (this.#running !== undefined || this.#dead !== undefined) return;
    const running = this.#lost === undefined ? this.#turn() : this.#tryAgain(this.#lost);
    if (running === undefined) this.#goOn();
    else {
      this.#running = running.finally(() => {
        this.#running = undefined;
        this.#goOn();
      });
    }
  };

  #goOn(): void {
    if (this.#refusing !== undefined) this.#beginTermLater();
    else if (this.#asked.length > 0 || this.#isNewTerm || this.#retold.isDue) this.#schedule();
    else this.#arm();
  }

  /** Undefined when the turn is over already, because nothing of it had to be waited for. */
  #turn(): Promise<void> | undefined {
    const { state, random, store, turnClock } = this.#options;
    const asked = this.#take();
    const turn = new Turn(state, turnClock.now(), random);
    try {
      const answers = this.#carryOut(asked, turn);
      if (turn.poisoned.length > 0) return this.#finishLater(asked, { turn, answers });
      const commit = turn.durable.length === 0 ? undefined : this.#assembled(turn);
      this.#committing = commit;
      const storing = commit && store.commit(commit);
      if (storing !== undefined) return this.#finishLater(asked, { turn, answers, commit, storing });
      this.#finish(asked, { turn, answers, commit });
      return undefined;
    } catch (error) {
      return this.#fail(error, asked, turn);
    }
  }

  /** What the next turn carries out: how a term begins, then what is told again, then what was asked. */
  #take(): readonly Asked[] {
    const unasked = (command: Command): Asked => ({ command, asker: undefined });
    this.#isRetelling = !this.#isNewTerm && this.#retold.isDue;
    if (this.#isRetelling) return this.#retold.take().map(unasked);
    if (this.#isNewTerm) {
      this.#isNewTerm = false;
      return this.#options.recovery(this.#retold.commands).map(unasked);
    }
    return this.#takeAsked();
  }

  #takeAsked(): readonly Asked[] {
    const asked = this.#asked;
    this.#asked = [];
    this.#taken = this.#come;
    return asked;
  }

  /** Does what is due and what was asked, and matches. Nothing of it is stored yet. */
  #carryOut(asked: readonly Asked[], turn: Turn): readonly Answer[] {
    const { state } = this.#options;
    const answers: Answer[] = [];
    // What died with the engine before is ended as such, before anything of it falls due.
    const [first] = asked;
    if (first?.command.type === "recover") answers.push(this.#step(first.command, turn));
    if (this.#isLate(turn.nowMs)) step(state, { type: "extend_leases" }, turn);
    dueFirst(state, turn);
    for (let n = answers.length; n < asked.length; n++) answers.push(this.#step((asked[n] as Asked).command, turn));
    matchLast(state, turn);
    return answers;
  }

  #step(command: Command, turn: Turn): Answer {
    try {
      return step(this.#options.state, command, turn);
    } catch (error) {
      if (!isPoolError(error)) throw error;
      if (command.type === "report") this.#options.payloads.takeResult(command.fence);
      return error;
    }
  }

  async #finishLater(asked: readonly Asked[], taken: Taken & { readonly storing?: Promise<void> }): Promise<void> {
    const { turn } = taken;
    try {
      if (turn.poisoned.length > 0) await this.#quarantine(turn);
      const commit = taken.commit ?? this.#assembled(turn);
      this.#committing = commit;
      await (taken.storing ?? this.#options.store.commit(commit));
      this.#finish(asked, { ...taken, commit });
    } catch (error) {
      await this.#fail(error, asked, turn);
    }
  }

  /** The turn is stored: now it is acted upon, and told. */
  #finish(asked: readonly Asked[], { turn, answers, commit }: Taken): void {
    const { terms, committed, payloads, perform, told } = this.#options;
    if (commit !== undefined) {
      this.#committing = undefined;
      terms.confirmed();
      this.#lastSeq += commit.events.length;
      committed(commit);
      this.stubs.add(commit.settled);
    }
    if (this.#isRetelling) this.#retold.through();
    payloads.trim();
    for (const effect of turn.effects) perform(effect, turn);
    for (let n = 0; n < asked.length; n++) {
      const { asker } = asked[n] as Asked;
      const answer = answers[n] as Answer;
      if (answer instanceof PoolError) asker?.refused(answer);
      else asker?.answered(answer);
    }
    const lastSeq = this.#lastSeq;
    const firstSeq = lastSeq - turn.durable.length + 1;
    told(commit?.settled ?? [], { events: turn.told, firstSeq, lastSeq, atMs: turn.nowMs });
    this.#forget(turn);
  }

  /** What the turn found to be poison goes into quarantine with the same commit. */
  async #quarantine(turn: Turn): Promise<void> {
    const { state, store, payloads } = this.#options;
    for (const id of turn.poisoned) {
      const task = state.tasks.get(id);
      if (task === undefined) continue;
      const body = payloads.body(task.num) ?? (await store.bodies([task.num])).get(task.num) ?? {};
      quarantine(state, task, payloadFingerprint(task.spec, body), turn);
    }
  }

  #assembled(turn: Turn): Commit {
    const { state, payloads } = this.#options;
    return assemble(turn, { state, payloads, firstSeq: this.#lastSeq + 1 });
  }

  /** Settled tasks leave the core once nobody can ask for them who would not find them in the store. */
  #forget(turn: Turn): void {
    const taskIds: TaskId[] = [];
    for (const id of this.stubs.takeForgettable()) {
      if (this.#options.state.tasks.get(id)?.state.name === "settled") taskIds.push(id);
    }
    if (taskIds.length > 0) turn.record({ type: "tasks.forgotten", taskIds });
  }

  /** The timer's moment has long passed: the machine slept, or something blocked the process. */
  #isLate(nowMs: number): boolean {
    const dueAtMs = this.#options.state.due.nextAtMs;
    if (dueAtMs === undefined) return false;
    let lateMs = LATE_MS;
    for (const pool of this.#options.state.pools.values()) lateMs = Math.min(lateMs, pool.options.lease.renewMs);
    return nowMs - dueAtMs > lateMs;
  }

  #arm(): void {
    const { state, clock, turnClock } = this.#options;
    const dueAtMs = state.due.nextAtMs ?? Number.POSITIVE_INFINITY;
    if (this.#dead !== undefined || dueAtMs === this.#timerAtMs) return;
    this.#timer?.cancel();
    this.#timerAtMs = dueAtMs;
    if (dueAtMs === Number.POSITIVE_INFINITY) return;
    this.#timer = clock.timer(Math.max(0, Math.ceil(dueAtMs - turnClock.now())), () => {
      this.#timerAtMs = Number.POSITIVE_INFINITY;
      this.tell({ type: "tick" });
    });
  }

  #die(reason: PoolError): void {
    if (this.#dead !== undefined) return;
    this.#dead = reason;
    this.#timer?.cancel();
    this.#beginning?.resolve();
    this.#retold.close();
    for (const { asker } of this.#takeAsked()) asker?.refused(reason);
  }

  /** A commit that failed, or a broken invariant: nobody is told anything that may not be so, and the term is over. */
  async #fail(error: unknown, asked: readonly Asked[], turn: Turn): Promise<void> {
    const { terms, fatal } = this.#options;
    const reason = reasonOf(error);
    const commit = this.#committing;
    this.#committing = undefined;
    const waiting = [...asked, ...this.#takeAsked()];
    for (const { command, asker } of waiting) {
      if (asker === undefined && isToldOnce(command)) this.#retold.add(command);
    }
    if (this.#isRetelling) this.#retold.rest();
    for (const { asker } of waiting) asker?.refused(reason);
    if (this.#dead !== undefined) return;
    if (!terms.mayFollow(error, { rests: this.#isRetelling })) {
      this.#die(reason);
      fatal(error);
      return;
    }
    const lastSeq = this.#lastSeq;
    const happened = commit && happenedIn(turn, commit);
    this.#refusing = reason;
    this.#timer?.cancel();
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    this.#lost = { error, reason, commit, lastSeq, happened };
    await this.#renew(this.#lost);
  }

  /** It has been left alone before this, and answers again. */
  async #tryAgain(lost: Lost): Promise<void> {
    await this.#renew(lost);
    if (this.#isNewTerm) this.#refusing = undefined;
  }

  /** Makes the state that of a new term, if the store can be asked; else later. */
  async #renew(lost: Lost): Promise<void> {
    const { terms, committed, told, renewed, fatal } = this.#options;
    try {
      const loaded = await terms.load();
      if (this.#dead !== undefined) return;
      const fate = terms.fateOf(lost, loaded);
      if (fate === "kept" && lost.commit !== undefined && lost.happened !== undefined) {
        committed(lost.commit);
        told(lost.commit.settled, lost.happened);
      }
      terms.begin({ ...lost, retold: this.#retold.commands }, loaded);
      this.#lastSeq = loaded.lastSeq;
      this.stubs.endTerm(lost.reason);
      this.#lost = undefined;
      this.#isNewTerm = true;
      renewed(lost.reason, fate);
    } catch (error) {
      if (this.#dead !== undefined || terms.mayFollow(error)) return;
      this.#die(reasonOf(error));
      fatal(error);
    }
  }

  /** A store that has failed again and again is left alone for a while. */
  #beginTermLater(): void {
    const { terms, clock } = this.#options;
    if (this.#dead !== undefined) return;
    const begin = (): void => {
      this.#isHolding = false;
      if (this.#lost === undefined) this.#refusing = undefined;
      this.#schedule();
    };
    this.#isHolding = true;
    if (terms.holdMs === 0) begin();
    else this.#timer = clock.timer(terms.holdMs, begin);
  }
}

function happenedIn({ told }: Turn, { firstSeq, atMs, events }: Commit): Happened {
  return { events: told, firstSeq, lastSeq: firstSeq + events.length - 1, atMs };
}
