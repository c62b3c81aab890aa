/** What tests of pools, stores and agents need: the door `troupe/testing`. */
export { createRandom, type Random } from "../base/random.ts";
export { type AgentContractOptions, type AgentSubject, agentContract } from "./agent-contract.ts";
export { createFlakyStore, type Faults, type FlakyPlan, type FlakyStore } from "./flaky-store.ts";
export { type StoreContractOptions, storeContract } from "./store-contract.ts";
export { createVirtualClock, type VirtualClock } from "./virtual-clock.ts";
