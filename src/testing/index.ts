/** What tests of pools need: the door `troupe/testing`. Needs no test runner. */
export { createRandom, type Random } from "../base/random.ts";
export { createFlakyStore, type Faults, type FlakyPlan, type FlakyStore } from "./flaky-store.ts";
export { createVirtualClock, type VirtualClock } from "./virtual-clock.ts";
