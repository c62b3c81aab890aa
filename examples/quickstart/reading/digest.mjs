// A package in one record: joins what three tasks found out about each of its documents.

import { Refusal } from "./refusal.mjs";

/** Keywords of a package. */
const CHOSEN = 8;

/**
 * @param {{ package: string, documents: { path: string, summary: string, keywords: string, measure: string }[] }} input
 *   ids of the tasks to join, per document
 * @param {Record<string, unknown>} results of those tasks, by id
 * @returns {{ package: string, documents: object[], lines: number, words: number, bytes: number, licences: string[],
 *   about: string, keywords: string[] }}
 */
export function digest(input, results) {
  if (!Array.isArray(input?.documents)) throw new Refusal("input.documents: expected a list");
  const documents = input.documents.map((document) => join(document, results));
  const sum = (field) => documents.reduce((total, document) => total + document[field], 0);
  return {
    package: input.package,
    documents: documents.map(({ keywords, ...document }) => document),
    lines: sum("lines"),
    words: sum("words"),
    bytes: sum("bytes"),
    licences: [...new Set(documents.flatMap(({ licence }) => licence ?? []))],
    about: aboutOf(documents),
    keywords: best(documents),
  };
}

function join({ path, summary, keywords, measure }, results) {
  for (const id of [summary, keywords, measure]) {
    if (!Object.hasOwn(results, id)) throw new Refusal(`context.dependencies: no result of ${id}`);
  }
  const [lines = 0, words = 0, bytes = 0] = String(results[measure]).match(/\d+/g)?.map(Number) ?? [];
  const { title, script, licence, summary: sentences } = results[summary];
  return {
    path,
    lines,
    words,
    bytes,
    title,
    script,
    licence,
    summary: sentences,
    keywords: results[keywords].keywords,
  };
}

/** What the package is for: the first thing its README says, else any other document that is not a licence. */
function aboutOf(documents) {
  const readmes = documents.filter(({ path }) => /(^|\/)readme[^/]*$/i.test(path));
  const others = documents.filter(({ licence }) => licence === null);
  const told = [...readmes.sort((a, b) => a.path.length - b.path.length), ...others, ...documents];
  return told.find(({ summary }) => summary.length > 0)?.summary[0] ?? "";
}

function best(documents) {
  const scores = new Map();
  for (const { keywords, licence } of documents) {
    // The words of a licence say what one may do with a package, not what it is.
    for (const { term, score } of licence === null ? keywords : []) scores.set(term, (scores.get(term) ?? 0) + score);
  }
  return [...scores]
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .slice(0, CHOSEN)
    .map(([term]) => term);
}
