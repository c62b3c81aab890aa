import { expect, test } from "vitest";
import { createVirtualClock } from "./virtual-clock.ts";

test("the clock starts where it is told and stands still by itself", async () => {
  const clock = createVirtualClock(1_000);
  await Promise.resolve();
  expect([clock.now(), clock.monotonic(), clock.nextAtMs]).toEqual([1_000, 0, undefined]);
  expect(createVirtualClock().now()).toBe(0);
});

test("advancing moves both times", async () => {
  const clock = createVirtualClock(1_000);
  await clock.advance(250);
  expect([clock.now(), clock.monotonic()]).toEqual([1_250, 250]);
});

test("a timer fires at exactly its instant, once, and not before", async () => {
  const clock = createVirtualClock();
  const fired: number[] = [];
  clock.timer(10, () => fired.push(clock.now()));
  expect(clock.nextAtMs).toBe(10);
  await clock.advance(9);
  expect(fired).toEqual([]);
  await clock.advance(1);
  await clock.advance(100);
  expect(fired).toEqual([10]);
});

test("timers fire in the order of their instants, those of one instant in the order in which they were set", async () => {
  const clock = createVirtualClock();
  const fired: string[] = [];
  const note = (name: string) => () => fired.push(`${name}@${clock.now()}`);
  clock.timer(20, note("c"));
  clock.timer(10, note("a"));
  clock.timer(10, note("b"));
  await clock.advance(30);
  expect([fired, clock.now()]).toEqual([["a@10", "b@10", "c@20"], 30]);
});

test("a delay that is not positive fires with the next step, also one of 0 ms", async () => {
  const clock = createVirtualClock();
  let fired = 0;
  const fire = () => {
    fired += 1;
  };
  clock.timer(0, fire);
  clock.timer(-5, fire);
  expect(fired).toBe(0);
  await clock.advance(0);
  expect(fired).toBe(2);
});

test("a cancelled timer does not fire, also when another cancels it at its own instant", async () => {
  const clock = createVirtualClock();
  const fired: string[] = [];
  const first = clock.timer(5, () => fired.push("first"));
  clock.timer(10, () => second.cancel());
  const second = clock.timer(10, () => fired.push("second"));
  first.cancel();
  first.cancel();
  await clock.advance(20);
  expect(fired).toEqual([]);
  expect(clock.nextAtMs).toBeUndefined();
});

test("a timer that is set by a timer fires in the same step when it is due by then", async () => {
  const clock = createVirtualClock();
  const fired: number[] = [];
  const again = (): void => {
    fired.push(clock.now());
    if (fired.length < 3) clock.timer(10, again);
  };
  clock.timer(10, again);
  await clock.advance(25);
  expect(fired).toEqual([10, 20]);
  await clock.advance(5);
  expect(fired).toEqual([10, 20, 30]);
});

test("while nobody is at work and nothing is due, time has moved before `advance` returns", async () => {
  const clock = createVirtualClock(5);
  void clock.advance(10);
  expect(clock.now()).toBe(15);
  await clock.advance(0);
  expect(clock.now()).toBe(15);
});

test("what has been begun is carried through before time moves", async () => {
  const clock = createVirtualClock();
  const seen: number[] = [];
  const done = clock.atWork?.();
  void Promise.resolve().then(() => clock.timer(10, () => seen.push(clock.now())));
  await clock.advance(100);
  done?.();
  clock.defer(() => seen.push(clock.now()));
  await clock.advance(100);
  expect(seen).toEqual([10, 100]);
});

test("what a timer sets off happens at that timer's instant, however far the step goes", async () => {
  const clock = createVirtualClock();
  const seen: number[] = [];
  const again = async (): Promise<void> => {
    await Promise.resolve();
    seen.push(clock.now());
    clock.timer(10, () => void again());
  };
  clock.timer(10, () => void again());
  clock.timer(25, () => {});
  await clock.advance(45);
  expect([seen, clock.now()]).toEqual([[10, 20, 30, 40], 45]);
});

test("steps of callers who don't wait follow one another", async () => {
  const clock = createVirtualClock();
  const seen: number[] = [];
  clock.timer(10, () => seen.push(clock.now()));
  void clock.advance(5);
  void clock.advance(5);
  await clock.advance(5);
  expect([seen, clock.now()]).toEqual([[10], 15]);
});

test("promises that a timer sets off, and timers that they set, are followed up within the step", async () => {
  const clock = createVirtualClock();
  const fired: string[] = [];
  clock.timer(10, () => {
    void Promise.resolve()
      .then(() => Promise.resolve())
      .then(() => clock.timer(0, () => fired.push("later")));
  });
  await clock.advance(10);
  expect(fired).toEqual(["later"]);
});

test("what is deferred runs with `settle`, without time passing, also what is deferred by it", async () => {
  const clock = createVirtualClock();
  const ran: string[] = [];
  clock.defer(() => {
    ran.push("outer");
    clock.defer(() => ran.push("inner"));
  });
  expect(ran).toEqual([]);
  await clock.settle();
  expect([ran, clock.now()]).toEqual([["outer", "inner"], 0]);
});

test("`settle` waits for promises that defer", async () => {
  const clock = createVirtualClock();
  let ran = false;
  void Promise.resolve().then(() =>
    clock.defer(() => {
      ran = true;
    }),
  );
  await clock.settle();
  expect(ran).toBe(true);
});
