/** The command line of the quickstart. */
import { relative, resolve } from "node:path";
import { parseArgs } from "node:util";

/** Of the server, relative to the repository's root. */
export const CONFIG = "examples/quickstart/troupe.yaml";
export const DEFAULT_PORT = 8_000;
export const DEFAULT_DATA = ".troupe";
/** Documents of a run when so many can be found. */
export const LEAST_DOCUMENTS = 200;

const USAGE = `usage: npm start -- [--exit] [--port N] [--data DIR] [--documents N]
  --exit         leave when the work is done; the default is to stay up
  --port N       port of the server; 0 picks one (${DEFAULT_PORT}, or any other if it is taken)
  --data DIR     data directory (./.troupe)
  --documents N  how many documents are read (all that lie there, at least ${LEAST_DOCUMENTS})`;

export interface Options {
  /** Leave when the work is done. */
  readonly exit: boolean;
  readonly port: number;
  /** Absolute. */
  readonly dataDir: string;
  readonly documents: number | undefined;
}

/** Of the arguments; a string says what is wrong with them. */
export function parseOptions(args: string[]): Options | string {
  try {
    const { values } = parseArgs({
      args,
      options: {
        exit: { type: "boolean", default: false },
        port: { type: "string", default: String(DEFAULT_PORT) },
        data: { type: "string", default: DEFAULT_DATA },
        documents: { type: "string" },
      },
    });
    return {
      exit: values.exit,
      port: wholeNumber(values.port, "--port", { min: 0, max: 65_535 }),
      dataDir: resolve(values.data),
      documents:
        values.documents === undefined
          ? undefined
          : wholeNumber(values.documents, "--documents", { min: 1, max: 5_000 }),
    };
  } catch (error) {
    return `${error instanceof Error ? error.message : String(error)}\n${USAGE}`;
  }
}

function wholeNumber(text: string, name: string, { min, max }: { min: number; max: number }): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new Error(`${name}: expected a whole number from ${min} to ${max}, got ${text}`);
}

/** A path as a person would type it from here. */
export function shown(path: string): string {
  const near = relative(process.cwd(), path);
  return near.startsWith("..") ? path : `./${near}`;
}
