/** What every store and every agent must keep: suites for vitest. The door `troupe/testing/contracts`. */
export { type AgentContractOptions, type AgentSubject, agentContract } from "./agent-contract.ts";
export { type StoreContractOptions, storeContract } from "./store-contract.ts";
