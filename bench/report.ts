/** The tables of the bench, in Markdown. */
import { execFileSync } from "node:child_process";
import { cpus, loadavg, totalmem } from "node:os";
import { type Case, type Figures, middle, type Subject } from "./case.ts";

/** What was found of a subject: a set of figures per round, and its ratio in each. */
export interface Line {
  readonly name: string;
  readonly kind: Subject["kind"];
  readonly rounds: readonly Figures[];
  readonly ratios: readonly number[];
}

export interface Found {
  readonly case: Case;
  readonly lines: readonly Line[];
}

export function factsOfMachine({ rounds, scale }: { rounds: number; scale: number }): string {
  const memory = Math.round(totalmem() / 2 ** 30);
  const [load = 0] = loadavg();
  const busy = load > cpus().length ? " (busy with other things: ratios mean more than figures)" : "";
  const day = execFileSync("date", ["+%F"], { encoding: "utf8" }).trim();
  const cores = `${cpus().length} × ${cpus()[0]?.model ?? "unknown"}`;
  const size = scale === 1 ? "" : ` at ${scale} of the size that the titles say`;
  return `${day}, Node ${process.version}, ${cores}, ${memory} GiB, ${process.platform}; load ${load.toFixed(1)} when it began${busy}; ${rounds} ${rounds === 1 ? "round" : "rounds"}${size}.`;
}

/** The middle, with the lowest and highest beside it where they differ by more than a tenth. */
function cell(figures: readonly number[], digits: number): string {
  if (figures.length === 0) return "–";
  const say = (figure: number): string =>
    figure.toLocaleString("en-US", { maximumFractionDigits: digits, minimumFractionDigits: digits });
  const [low, high] = [Math.min(...figures), Math.max(...figures)];
  const mid = middle(figures);
  return high - low > Math.abs(mid) / 10 ? `${say(mid)} (${say(low)} – ${say(high)})` : say(mid);
}

/** Floors and peers are set apart by their type face. */
function named({ name, kind }: Line): string {
  if (kind === "troupe") return `**${name}**`;
  return kind === "floor" ? `*${name}*` : name;
}

export function table({ case: { title, says, columns, ratio }, lines }: Found): string {
  const heads = columns.map((column) => column.title);
  if (ratio !== undefined) heads.push(`× as good as ${ratio.against}`);
  const rows = lines.map((line) => {
    const cells = columns.map(({ key, digits = 0 }) =>
      cell(
        line.rounds.flatMap((figures) => figures[key] ?? []),
        digits,
      ),
    );
    if (ratio !== undefined) cells.push(cell(line.ratios, 2));
    return `| ${[named(line), ...cells].join(" | ")} |`;
  });
  const rule = `| --- |${" ---: |".repeat(heads.length)}`;
  return `### ${title}\n\n${says}\n\n| | ${heads.join(" | ")} |\n${rule}\n${rows.join("\n")}\n`;
}

const BEGIN = "<!-- What follows is written by npm run bench -- --write -->";
const END = "<!-- Here it ends -->";

interface Report {
  /** What was measured on, and how. */
  readonly machine: string;
  readonly found: readonly Found[];
  readonly later: readonly string[];
}

/** The page with its tables replaced. */
export function intoPage(page: string, { machine, found, later }: Report): string {
  const [before = "", rest = ""] = page.split(BEGIN);
  const after = rest.split(END)[1] ?? "\n";
  const places = later.map((what) => `- ${what}: not measured yet.`).join("\n");
  return `${before}${BEGIN}\n\n${machine}\n\n${found.map(table).join("\n")}\n${places}\n\n${END}${after}`;
}

/** The page with some of its tables replaced; below each stands what it was measured on. */
export function intoTables(page: string, { machine, found }: Pick<Report, "machine" | "found">): string {
  return found.reduce((text, one) => {
    const from = text.indexOf(`### ${one.case.title}\n`, text.indexOf(BEGIN));
    if (from === -1)
      throw new Error(`docs/performance.md has no table "${one.case.title}" yet: write all of them once`);
    const ends = ["\n### ", "\n- ", `\n${END}`].map((mark) => text.indexOf(mark, from)).filter((end) => end !== -1);
    return `${text.slice(0, from)}${table(one)}\n${machine}\n${text.slice(Math.min(...ends))}`;
  }, page);
}
