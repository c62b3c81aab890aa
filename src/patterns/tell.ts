/** Callbacks of users: called after the fact, and what goes wrong in them stays theirs. */

/** Calls `callback` if there is one. Neither its exception nor its rejection reaches the caller; it is not awaited. */
export function tell<A extends readonly unknown[]>(callback: ((...args: A) => unknown) | undefined, ...args: A): void {
  try {
    const returned = callback?.(...args);
    if (returned instanceof Promise) returned.catch(ignore);
  } catch {
    // The call it was told about has ended; an observer can't change how.
  }
}

const ignore = (): void => {};
