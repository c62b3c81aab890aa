/** TCP ports of this machine's loopback. */
import { createServer } from "node:net";

export const LOOPBACK = "127.0.0.1";

/** How often the system is asked for another port than those that are taken here. */
const DRAWS = 100;

/** True when nobody listens on it. */
export async function isPortFree(port: number): Promise<boolean> {
  return (await listenOnce(port)) !== undefined;
}

/** Ports the system chose for daemons of this engine: no two get the same between choice and use. */
export class PortBook {
  readonly #taken = new Set<number>();

  /** A free port, the caller's until it gives it back; the one it had before if that is still free. */
  async take(before: number | undefined): Promise<number | undefined> {
    if (before !== undefined && !this.#taken.has(before)) {
      this.#taken.add(before);
      if (await isPortFree(before)) return before;
      this.#taken.delete(before);
    }
    for (let draw = 0; draw < DRAWS; draw++) {
      const port = await listenOnce(0);
      if (port === undefined || this.#taken.has(port)) continue;
      this.#taken.add(port);
      return port;
    }
    return undefined;
  }

  giveBack(port: number): void {
    this.#taken.delete(port);
  }
}

/** Listens for a moment; the port, or undefined when that is refused. */
function listenOnce(port: number): Promise<number | undefined> {
  return new Promise((settle) => {
    const server = createServer();
    server.once("error", () => settle(undefined));
    server.listen({ port, host: LOOPBACK, exclusive: true }, () => {
      const address = server.address();
      const bound = typeof address === "object" && address !== null ? address.port : undefined;
      server.close(() => settle(bound));
    });
  });
}
