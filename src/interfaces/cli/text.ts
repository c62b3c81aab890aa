/** Text for a terminal: nothing that came from elsewhere may control it. */

/** Control characters become visible escapes; tabs and, where lines are wanted, line feeds stay. */
export function printable(text: string, { lines = false }: { lines?: boolean } = {}): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that are meant.
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (control) => {
    if (lines && (control === "\n" || control === "\t")) return control;
    return `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** A value in at most `width` characters of one line. */
export function shorten(text: string, width: number): string {
  const [line = ""] = text.split("\n", 1);
  const whole = line.length === text.length;
  return whole && line.length <= width ? line : `${line.slice(0, width - 1)}…`;
}

/** Columns aligned to the left, with a heading; no trailing blanks. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [headings, ...rows.map((row) => row.map((cell) => printable(cell)))];
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? "").length)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Names and values below one another; what is undefined is left out. */
export function fields(entries: readonly (readonly [string, string | undefined])[]): string {
  const there = entries.filter((entry): entry is readonly [string, string] => entry[1] !== undefined);
  const width = Math.max(0, ...there.map(([name]) => name.length));
  return there
    .map(([name, value]) => `${name.padEnd(width)}  ${printable(value, { lines: true })}`.trimEnd())
    .join("\n");
}

/** `850 ms`, `12.3 s`, `4.5 min`, `2.1 h`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${(ms / 60_000).toFixed(1)} min`;
  return `${(ms / 3_600_000).toFixed(1)} h`;
}

/** One argument for a POSIX shell. */
export function shellQuoted(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
}
