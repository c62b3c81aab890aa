/**
 * `npm run rows`: writes docs/requirements.md, which leads from each row of what was asked for to the tests that prove
 * it and to the rule itself. With `--check` it writes nothing and ends with 1 when the document is not what it would
 * write, a row has no test, a test names a row that is not there, or a rule is not where its row says.
 *
 * docs/rows.txt has a row per line: `id place statement`. `place` is `file#symbol`, a bare file, or `later` for what is
 * not built yet. A test proves the rows that its title names.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

interface Row {
  readonly id: string;
  readonly place: string;
  readonly statement: string;
}

/** Where something stands: a path below the repository and a line, from 1. */
interface Spot {
  readonly file: string;
  readonly line: number;
}

interface Proof extends Spot {
  readonly title: string;
}

const ROWS_FILE = "docs/rows.txt";
const DOCUMENT = "docs/requirements.md";
const LATER = "later";
const ID = /\b(?:S[0-4]-[LB]?\d\d|R-B?\d\d)\b/g;
/** A string that begins the arguments of a test, in code that Biome has formatted. */
const TITLE = /(["`])((?:\\.|(?!\1)[^\\\n])*)\1,\s*(?:async\s*)?(?:\(|function\b)/g;
const SKIPPED = /\.(?:skip|todo)\($/;
const SHOWN_TESTS = 6;

const SECTIONS: readonly (readonly [prefix: string, title: string])[] = [
  ["S0", "Coordination"],
  ["S1", "Pools of clients, breakers, fallback"],
  ["S2", "Daemons"],
  ["S3", "Task management"],
  ["S4", "Worker pools"],
  ["R", "Routing between pools"],
];

const root = join(import.meta.dirname, "..");
const problems: string[] = [];
const rows = readRows(readFileSync(join(root, ROWS_FILE), "utf8"));
const proofs = readProofs(new Set(rows.map(({ id }) => id)));
const text = documentOf(rows);

if (process.argv.includes("--check")) {
  const path = join(root, DOCUMENT);
  const stands = existsSync(path) ? readFileSync(path, "utf8") : "";
  if (problems.length === 0 && stands !== text) problems.push(`${DOCUMENT} is out of date: npm run rows`);
} else {
  writeFileSync(join(root, DOCUMENT), text);
}
for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;

function readRows(source: string): Row[] {
  const seen = new Set<string>();
  return source
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [, id = "", place = "", statement = ""] = /^(\S+) +(\S+) +(.+)$/.exec(line) ?? [];
      if (!new RegExp(`^${ID.source}$`).test(id))
        problems.push(`${ROWS_FILE}: expected an id, a place, a statement: ${line}`);
      if (seen.has(id)) problems.push(`${ROWS_FILE}: ${id} stands twice`);
      seen.add(id);
      return { id, place, statement };
    });
}

function readProofs(known: ReadonlySet<string>): Map<string, Proof[]> {
  const found = new Map<string, Proof[]>();
  for (const file of testFiles()) {
    const source = readFileSync(join(root, file), "utf8");
    if (source.search(ID) === -1) continue;
    for (const match of source.matchAll(TITLE)) {
      const title = (match[2] as string).replaceAll(/\\(["`])/g, "$1");
      const ids = title.match(ID) ?? [];
      if (ids.length === 0 || SKIPPED.test(source.slice(0, match.index).trimEnd())) continue;
      const proof = { title, file, line: lineAt(source, match.index) };
      for (const id of new Set(ids)) {
        if (!known.has(id)) problems.push(`${file}:${proof.line} names ${id}, which ${ROWS_FILE} does not have`);
        const proven = found.get(id);
        if (proven === undefined) found.set(id, [proof]);
        else proven.push(proof);
      }
    }
  }
  return found;
}

function testFiles(): string[] {
  return ["src", "test"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => /\.test\.ts$|-contract\.ts$/.test(name))
      .map((name) => `${folder}/${name.replaceAll("\\", "/")}`)
      .sort(),
  );
}

function lineAt(source: string, index: number): number {
  return source.slice(0, index).split("\n").length;
}

/** The line on which a symbol is declared: at the top level of its file, else as a member of something there. */
function spotOf({ id, place }: Row): Spot | undefined {
  const [file = "", symbol] = place.split("#");
  if (!existsSync(join(root, file))) {
    problems.push(`${id}: there is no file ${file}`);
    return undefined;
  }
  if (symbol === undefined) return { file, line: 1 };
  const source = readFileSync(join(root, file), "utf8");
  const name = symbol.replaceAll("$", "\\$");
  const declared = new RegExp(
    `^(?:export )?(?:async )?(?:const|let|function\\*?|class|interface|type) ${name}\\b`,
    "m",
  );
  const member = new RegExp(`^\\s+(?:(?:readonly|static|async|get|"?)\\s?)*#?\\*?${name}"?\\??[(:<]`, "m");
  const index = [declared, member].map((pattern) => source.search(pattern)).find((at) => at !== -1);
  if (index === undefined) {
    problems.push(`${id}: ${file} has no ${symbol}`);
    return undefined;
  }
  // A member's pattern may begin on the blank lines before it.
  return { file, line: lineAt(source, index + source.slice(index).search(/\S/)) };
}

function documentOf(all: readonly Row[]): string {
  const parts = [
    "# Requirements",
    "",
    "What was asked for, the tests that prove it, and where its rule stands. Written by `npm run rows` from",
    `[${ROWS_FILE}](rows.txt) and the titles of the tests; do not edit it by hand.`,
  ];
  for (const [prefix, title] of SECTIONS) {
    const section = all.filter(({ id }) => id.startsWith(`${prefix}-`));
    if (section.length === 0) continue;
    parts.push(
      "",
      `## ${prefix}: ${title}`,
      "",
      "| row | what holds | proved by | rule |",
      "| --- | --- | --- | --- |",
    );
    parts.push(...section.map(lineOf));
  }
  return `${parts.join("\n")}\n`;
}

function lineOf(row: Row): string {
  const { id, place, statement } = row;
  const proven = proofs.get(id) ?? [];
  if (place === LATER) return `| ${id} | ${statement} | ${shown(proven) || "later"} | |`;
  const spot = spotOf(row);
  if (proven.length === 0) problems.push(`${id} has no test whose title names it`);
  return `| ${id} | ${statement} | ${shown(proven)} | ${spot === undefined ? "" : link(spot)} |`;
}

function shown(all: readonly Proof[]): string {
  const list = all.slice(0, SHOWN_TESTS).map((proof) => `${cell(proof.title)} (${link(proof)})`);
  if (all.length > SHOWN_TESTS) list.push(`and ${all.length - SHOWN_TESTS} more`);
  return list.join("<br>");
}

/** What a cell may hold: the ids stand beside it, and a bar would end it. */
function cell(title: string): string {
  return title
    .replace(/^(?:(?:S[0-4]-[LB]?\d\d|R-B?\d\d)[,:]? ?)+/, "")
    .replaceAll("|", "\\|")
    .replaceAll("<", "&lt;");
}

function link({ file, line }: Spot): string {
  return `[${file}:${line}](../${file}#L${line})`;
}
