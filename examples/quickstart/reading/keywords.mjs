// Keywords: phrases of up to three words that a document repeats and that not every document has.

import { plainText } from "./plain-text.mjs";
import { runsOf } from "./words.mjs";

/** Keywords per document. */
const CHOSEN = 10;
const LONGEST_PHRASE = 3;

/** What READMEs and licences are full of whatever they are about: a quarter of the weight. */
const BACKGROUND = new Set(
  `code copyright copy copies default documentation docs example examples file files following github github.com import
  install installation issue license licence licensed make module new node npm number option options package packages
  permission permissions project provided readme return returns run see software source string support text true false
  type types usage value values version work yarn pnpm const function software's warranty warranties
  implied liability liable damages granted notice conditions`.split(/\s+/),
);

/**
 * @param {string} source a document in Markdown, HTML, JSON or plain text; may be empty
 * @returns {{ words: number, keywords: { term: string, count: number, score: number }[] }} best first; `words` is how
 *   many different words that say something it has
 */
export function keywords(source) {
  const { title, paragraphs } = plainText(source);
  const runs = [title ?? "", ...paragraphs].map(runsOf);
  const counts = countPhrases(runs);
  const scored = [...counts].map(([term, count]) => ({ term, count, score: score(term, count) }));
  const words = scored.reduce((total, { term }) => (term.includes(" ") ? total : total + 1), 0);
  return { words, keywords: choose(scored) };
}

function countPhrases(runs) {
  const counts = new Map();
  for (const run of runs) {
    for (let start = 0; start < run.length; start += 1) {
      let phrase = "";
      for (let length = 1; length <= LONGEST_PHRASE && run[start + length - 1]; length += 1) {
        phrase = length === 1 ? run[start] : `${phrase} ${run[start + length - 1]}`;
        counts.set(phrase, (counts.get(phrase) ?? 0) + 1);
      }
    }
  }
  return counts;
}

/** A phrase must be said twice to be one; each of its words adds to its weight. */
function score(term, count) {
  const words = term.split(" ");
  if (words.length > 1 && count < 2) return 0;
  const weight = words.reduce((total, word) => total + (BACKGROUND.has(word) ? 0.25 : 1), 0) / Math.sqrt(words.length);
  return Math.round(100 * weight * Math.log2(1 + count)) / 100;
}

/** The best, without one that is part of another or the other way round. */
function choose(scored) {
  const chosen = [];
  const ranked = scored
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score || b.count - a.count || (a.term < b.term ? -1 : 1));
  for (const next of ranked) {
    if (chosen.length === CHOSEN) break;
    const shares = ({ term }) => ` ${term} `.includes(` ${next.term} `) || ` ${next.term} `.includes(` ${term} `);
    if (!chosen.some(shares)) chosen.push(next);
  }
  return chosen;
}
