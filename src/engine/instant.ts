/** An instant as outsiders read it: ISO-8601, UTC. */
export const iso = (atMs: number): string => new Date(atMs).toISOString();
