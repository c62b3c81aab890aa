/** The last of what a process wrote. */

/** 64 KB: enough for a stack trace and what led to it. UTF-16 units. */
export const LOG_TAIL_LIMIT = 65_536;

export class LogTail {
  #text = "";
  #cut = false;
  #lineCount = 0;

  /** Whole lines that were ever written. */
  get lineCount(): number {
    return this.#lineCount;
  }

  push(text: string): void {
    this.#text += text;
    for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) this.#lineCount += 1;
    // Cut at twice the limit, so that each character is copied once at most.
    if (this.#text.length > 2 * LOG_TAIL_LIMIT) this.#cutTo(LOG_TAIL_LIMIT);
  }

  /** Whole lines, oldest first, at most `LOG_TAIL_LIMIT` units in all; of a longer line, its end. */
  lines(): readonly string[] {
    this.#cutTo(LOG_TAIL_LIMIT);
    const lines = this.#text.split(/\r?\n/);
    if (this.#cut && lines.length > 1) lines.shift();
    if (lines.at(-1) === "") lines.pop();
    return lines;
  }

  /** Whole lines after the first `count` that were ever written, as far as they are kept. */
  linesAfter(count: number): readonly string[] {
    const kept = this.lines();
    const whole = this.#text === "" || this.#text.endsWith("\n") ? kept : kept.slice(0, -1);
    return whole.slice(Math.max(0, whole.length - Math.max(0, this.#lineCount - count)));
  }

  #cutTo(limit: number): void {
    if (this.#text.length <= limit) return;
    // A cut just after a line's end leaves whole lines; one inside a line leaves a piece of it.
    this.#cut = this.#text[this.#text.length - limit - 1] !== "\n";
    this.#text = this.#text.slice(-limit);
  }
}
