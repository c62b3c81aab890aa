// Words of any language, and which of them say nothing.

const segmenter = new Intl.Segmenter(undefined, { granularity: "word" });
/** Scripts that do not put spaces between words. */
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}]/u;

const SCRIPTS = {
  latin: /\p{Script=Latin}/gu,
  han: /\p{Script=Han}/gu,
  kana: /[\p{Script=Hiragana}\p{Script=Katakana}]/gu,
  hangul: /\p{Script=Hangul}/gu,
  cyrillic: /\p{Script=Cyrillic}/gu,
  greek: /\p{Script=Greek}/gu,
  arabic: /\p{Script=Arabic}/gu,
  hebrew: /\p{Script=Hebrew}/gu,
  devanagari: /\p{Script=Devanagari}/gu,
};
/** How much of a document decides its script. UTF-16 units. */
const SCRIPT_SAMPLE = 20_000;

const STOP_WORDS = new Set(
  `a about above after again all also am an and any are as at be because been before being below between both but by can
  cannot could did do does doing down during each either etc few for from further get had has have having he her here
  him his how however i if in into is isn it its itself just let like may me might more most must my no nor not now of
  off on once one only or other our out over own per same see set shall she should since so some such than that the
  their them then there these they this those through thus to too two under until up upon use used using very via was
  way we well were what when where whether which while who whom why will with within without would yet you your yours
  de la le les des du un une et est en pour que qui dans sur avec par pas plus ce cette vous nous il elle sont au aux
  der die das und ist nicht mit ein eine für auf von zu den dem im es sie wir wird werden auch als bei oder
  el los las una y es por con para del se lo su al como más o sin este esta
  os uma e não com no na do da em mais dos das ao seu sua você
  jest nie się na do z i w to że jak lub dla od oraz są po przez
  и в не на с что это для по как из к от или а о вы мы если у же при за его так
  та і у з на що це для як від або не до за ви ми якщо при його є
  और का की के है में से को पर यह हैं लिए एक या भी कर करने
  は が を に の で と も へ や か です ます する した して ある いる この その れる から まで
  的 是 在 和 了 与 或 您 你 我们 可以 一个 以及 对 中 为 将 不 也 有 并 以 及 它
  은 는 이 가 을 를 의 에 로 와 과 도 수 있습니다 합니다 및 또는`.split(/\s+/),
);

/**
 * Lower-case words in order; a gap (punctuation, a word that says nothing) is an empty string.
 * Runs between gaps are what phrases may be made of.
 *
 * @param {string} text
 * @returns {string[]}
 */
export function runsOf(text) {
  const words = [];
  for (const [chunk] of text.toLowerCase().matchAll(/[\p{L}\p{N}][\p{L}\p{N}\p{M}'’_-]*|[^\p{L}\p{N}\s]/gu)) {
    for (const word of UNSPACED.test(chunk) ? unspaced(chunk) : [chunk.replace(/['’_-]+$|['’]s$/gu, "")]) {
      words.push(isTelling(word) ? word : "");
    }
  }
  return words;
}

/** @param {string} text @returns {string[]} the words that say something */
export function wordsOf(text) {
  return runsOf(text).filter((word) => word !== "");
}

/** @param {string} text @returns {string} the script most letters belong to; `none` without letters */
export function scriptOf(text) {
  const sample = text.slice(0, SCRIPT_SAMPLE);
  let best = { name: "none", letters: 0 };
  for (const [name, pattern] of Object.entries(SCRIPTS)) {
    const letters = sample.match(pattern)?.length ?? 0;
    if (letters > best.letters) best = { name, letters };
  }
  return best.name;
}

function unspaced(chunk) {
  return Array.from(segmenter.segment(chunk), ({ segment, isWordLike }) => (isWordLike ? segment : ""));
}

/** Japanese writes its grammar in Hiragana and its matter in the other scripts. */
function isTelling(word) {
  if (STOP_WORDS.has(word) || !/\p{L}/u.test(word) || /n['’]t$|^\p{Script=Hiragana}+$/u.test(word)) return false;
  return word.length > 2 || UNSPACED.test(word) ? word.length > 1 : false;
}
