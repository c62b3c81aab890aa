/** Real documents that nobody here wrote: what the installed dependencies bring along to be read by people. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, extname, join, relative, sep } from "node:path";

/** A task takes 1 MB, and the text shares it with the rest of the request. UTF-8 bytes, as JSON. */
export const TEXT_LIMIT_BYTES = 900_000;

/** From the most readable to the least. A later kind is only used when the earlier ones are too few. */
const KINDS: readonly { readonly label: string; readonly fits: (name: string) => boolean }[] = [
  { label: "README, CHANGELOG and LICENSE files", fits: isNamedDocument },
  { label: "other documentation", fits: (name) => READABLE.has(extname(name).toLowerCase()) },
  { label: "package manifests", fits: (name) => name === "package.json" },
];

const READABLE = new Set([".md", ".markdown", ".txt", ".rst", ".html"]);
const NAMED = /^(?:readme|changelog|changes|history|licen[cs]e|copying|notice|authors|contributing|security)/i;

export interface FoundDocument {
  /** Of the file, relative to the directory the search began in, with `/`. */
  readonly path: string;
  /** Directory of the package inside `node_modules`, such as `@hono/node-server` or `a/node_modules/b`. */
  readonly package: string;
  readonly bytes: number;
  /** Index into the kinds. */
  readonly kind: number;
}

export interface ReadDocument extends FoundDocument {
  readonly text: string;
  readonly encoding: "utf-8" | "utf-16le" | "utf-16be" | "windows-1252";
  /** True when only the head fits into a task. */
  readonly cut: boolean;
}

export interface SearchOptions {
  /** Exactly so many, or all there are if they are fewer. Without it all of the readable kinds, and at least `least`. */
  readonly count?: number | undefined;
  readonly least: number;
}

/** The documents under `node_modules`, ordered by path. Hidden directories and links are left out. */
export function findDocuments(modules: string, { count, least }: SearchOptions): FoundDocument[] {
  const found = walk(modules).flatMap((path) => describe(modules, path));
  const readable = found.filter(({ kind }) => kind < KINDS.length - 1).length;
  const wanted = count ?? Math.max(least, readable);
  return found
    .sort((a, b) => a.kind - b.kind || compare(a.path, b.path))
    .slice(0, wanted)
    .sort((a, b) => compare(a.path, b.path));
}

/** How many there are of each kind: `174 README, CHANGELOG and LICENSE files, 14 other documentation`. */
export function describeKinds(documents: readonly FoundDocument[]): string {
  return KINDS.map(({ label }, kind) => ({ label, count: documents.filter((found) => found.kind === kind).length }))
    .filter(({ count }) => count > 0)
    .map(({ label, count }) => `${count} ${label}`)
    .join(", ");
}

export function readDocument(modules: string, document: FoundDocument): ReadDocument {
  const { text, encoding } = decode(readFileSync(join(modules, document.path)));
  const fitting = cutToFit(text, TEXT_LIMIT_BYTES);
  return { ...document, text: fitting, encoding, cut: fitting.length < text.length };
}

/** Text of a file of unknown encoding: by its mark, else UTF-8 if it is, else the commonest of the old ones. */
export function decode(bytes: Uint8Array): Pick<ReadDocument, "text" | "encoding"> {
  for (const encoding of [byMark(bytes), "utf-8"] as const) {
    if (encoding === undefined) continue;
    try {
      return { text: new TextDecoder(encoding, { fatal: true }).decode(bytes), encoding };
    } catch {
      // Not that encoding: the next one is tried.
    }
  }
  return { text: new TextDecoder("windows-1252").decode(bytes), encoding: "windows-1252" };
}

/** The longest head of a text whose JSON is at most `limitBytes` long; never half a character. */
export function cutToFit(text: string, limitBytes: number): string {
  if (jsonBytes(text) <= limitBytes) return text;
  let fits = 0;
  let tooLong = text.length;
  while (tooLong - fits > 1) {
    const middle = (fits + tooLong) >> 1;
    if (jsonBytes(head(text, middle)) <= limitBytes) fits = middle;
    else tooLong = middle;
  }
  return head(text, fits);
}

/** Without the first half of a pair at its end: a half would be longer in JSON than the whole. */
function head(text: string, length: number): string {
  const isHalf = /[\uD800-\uDBFF]/.test(text.charAt(length - 1)) && /[\uDC00-\uDFFF]/.test(text.charAt(length));
  return text.slice(0, isHalf ? length - 1 : length);
}

export function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

function isNamedDocument(name: string): boolean {
  const extension = extname(name).toLowerCase();
  const isPlain = extension === "" || READABLE.has(extension) || extension === name.toLowerCase();
  return NAMED.test(name) && isPlain;
}

function walk(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name.startsWith(".")) return [];
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return walk(path);
    return entry.isFile() ? [path] : [];
  });
}

function describe(modules: string, file: string): FoundDocument[] {
  const kind = KINDS.findIndex(({ fits }) => fits(basename(file)));
  const path = relative(modules, file).split(sep).join("/");
  const owner = packageOf(path);
  // A manifest deeper inside a package is part of its build, not its description.
  const isInner = kind === KINDS.length - 1 && path !== `${owner}/package.json`;
  if (kind < 0 || owner === undefined || isInner) return [];
  return [{ path, package: owner, bytes: statSync(file).size, kind }];
}

/** The directory of the innermost package; undefined for a file that lies in none. */
function packageOf(path: string): string | undefined {
  return /^(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/@][^/]*(?=\/)/.exec(path)?.[0];
}

function byMark(bytes: Uint8Array): "utf-16le" | "utf-16be" | undefined {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return "utf-16le";
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return "utf-16be";
  return undefined;
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
