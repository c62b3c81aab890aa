/** How far the work is: a bar that redraws itself on a terminal, a line every tenth of the way elsewhere. */

const WIDTH = 32;
const STEP = 0.1;

export class Progress {
  readonly #total: number;
  readonly #out: NodeJS.WriteStream;
  #nextShare = STEP;
  #drawn = false;

  constructor(total: number, out: NodeJS.WriteStream) {
    this.#total = total;
    this.#out = out;
  }

  /** @param settled - of the total; @param note - what else is worth knowing just now */
  update(settled: number, note: string): void {
    const share = Math.min(1, settled / this.#total);
    const text = `${String(Math.floor(share * 100)).padStart(3)} %  ${settled}/${this.#total} settled  ${note}`;
    if (this.#out.isTTY) {
      const filled = Math.round(share * WIDTH);
      const line = `  ${"█".repeat(filled)}${"░".repeat(WIDTH - filled)} ${text}`;
      this.#out.write(`\r\x1b[2K${line.slice(0, (this.#out.columns ?? 80) - 1)}`);
      this.#drawn = true;
    } else if (share >= this.#nextShare) {
      this.#out.write(`  ${text}\n`);
      this.#nextShare = Math.floor(share / STEP + 1) * STEP;
    }
  }

  /** Prints a line without tearing the bar. */
  say(line: string): void {
    this.end();
    this.#out.write(`${line}\n`);
  }

  /** Leaves the cursor on a new line. */
  end(): void {
    if (this.#drawn) this.#out.write("\r\x1b[2K");
    this.#drawn = false;
  }
}
