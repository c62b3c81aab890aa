// What a person would read aloud of a document in Markdown, HTML, a package's manifest or plain text.

const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: " ", copy: "©", mdash: "-", ndash: "-" };
const CJK = /[\u2E80-\u9FFF\uF900-\uFAFF\uFF00-\uFFEF]/u;

/**
 * @param {string} source
 * @returns {{ title: string | undefined, paragraphs: string[] }} in the order of the document; headings are not
 *   among the paragraphs, the first of the highest level is the title
 */
export function plainText(source) {
  const text = source
    .replace(/^\uFEFF/, "")
    .replace(/\r\n?/g, "\n")
    .replaceAll("\0", "");
  return manifest(text) ?? prose(text);
}

/** The manifest of a package speaks through its name, description and keywords. */
function manifest(text) {
  if (!text.startsWith("{")) return undefined;
  try {
    const { name, description, keywords } = JSON.parse(text);
    const about = typeof description === "string" ? [description] : [];
    const topics = Array.isArray(keywords) && keywords.length > 0 ? [keywords.join(", ")] : [];
    return { title: typeof name === "string" ? name : undefined, paragraphs: [...about, ...topics] };
  } catch {
    return undefined;
  }
}

function prose(text) {
  const document = { title: undefined, paragraphs: [], open: [] };
  let fence;
  for (const line of withoutTags(text).split("\n")) {
    const mark = /^\s{0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    if (fence !== undefined) {
      if (mark?.startsWith(fence)) fence = undefined;
    } else if (mark !== undefined) {
      closeParagraph(document);
      fence = mark;
    } else {
      takeLine(document, line);
    }
  }
  closeParagraph(document);
  return { title: document.title, paragraphs: document.paragraphs };
}

function takeLine(document, line) {
  const [heading, level] = /^\s{0,3}(#{1,6})\s/.exec(line) ?? [];
  if (heading !== undefined) {
    closeParagraph(document);
    if (level.length === 1) document.title ??= inline(line.slice(heading.length)) || undefined;
    return;
  }
  const underline = /^\s{0,3}(=|-)\1+\s*$/.exec(line)?.[1];
  if (underline !== undefined && document.open.length === 1) {
    const text = document.open.pop();
    if (underline === "=") document.title ??= inline(text) || undefined;
    return;
  }
  const rule = /^\s*([-*_=~+]\s*){3,}$/.test(line);
  const table = /^\s*\|/.test(line);
  const command = /^[\s>]*(?:\$|npm|npx|yarn|pnpm)\s/.test(line);
  const reference = /^\s{0,3}\[[^\]]{1,200}\]:\s/.test(line);
  if (line.trim() === "" || rule || table || command || reference) {
    closeParagraph(document);
    return;
  }
  const item = /^\s*(?:[-*+•]|\d{1,3}[.)])\s+(.*)$/.exec(line)?.[1];
  if (item !== undefined) closeParagraph(document);
  document.open.push((item ?? line).replace(/^\s*(?:>\s?)+/, "").trim());
}

function closeParagraph(document) {
  const paragraph = inline(document.open.reduce(joinLines, ""));
  if (/[\p{L}\p{N}]/u.test(paragraph)) document.paragraphs.push(paragraph);
  document.open = [];
}

/** Chinese and Japanese break lines without a space. */
function joinLines(before, line) {
  if (before === "") return line;
  const glued = CJK.test(before.at(-1)) && CJK.test(line.charAt(0));
  return glued ? before + line : `${before} ${line}`;
}

/** Takes the marks out of a run of Markdown and keeps its words. Every repetition is bounded, so time is linear. */
function inline(text) {
  return text
    .replace(/!\[[^\][]{0,300}\]\([^()\s]{0,1000}(?:\s"[^"]{0,300}")?\)/g, "")
    .replace(/!\[[^\][]{0,300}\]\[[^\][]{0,300}\]/g, "")
    .replace(/\[([^\][]{0,500})\](?:\([^()\s]{0,1000}(?:\s"[^"]{0,300}")?\)|\[[^\][]{0,300}\])?/g, "$1")
    .replace(/<?https?:\/\/[^\s<>]{1,2000}>?/g, "")
    .replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z]{2,8}));/gi, entity)
    .replace(/`+|\*{1,3}|~~|(?<![\p{L}\p{N}])_{1,3}|_{1,3}(?![\p{L}\p{N}])/gu, "")
    .replace(/\(\s*\)/g, "")
    .replace(/\s+/g, " ")
    .trim();
}

function entity(whole, decimal, hex, name) {
  if (name !== undefined) return ENTITIES[name.toLowerCase()] ?? whole;
  const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
  return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
}

/** Takes HTML out. A tag that ends a block ends the line as well; a heading becomes one of Markdown's. */
function withoutTags(text) {
  let rest = dropBetween(text, "<!--", "-->");
  for (const name of ["script", "style", "svg", "pre"]) rest = dropBetween(rest, `<${name}`, `</${name}>`);
  return rest
    .replace(/<h([1-6])(?:\s[^<>]{0,1000})?>\s*/gi, (_, level) => `\n${"#".repeat(level)} `)
    .replace(
      /<\/?(?:h[1-6]|p|div|li|ul|ol|tr|td|th|table|center|br|hr|summary|details|title|body|head)(?:\s[^<>]{0,1000})?\/?>/gi,
      "\n\n",
    )
    .replace(/<\/?[a-z][a-z0-9-]{0,30}(?:\s[^<>]{0,2000})?\/?>/gi, "");
}

/** Without what stands from each `open` to the next `close`; an `open` that is never closed stays. */
function dropBetween(text, open, close) {
  const kept = [];
  let from = 0;
  for (;;) {
    const start = text.indexOf(open, from);
    const end = start < 0 ? -1 : text.indexOf(close, start + open.length);
    if (end < 0) break;
    kept.push(text.slice(from, start));
    from = end + close.length;
  }
  return kept.join("") + text.slice(from);
}
