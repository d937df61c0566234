import { styleText } from 'node:util';
import { createLogUpdate } from 'log-update';

type Format = Parameters<typeof styleText>[0];

/** What a command shows: its result on standard output, what it says meanwhile on standard error. */
export type Terminal = {
  /** A line of the result. */
  readonly out: (line: string) => void;
  /** A line beside it. */
  readonly say: (line: string) => void;
  /** Lines that are written over in place by the next; nothing where standard error is no terminal. */
  readonly live: (lines: readonly string[]) => void;
  /** Takes away what is live. */
  readonly clear: () => void;
  /** Whether standard error is a terminal. */
  readonly isLive: boolean;
  /** Whether somebody can be asked: standard input is one, too. */
  readonly canAsk: boolean;
  /** Colours a text of standard output, or of standard error, where that is a terminal that takes colours. */
  readonly paint: (format: Format, text: string) => string;
  readonly paintSaid: (format: Format, text: string) => string;
};

/** The terminal of this process. */
export function openTerminal(): Terminal {
  const { stdout, stderr, stdin } = process;
  const update = createLogUpdate(stderr, { showCursor: true });
  // A terminal without a size, such as that of a script, cannot be written over.
  const isLive = stderr.isTTY && stderr.rows > 0;
  let isShown = false;
  const clear = (): void => {
    if (isShown) update.clear();
    isShown = false;
  };
  // Somebody who has seen enough, such as `head`, is no fault.
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
  return {
    out: (line) => void stdout.write(`${line}\n`),
    say: (line) => {
      clear();
      stderr.write(`${line}\n`);
    },
    live: (lines) => {
      if (!isLive) return;
      isShown = true;
      update(lines.join('\n'));
    },
    clear,
    isLive,
    canAsk: stderr.isTTY && stdin.isTTY,
    paint: (format, text) => (text === '' ? '' : styleText(format, text, { stream: stdout })),
    paintSaid: (format, text) => (text === '' ? '' : styleText(format, text, { stream: stderr })),
  };
}
