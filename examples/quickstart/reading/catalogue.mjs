// All packages in one index: joins the digests.

import { Refusal } from "./refusal.mjs";

/** Terms of the whole index. */
const CHOSEN = 30;

/**
 * @param {{ digests: string[] }} input ids of the tasks to join
 * @param {Record<string, object>} results digests by id
 * @returns {{ packages: object[], documents: number, lines: number, words: number, bytes: number,
 *   licences: { licence: string, packages: number }[], terms: { term: string, packages: string[] }[] }}
 */
export function catalogue(input, results) {
  if (!Array.isArray(input?.digests)) throw new Refusal("input.digests: expected a list");
  const digests = input.digests.map((id) => {
    if (Object.hasOwn(results, id)) return results[id];
    throw new Refusal(`context.dependencies: no result of ${id}`);
  });
  const sum = (field) => digests.reduce((total, digest) => total + digest[field], 0);
  return {
    packages: digests
      .map(({ documents, ...digest }) => ({ ...digest, documents: documents.length }))
      .sort((a, b) => (a.package < b.package ? -1 : 1)),
    documents: digests.reduce((total, { documents }) => total + documents.length, 0),
    lines: sum("lines"),
    words: sum("words"),
    bytes: sum("bytes"),
    licences: grouped(digests, "licences").map(([licence, packages]) => ({ licence, packages: packages.length })),
    terms: grouped(digests, "keywords")
      .slice(0, CHOSEN)
      .map(([term, packages]) => ({ term, packages })),
  };
}

/** Values of a list field with the packages that have them, the most common first. */
function grouped(digests, field) {
  const packages = new Map();
  for (const digest of digests) {
    for (const value of digest[field]) packages.set(value, [...(packages.get(value) ?? []), digest.package]);
  }
  return [...packages].sort(([a, x], [b, y]) => y.length - x.length || (a < b ? -1 : 1));
}
