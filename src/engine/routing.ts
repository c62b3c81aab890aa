/** How tasks that name no pool are given one: the settings, and what a caller may ask for. */
import { z } from "zod";
import { SELECTORS } from "../policies/selector.ts";

/** Settled tasks of a type after which a pool's fitness for it counts. */
export const FITNESS_MINIMUM = 5;

/** How tasks are routed; a setting of the server, an option of a troupe. */
export const routingSchema = z.strictObject({
  /** Category → types that prefer its pools: those of that id, or with an agent that offers it as a capability. */
  categories: z.record(z.string(), z.array(z.string().min(1).max(128)).max(1_000)).optional(),
  /** Types that go to the pool that fails them least, whatever the selector; `"*"` is all. */
  fitness: z.array(z.string().min(1).max(128)).max(1_000).optional(),
});
export type RoutingInput = z.input<typeof routingSchema>;

export const ROUTING_DEFAULTS = { categories: { gpu: ["vision", "ml_inference", "embedding"] }, fitness: [] } as const;

const poolName = z.string().min(1).max(128);
export const routeSchema = z.strictObject({
  selector: z.enum(SELECTORS).default("least_loaded"),
  allow: z.array(poolName).max(10_000).optional(),
  pool: poolName.optional(),
});

/** Who may be chosen, and how. */
export type RouteOptions = z.input<typeof routeSchema>;
