import type { Writable } from 'node:stream';
import { pause } from './pause.ts';

/** What a reader who is slow may leave unread: 64 KiB of it are the kernel's, the rest is this process' memory. */
export const MAX_UNREAD_CHARACTERS = 1024 * 1024;

/** What a log writes to. */
export type LogWriter = Pick<Writable, 'write' | 'writableLength' | 'on'>;

/**
 * Where log lines go: to a stream, and never at the expense of the process. Nobody may read it: then what is more than a
 * bounded amount is dropped, and counted. Its reader may be gone: then all of it is. A pipe that is full is not waited for,
 * as Node writes to it without blocking.
 */
export class LogOutput {
  readonly #to: LogWriter;
  readonly #onDropped: (lines: number) => void;
  #dropped = 0;
  #isGone = false;

  /** `onDropped` is called with how many lines are missing, once what is behind them may be read. */
  constructor(to: LogWriter, onDropped: (lines: number) => void) {
    this.#to = to;
    this.#onDropped = onDropped;
    // Without a listener the first write to a reader who is gone would end the process.
    to.on('error', () => {
      this.#isGone = true;
    });
    to.on('drain', () => this.#tellDropped());
  }

  write(line: string): void {
    if (this.#isGone) return;
    if (this.#to.writableLength + line.length > MAX_UNREAD_CHARACTERS) this.#dropped += 1;
    else this.#to.write(line);
  }

  /** Until all is written, or for `limitMs`; a reader who is gone is not waited for. */
  async flush(limitMs: number): Promise<void> {
    if (this.#isGone || this.#to.writableLength === 0) return;
    const limit = new AbortController();
    // Written behind all others; whether it was or the reader is gone meanwhile.
    const written = new Promise((resolve) => this.#to.write('', resolve));
    await Promise.race([written, pause(limitMs, limit.signal)]);
    limit.abort();
  }

  #tellDropped(): void {
    const dropped = this.#dropped;
    this.#dropped = 0;
    if (dropped > 0) this.#onDropped(dropped);
  }
}
