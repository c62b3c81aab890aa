/** Reads TypeScript sources far enough to know what they import, export and name. Not a parser: comments and strings, then patterns. */

import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";

/** Path below the repository, with forward slashes, and its text. */
export type Sources = ReadonlyMap<string, string>;

export interface Import {
  readonly specifier: string;
  /** The path it leads to, when it leads into these sources. */
  readonly target: string | undefined;
}

/** The package importing itself by name. */
const DOORS: Readonly<Record<string, string>> = { troupe: "src/index.ts", "troupe/testing": "src/testing/index.ts" };

/** Everything that names another module: import and export declarations, `import()` of a string (also in a type), `require`. */
const IMPORT = /\b(?:(?:import|export)\b(?:[\s\w$*{},]*\bfrom\b)?|import\s*\(|require\s*\()\s*(["'`])(\s*)\1/g;
const EXPORT_LIST = /\bexport\s+(?:type\s+)?\{([^}]*)\}/g;
const EXPORT_DECLARATION =
  /\bexport\s+(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(?:const|let|function\*?|class|interface|type)\s+([\w$]+)/g;
const EXPORT_ALL = /\bexport\s+(?:type\s+)?\*/;

export function readSources(root: string, folder = "src"): Sources {
  const sources = new Map<string, string>();
  for (const name of readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).sort()) {
    if (!name.endsWith(".ts")) continue;
    const path = `${folder}/${name.replaceAll("\\", "/")}`;
    sources.set(path, readFileSync(join(root, path), "utf8"));
  }
  return sources;
}

export const isTest = (path: string): boolean => path.endsWith(".test.ts");

export function importsOf(path: string, text: string): Import[] {
  const code = blankStrings(text);
  return [...code.matchAll(IMPORT)].map((match) => {
    const length = match[2]?.length ?? 0;
    const end = match.index + match[0].length - 1;
    const specifier = text.slice(end - length, end);
    return { specifier, target: resolve(path, specifier) };
  });
}

/** Names that a door gives out, sorted; a door that says `export *` gives out "*". */
export function exportedNames(text: string): string[] {
  const code = blankStrings(text);
  const names = [...code.matchAll(EXPORT_DECLARATION)].map((match) => match[1] ?? "");
  for (const list of code.matchAll(EXPORT_LIST)) {
    for (const item of (list[1] ?? "").split(",")) {
      const name = item.trim().split(/\s+/).at(-1);
      if (name) names.push(name);
    }
  }
  if (/\bexport\s+default\b/.test(code)) names.push("default");
  if (EXPORT_ALL.test(code)) names.push("*");
  return names.sort();
}

/** The same text, as long as before, with spaces in place of comments and of what strings and regular expressions contain. */
export function blankStrings(text: string): string {
  return new Blanker(text).run();
}

function resolve(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith(".")) return DOORS[specifier];
  return posix.join(posix.dirname(from), specifier);
}

/** What may stand before a `/` that begins a regular expression and does not divide. */
const BEFORE_PATTERN = /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|await|yield|void|delete))$/;

class Blanker {
  readonly #text: string;
  #code = "";

  constructor(text: string) {
    this.#text = text;
  }

  run(): string {
    this.#readCode({ untilBrace: false });
    return this.#code;
  }

  /** Keeps code up to the end, or up to the brace that closes a `${`. */
  #readCode({ untilBrace }: { untilBrace: boolean }): void {
    let depth = 0;
    while (this.#code.length < this.#text.length) {
      const char = this.#text.charAt(this.#code.length);
      const pair = this.#text.slice(this.#code.length, this.#code.length + 2);
      if (untilBrace && char === "}" && depth === 0) return;
      if (char === "{") depth += 1;
      if (char === "}") depth -= 1;
      if (pair === "//") this.#blank(/\n|$/g, 0);
      else if (pair === "/*") this.#blank(/\*\/|$/g, 2);
      else if (char === '"' || char === "'") this.#readQuoted(char);
      else if (char === "`") this.#readTemplate();
      else if (char === "/" && BEFORE_PATTERN.test(this.#code.trimEnd().slice(-80))) this.#readPattern();
      else this.#keep();
    }
  }

  #readQuoted(quote: string): void {
    this.#keep();
    while (this.#code.length < this.#text.length && this.#peek() !== quote && this.#peek() !== "\n") this.#blankOne();
    this.#keep();
  }

  #readTemplate(): void {
    this.#keep();
    while (this.#code.length < this.#text.length && this.#peek() !== "`") {
      if (this.#text.startsWith("${", this.#code.length)) {
        this.#keep(2);
        this.#readCode({ untilBrace: true });
        this.#keep();
      } else {
        this.#blankOne();
      }
    }
    this.#keep();
  }

  #readPattern(): void {
    this.#keep();
    let inClass = false;
    while (this.#code.length < this.#text.length && (inClass || this.#peek() !== "/") && this.#peek() !== "\n") {
      if (this.#peek() === "[") inClass = true;
      if (this.#peek() === "]") inClass = false;
      this.#blankOne();
    }
    this.#keep();
  }

  #peek(): string {
    return this.#text.charAt(this.#code.length);
  }

  #keep(count = 1): void {
    this.#code += this.#text.slice(this.#code.length, this.#code.length + count);
  }

  /** Blanks one character of a string, two when the first escapes the second. */
  #blankOne(): void {
    this.#blankTo(this.#code.length + (this.#peek() === "\\" ? 2 : 1));
  }

  #blank(end: RegExp, endLength: number): void {
    end.lastIndex = this.#code.length + endLength;
    const found = end.exec(this.#text);
    this.#blankTo(found ? found.index + (found[0] === "*/" ? 2 : 0) : this.#text.length);
  }

  #blankTo(end: number): void {
    const taken = this.#text.slice(this.#code.length, end);
    this.#code += taken.replace(/[^\n]/g, " ");
  }
}
