/**
 * A caller: submits, repeats what was not answered, cancels, replays, looks. Books what it was told in the ledger and
 * relies upon it.
 */
import { isPoolError, type PoolError } from "../../base/errors.ts";
import type { TaskInput } from "../../engine/options/task.ts";
import type { TaskView } from "../../engine/view.ts";
import { BOMB, PILLS, type PoolPlan, SKILLS, TYPES } from "./plan.ts";
import { Lost, type Scene, Unreachable } from "./scene.ts";

/** What became of a request, as far as its caller knows. */
type Answer<T> =
  | { readonly name: "done"; readonly value: T }
  | { readonly name: "refused"; readonly error: PoolError }
  | { readonly name: "not_asked" }
  | { readonly name: "unknown" };

type Input = TaskInput & { readonly prompt: string };

/** How often a request is repeated while it is refused for want of room. */
const PATIENCE = 6;
/** After these nothing is certain but that the request may be repeated. */
const UNCERTAIN = ["store_failed", "unavailable", "internal"] as const;
/** Refusals that pass: nothing was done, and a repetition may do better. */
const PASSING = ["queue_full", "store_full", "shutting_down"] as const;

export class Client {
  readonly #scene: Scene;
  readonly #name: string;
  readonly #pools: readonly [PoolPlan, ...PoolPlan[]];
  readonly #known: string[] = [];
  /** Ids that tasks depend on and nobody has submitted. */
  readonly #unknown: string[] = [];
  #made = 0;
  /** Tasks it may still submit. */
  #left: number;

  constructor(
    scene: Scene,
    name: string,
    { pools, tasks }: { pools: readonly [PoolPlan, ...PoolPlan[]]; tasks: number },
  ) {
    this.#scene = scene;
    this.#name = name;
    this.#pools = pools;
    this.#left = tasks;
  }

  /** Ends when it has submitted all it may. */
  async play(): Promise<void> {
    const { dice } = this.#scene;
    const beside: Promise<void>[] = [];
    while (this.#left > 0) {
      await this.#scene.sleep(dice.chance(0.5) ? dice.between(0, 20) : dice.between(0, 400));
      const one = this.#one();
      if (dice.chance(0.7)) await one;
      else {
        // Waited for at the end; until then nobody hears of its failure.
        one.catch(() => {});
        beside.push(one);
      }
    }
    await Promise.all(beside);
    await this.#scene.sleep(500);
    for (const id of this.#known) if (dice.chance(0.3)) await this.#lookAfter(id);
  }

  async #one(): Promise<void> {
    const { dice } = this.#scene;
    const pool = dice.pick(this.#pools).options.id;
    if (dice.happens("deletes_pool")) await this.#deletePool(pool);
    else if (dice.happens("makes_cycle")) await this.#cycle(pool);
    else if (dice.happens("batches")) await this.#batch(pool);
    else await this.#single(pool);
    const known = this.#anyKnown();
    if (known !== undefined && dice.chance(0.3)) await this.#lookAfter(known);
  }

  #anyKnown(): string | undefined {
    return this.#known.length === 0 ? undefined : this.#scene.dice.pick(this.#known as [string, ...string[]]);
  }

  // --- submitting ---

