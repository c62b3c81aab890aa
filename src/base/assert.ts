/** We are wrong: states what should have held. Nobody catches it to go on. */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
}

export function assert(condition: unknown, shouldHold: string): asserts condition {
  if (!condition) throw new InvariantError(`broken invariant: ${shouldHold}`);
}
