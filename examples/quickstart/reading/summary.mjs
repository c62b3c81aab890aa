// An extractive summary: the sentences whose words the whole document keeps coming back to.

import { licenceOf } from "./licence.mjs";
import { plainText } from "./plain-text.mjs";
import { scriptOf, wordsOf } from "./words.mjs";

/** Sentences in a summary. */
const CHOSEN = 3;
/** Sentences that are looked at; what comes later in a very long document only counts for the words' weights. */
const CONSIDERED = 3_000;
/** Units of a sentence that are shown. */
const SHOWN = 320;
/** Share of common words from which two sentences say the same. */
const SAME = 0.7;

const segmenter = new Intl.Segmenter(undefined, { granularity: "sentence" });

/**
 * @param {string} source a document in Markdown, HTML, JSON or plain text; may be empty
 * @returns {{ title: string | null, script: string, licence: string | null, sentences: number, summary: string[] }}
 *   the summary in the order of the document, empty when there is nothing to say
 */
export function summarise(source) {
  const { title, paragraphs } = plainText(source);
  const sentences = sentencesOf(paragraphs);
  const text = paragraphs.join("\n");
  return {
    title: title ?? null,
    script: scriptOf(text === "" ? (title ?? "") : text),
    licence: licenceOf(text) ?? null,
    sentences: sentences.length,
    summary: choose(score(sentences, title ?? "")),
  };
}

function sentencesOf(paragraphs) {
  const sentences = [];
  for (const paragraph of paragraphs) {
    for (const { segment } of segmenter.segment(paragraph)) {
      const text = segment.trim();
      if (text !== "") sentences.push({ text, words: [...new Set(wordsOf(text))], place: sentences.length });
    }
  }
  return sentences;
}

/** Mean weight of a sentence's words, more for early ones and for those that speak of the title. */
function score(sentences, title) {
  const counts = new Map();
  for (const { words } of sentences) for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  const titled = new Set(wordsOf(title));
  return sentences.slice(0, CONSIDERED).map((sentence) => {
    const { words, place } = sentence;
    let weight = 0;
    for (const word of words) weight += Math.log2(1 + counts.get(word)) * (titled.has(word) ? 2 : 1);
    // The root favours longer sentences a little; the mean alone would choose headlines of two words.
    const density = words.length === 0 ? 0 : weight / Math.sqrt(words.length + 8);
    return { ...sentence, score: density * (1 + 1 / (1 + place / 4)) };
  });
}

function choose(scored) {
  const chosen = [];
  for (const sentence of scored.toSorted((a, b) => b.score - a.score || a.place - b.place)) {
    if (chosen.length === CHOSEN) break;
    if (!chosen.some((other) => overlap(other.words, sentence.words) > SAME)) chosen.push(sentence);
  }
  return chosen.sort((a, b) => a.place - b.place).map(({ text }) => clip(text));
}

/** Common words as a share of the smaller set, 0 to 1. */
function overlap(a, b) {
  const smaller = Math.min(a.length, b.length);
  if (smaller === 0) return 0;
  const words = new Set(a);
  return b.filter((word) => words.has(word)).length / smaller;
}

function clip(text) {
  return text.length <= SHOWN
    ? text
    : `${text
        .slice(0, SHOWN)
        .toWellFormed()
        .replace(/[\s\uFFFD]+$/, "")}…`;
}
