/** We are wrong: states what should have held. Nobody catches it to go on. */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
}

/** As `assert`, where the condition is asked so often that its words must cost nothing while it holds. */
export function broken(shouldHold: string): never {
  throw new InvariantError(`broken invariant: ${shouldHold}`);
}

export function assert(condition: unknown, shouldHold: string): asserts condition {
  if (!condition) throw new InvariantError(`broken invariant: ${shouldHold}`);
}