  #draw(among: readonly string[]): Input {
    const { dice } = this.#scene;
    this.#left -= 1;
    this.#made += 1;
    const mark = `${this.#name}-${this.#made}`;
    const dependencies: string[] = [];
    if (dice.happens("depends")) {
      for (let n = dice.between(1, 3); n > 0; n--) {
        const id = among.length > 0 ? dice.pick(among as [string, ...string[]]) : this.#anyKnown();
        if (id !== undefined) dependencies.push(id);
      }
    }
    if (dice.happens("names_unknown")) {
      dependencies.push(`nobody-${mark}`);
      this.#unknown.push(`nobody-${mark}`);
    }
    const late = dice.happens("comes_late") ? this.#unknown.shift() : undefined;
    const now = this.#scene.time.now();
    const deadlineAt = dice.happens("sets_deadline")
      ? new Date(now + dice.between(-20, 3_000)).toISOString()
      : undefined;
    return {
      id: late ?? (dice.chance(0.4) ? mark : undefined),
      idempotencyKey: dice.chance(0.5) ? `key-${mark}` : undefined,
      prompt: this.#prompt(mark),
      type: dice.pick(TYPES),
      requires: dice.chance(0.15) ? [dice.pick(SKILLS)] : undefined,
      priority: dice.pick([1, 2, 3, 3, 4]),
      dependencies: dependencies.length > 0 ? dependencies : undefined,
      onDependencyFailure: dice.pick([undefined, "cancel", "fail", "run"]),
      preferredAgent: dice.chance(0.15) ? dice.pick(["f0", "f1", "r0", "r1", "shell"]) : undefined,
      maxAttempts: dice.chance(0.2) ? dice.between(1, 3) : undefined,
      retryable: dice.chance(0.1) ? false : undefined,
      timeoutMs: dice.chance(0.15) ? dice.between(50, 1_500) : undefined,
      deadlineAt,
      escalate:
        deadlineAt !== undefined && dice.happens("escalates")
          ? { atShare: dice.pick([0, 0.3, 0.8]), priority: dice.pick([1, 2, 3]) }
          : undefined,
      budget: dice.happens("sets_budget") ? { wallMs: dice.between(20, 1_500) } : undefined,
      tenant: dice.happens("names_tenant") ? dice.pick(["acme", "globex"]) : undefined,
      fairnessKey: dice.happens("names_fairness") ? dice.pick(["ann", "ben", "eve"]) : undefined,
      affinityKey: dice.happens("names_affinity") ? dice.pick(["x", "y", "z"]) : undefined,
      delayMs: dice.happens("delays") ? dice.between(0, 2_000) : undefined,
    };
  }

  #prompt(mark: string): string {
    const { dice } = this.#scene;
    if (dice.happens("takes_pill")) return dice.pick(PILLS);
    return dice.happens("takes_bomb") ? BOMB : `do ${mark}`;
  }

  async #single(pool: string): Promise<void> {
    const { dice, audit } = this.#scene;
    const input = this.#draw([]);
    const unsure = await this.#submit(pool, input);
    if (input.idempotencyKey === undefined || !audit.keys.has(input.idempotencyKey)) return;
    if (unsure) this.#scene.reach("an unknown outcome was cleared up by its key");
    if (dice.happens("repeats")) await this.#submit(pool, input);
    if (dice.happens("changes_body")) await this.#changeBody(pool, input);
  }

  /** Asks until it knows. True when there was a moment at which it did not. */
  async #submit(pool: string, input: Input): Promise<boolean> {
    const { ledger, reach } = this.#scene;
    const { id, idempotencyKey: key, prompt } = input;
    if (id !== undefined) ledger.asked(id, prompt);
    let unsure = false;
    for (let refusals = 0; ; ) {
      const answer = await this.#ask((engine) => engine.submit(pool, input));
      if (answer.name === "done") {
        const { task, created } = answer.value;
        if ("expired" in task) this.#scene.violate("a settled task is kept for longer than a run takes");
        else this.#book(task, { prompt, key });
        if (!created) reach("a key was answered with the known task");
        return unsure;
      }
      if (answer.name === "unknown") {
        unsure = true;
        // Without a key or an id of its own it could only make a second task.
        if (key === undefined && id === undefined) return unsure;
      }
      if (answer.name === "refused") {
        // Its own id is taken: by its own request, which was kept after all.
        if (unsure && key === undefined && isPoolError(answer.error, "conflict")) return unsure;
        if (isPoolError(answer.error, "conflict"))
          this.#scene.violate(`request ${prompt} is nobody else's: ${answer.error.message}`);
        this.#reachRefusal(answer.error);
        // An engine that stops does not look whether it knows the request.
        if (answer.error.code !== "shutting_down") refusals += 1;
        if (!isPassing(answer.error) || refusals > PATIENCE) {
          // A pool that is gone, or goes, says nothing of what it may have taken before.
          if (
            unsure &&
            (answer.error.code === "not_found" || (answer.error.code === "not_running" && key === undefined))
          ) {
            return unsure;
          }
          if (unsure) reach("an unknown outcome turned out as not kept");
          // What was kept before is not refused by a pool that is gone.
          const isKept = key !== undefined && this.#scene.audit.keys.has(key);
          if (!isKept || answer.error.code !== "not_found") ledger.refused({ id, key });
          return unsure;
        }
      }
      await this.#scene.sleep(this.#scene.dice.between(20, 200));
    }
  }

  #reachRefusal(error: PoolError): void {
    const { reach } = this.#scene;
    if (error.code === "unknown_dependency") reach("unknown dependencies were refused");
    if (error.code === "dependency_cycle") reach("a cycle was refused");
    if (error.code === "quarantined") reach("what killed its agents was refused");
    if (error.code === "not_running") reach("a draining pool took nothing");
    if (error.code !== "queue_full") return;
    const { limit, retryAfterMs } = error.details;
    if (!(typeof retryAfterMs === "number" && retryAfterMs >= 0))
      this.#scene.violate("a full queue says when to come back");
    if (limit === "gated") reach("the gated limit was reached");
    if (limit === "queue") reach("the queue was full");
    if (limit === "blocked") reach("the blocked limit was reached");
    if (limit === "delayed") reach("the delayed limit was reached");
  }

  #book(view: TaskView, asked: { prompt: string; key: string | undefined }): void {
    const { ledger } = this.#scene;
    const isNew = !ledger.entries.has(view.id);
    ledger.acknowledged(view, asked, this.#scene);
    if (isNew) this.#known.push(view.id);
  }

  /** The same key with another body is a conflict, whatever became of the task. */
  async #changeBody(pool: string, input: Input): Promise<void> {
    const answer = await this.#ask((engine) =>
      engine.submit(pool, { ...input, prompt: `${input.prompt}, but otherwise` }),
    );
    if (answer.name === "done") this.#scene.violate(`key ${input.idempotencyKey} is refused with another body`);
    if (answer.name === "refused" && isPoolError(answer.error, "conflict")) {
      this.#scene.reach("a key came with another body");
    }
  }

  async #batch(pool: string): Promise<void> {
    const { dice, ledger } = this.#scene;
    const partial = dice.chance(0.4);
    const inputs: Input[] = [];
    for (let n = dice.between(2, 5); n > 0; n--) {
      const ids = inputs.map((input) => input.id).filter((id) => id !== undefined);
      inputs.push(this.#draw(ids));
    }
    for (const { id, prompt } of inputs) if (id !== undefined) ledger.asked(id, prompt);
    const shuffled = dice.chance(0.3) ? [...inputs].reverse() : inputs;
    const answer = await this.#ask((engine) => engine.submitBatch(pool, shuffled, { partial }));
    if (answer.name === "refused") {
      this.#reachRefusal(answer.error);
      if (!partial && !isUncertain(answer.error)) {
        for (const { id, idempotencyKey } of inputs) ledger.refused({ id, key: idempotencyKey });
      }
    }
    if (answer.name !== "done") return;
    const results = answer.value;
    if (results.length !== inputs.length) this.#scene.violate("a batch is answered item by item");
    let taken = 0;
    for (const [index, { id, idempotencyKey: key, prompt }] of shuffled.entries()) {
      const item = results[index];
      if (item !== undefined && "task" in item) {
        taken += 1;
        if ("expired" in item.task) this.#scene.violate("a settled task is kept for longer than a run takes");
        else this.#book(item.task, { prompt, key });
      } else if (!partial) this.#scene.violate("a batch is taken whole");
      else {
        if (isPoolError(item?.error)) this.#reachRefusal(item.error);
        if (isPoolError(item?.error) && !isUncertain(item.error)) ledger.refused({ id, key });
      }
    }
    if (taken > 0 && taken < inputs.length) this.#scene.reach("a batch was taken in part");
  }

  async #cycle(pool: string): Promise<void> {
    this.#made += 2;
    const ids = [`${this.#name}-${this.#made - 1}`, `${this.#name}-${this.#made}`] as const;
    const inputs = [
      { id: ids[0], prompt: "a", dependencies: [ids[1]] },
      { id: ids[1], prompt: "b", dependencies: [ids[0]] },
    ];
    const answer = await this.#ask((engine) => engine.submitBatch(pool, inputs));
    if (answer.name === "done") this.#scene.violate("a cycle is refused");
    if (answer.name !== "refused") return;
    this.#reachRefusal(answer.error);
    for (const id of ids) this.#scene.ledger.refused({ id });
  }

  // --- what becomes of it ---

  async #lookAfter(id: string): Promise<void> {
    const { dice, ledger, violate } = this.#scene;
    const entry = ledger.entries.get(id);
    if (entry === undefined) return;
    if (dice.happens("cancels")) return this.#cancel(id);
    const waits = dice.chance(0.3);
    const answer = await this.#ask((engine) =>
      waits ? engine.waitFor(id, { waitMs: dice.between(0, 1_000) }) : engine.task(id),
    );
    if (answer.name === "refused") violate(`acknowledged task ${id} is found: ${answer.error.message}`);
    if (answer.name !== "done") return;
    ledger.saw(answer.value, this.#scene);
    if (!answer.value.deadLettered) return;
    if (dice.happens("discards")) await this.#discard(id, answer.value.replays);
    if (dice.happens("replays")) await this.#replay(id);
  }

  async #cancel(id: string): Promise<void> {
    const { ledger, violate } = this.#scene;
    const answer = await this.#ask((engine) => engine.cancel(id));
    // By the time that the answer is made, a replay may have begun another life.
    if (answer.name === "done") ledger.cancelled(answer.value, this.#scene);
    if (answer.name === "refused" && answer.error.code !== "already_settled" && !isPassing(answer.error)) {
      violate(`task ${id} can be cancelled: ${answer.error.message}`);
    }
  }

  async #discard(id: string, replays: number): Promise<void> {
    const answer = await this.#ask((engine) => engine.discard(id));
    if (answer.name !== "done") return;
    // By the time that the answer is made, a replay may have begun another life.
    const { deadLettered } = answer.value;
    if (deadLettered && answer.value.replays === replays)
      this.#scene.violate(`task ${id} is no dead letter once it is discarded`);
    this.#scene.reach("a dead letter was discarded");
  }

  async #replay(id: string): Promise<void> {
    const { dice } = this.#scene;
    const edit = dice.happens("edits_replay")
      ? { priority: dice.pick([1, 2, 3, 4] as const), type: dice.pick(TYPES) }
      : undefined;
    const answer = await this.#ask((engine) => engine.replay(id, edit));
    if (answer.name === "done" && edit !== undefined) this.#scene.reach("a dead letter was replayed with changes");
    const entry = this.#scene.ledger.entries.get(id);
    if (answer.name !== "done" || entry === undefined) return;
    entry.replays += 1;
    this.#scene.ledger.saw(answer.value, this.#scene);
  }

  async #deletePool(pool: string): Promise<void> {
    await this.#ask((engine) => engine.deletePool(pool, { timeoutMs: this.#scene.dice.between(0, 800) }));
  }

  async #ask<T>(
    ask: Parameters<Scene["call"]>[0] extends (engine: infer E) => unknown ? (engine: E) => Promise<T> : never,
  ): Promise<Answer<T>> {
    const { dice } = this.#scene;
    if (dice.happens("request_lost")) return { name: "not_asked" };
    try {
      const value = await this.#scene.call(ask);
      if (dice.happens("reply_lost")) return { name: "unknown" };
      return { name: "done", value };
    } catch (error) {
      if (error instanceof Unreachable) return { name: "not_asked" };
      if (error instanceof Lost) return { name: "unknown" };
      if (!isPoolError(error)) throw error;
      return isUncertain(error) ? { name: "unknown" } : { name: "refused", error };
    }
  }
}

const isUncertain = (error: PoolError): boolean => UNCERTAIN.some((code) => error.code === code);
const isPassing = (error: PoolError): boolean => PASSING.some((code) => error.code === code);
