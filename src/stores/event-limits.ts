/** How many durable events a store keeps for readers that come back, and for how long. The oldest go first. */
export interface EventLimits {
  /** Kept at least; 1 or more. */
  readonly count: number;
  /** Older ones go with the next commit. Milliseconds. */
  readonly ageMs: number;
}

/** A million, a day: a reader that was away over night finds what it has missed. */
export const EVENT_LIMITS: EventLimits = { count: 1_000_000, ageMs: 86_400_000 };

export type GivenEventLimits = { readonly [K in keyof EventLimits]?: EventLimits[K] | undefined };

/** What is given, over what a store does by itself. */
export function eventLimits(defaults: EventLimits, { count, ageMs }: GivenEventLimits = {}): EventLimits {
  return { count: count ?? defaults.count, ageMs: ageMs ?? defaults.ageMs };
}
