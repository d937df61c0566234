const NEWLINE = 0x0a;

/** Counts the lines of what passes, blank ones too. */
export class LineCount {
  #newlines = 0;
  #isOpen = false;

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, at + 1)) this.#newlines += 1;
    this.#isOpen = chunk.at(-1) !== NEWLINE;
  }

  /** The last line counts without an end too. */
  get lines(): number {
    return this.#newlines + (this.#isOpen ? 1 : 0);
  }
}
