/** The result of the last task as a page for people. */

/** What the reader answers to a task of type `index`. */
export interface Index {
  readonly packages: readonly {
    readonly package: string;
    readonly documents: number;
    readonly lines: number;
    readonly words: number;
    readonly bytes: number;
    readonly licences: readonly string[];
    readonly about: string;
    readonly keywords: readonly string[];
  }[];
  readonly documents: number;
  readonly lines: number;
  readonly words: number;
  readonly bytes: number;
  readonly licences: readonly { readonly licence: string; readonly packages: number }[];
  readonly terms: readonly { readonly term: string; readonly packages: readonly string[] }[];
}

/** @param taskId - of the task that made it */
export function indexPage(index: Index, taskId: string): string {
  const { packages, documents, lines, words, bytes, licences, terms } = index;
  const parts = [
    "# What the installed packages say about themselves",
    `${documents} documents of ${packages.length} packages: ${lines} lines, ${words} words, ${bytes} bytes. Result of task \`${taskId}\`.`,
    "## Licences",
    licences.map(({ licence, packages }) => `- ${licence}: ${packages} packages`).join("\n") || "None was recognised.",
    "## Words they share",
    terms
      .filter(({ packages }) => packages.length > 1)
      .map(({ term, packages }) => `- ${text(term)}: ${packages.join(", ")}`)
      .join("\n") || "None.",
    "## Packages",
    ...packages.flatMap((entry) => [
      `### ${entry.package}`,
      text(entry.about) || "It says nothing.",
      [
        entry.keywords.length > 0 ? `Keywords: ${entry.keywords.map(text).join(", ")}.` : "",
        entry.licences.length > 0 ? `Licence: ${entry.licences.join(", ")}.` : "",
        `${entry.documents} documents, ${entry.words} words.`,
      ]
        .filter((part) => part !== "")
        .join(" "),
    ]),
  ];
  return `${parts.join("\n\n")}\n`;
}

/** What documents say is not Markdown of this page. */
function text(said: string): string {
  return said.replace(/[\\`*_[\]<>#|]/g, "\\$&");
}
