import { cutText } from '@spillway/core';

/** A stream that shows lines: a terminal or not. */
export type Output = {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
};

const PLAIN_EVERY_MS = 2_000;

/** Lines that stay, and one that is written over: in place on a terminal, every two seconds elsewhere. */
export class Screen {
  readonly #output: Output;
  readonly #now: () => number;
  #live = false;
  #plainAtMs = Number.NEGATIVE_INFINITY;

  constructor(output: Output, now: () => number = () => performance.now()) {
    this.#output = output;
    this.#now = now;
  }

  line(text = ''): void {
    this.clear();
    this.#output.write(`${text}\n`);
  }

  /** Shows how things stand; cut to the terminal's width, because a line that wraps cannot be written over. */
  progress(bar: string, text: string): void {
    if (this.#output.isTTY === true) {
      const shown = cutText(`  ${bar} ${text}`, (this.#output.columns ?? 80) - 1);
      this.#output.write(`\r${shown}\u001B[K`);
      this.#live = true;
      return;
    }
    if (this.#now() - this.#plainAtMs < PLAIN_EVERY_MS) return;
    this.#plainAtMs = this.#now();
    this.#output.write(`  ${text}\n`);
  }

  /** Takes the line that is written over away. */
  clear(): void {
    if (this.#live) this.#output.write('\r\u001B[K');
    this.#live = false;
  }
}
