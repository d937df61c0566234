import type { TokenReport } from '../engine/generation.ts';
import type { Tokenizer } from '../engine/tokenizer.ts';

/** A token as the protocol shows it; the bytes of all of them together are the bytes of the text. */
export interface ShownToken {
  readonly report: TokenReport;
  readonly bytes: Uint8Array;
}

export interface Piece {
  readonly text: string;
  readonly tokens: readonly ShownToken[];
}

/** Whether bytes break off within a UTF-8 character, whose rest the next token will bring. */
export function endsInsideCharacter(bytes: Uint8Array): boolean {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte >= 0b1100_0000) return back < (byte >= 0b1111_0000 ? 4 : byte >= 0b1110_0000 ? 3 : 2);
    if (byte < 0b1000_0000) return false;
  }
  return false;
}

/**
 * Turns tokens into text for one choice. It holds back what may still turn out to be half a character or the start of a
 * stop string, and cuts at a stop string: the text ends before it, and so do the tokens.
 */
export class TextAssembler {
  readonly #tokenizer: Tokenizer;
  readonly #stops: readonly string[];
  #held: ShownToken[] = [];

  constructor(tokenizer: Tokenizer, stops: readonly string[]) {
    this.#tokenizer = tokenizer;
    this.#stops = stops;
  }

  push(report: TokenReport): Piece {
    this.#held.push({ report, bytes: this.#tokenizer.bytesOf(report.token) });
    const bytes = this.#heldBytes();
    const text = bytes.toString('utf8');
    const undecided =
      endsInsideCharacter(bytes) || this.#stops.some((stop) => text.includes(stop) || endsWithStartOf(text, stop));
    return undecided ? { text: '', tokens: [] } : this.#release(bytes.length);
  }

  /** What is left when the choice is finished. */
  finish(): Piece {
    const text = this.#heldBytes().toString('utf8');
    const cuts = this.#stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
    return this.#release(
      cuts.length === 0 ? this.#heldBytes().length : Buffer.byteLength(text.slice(0, Math.min(...cuts))),
    );
  }

  #heldBytes(): Buffer {
    return Buffer.concat(this.#held.map((token) => token.bytes));
  }

  #release(byteCount: number): Piece {
    const tokens: ShownToken[] = [];
    let left = byteCount;
    for (const token of this.#held) {
      if (left <= 0) break;
      const bytes = token.bytes.subarray(0, left);
      left -= bytes.length;
      tokens.push({ report: token.report, bytes });
    }
    this.#held = [];
    return { text: Buffer.concat(tokens.map((token) => token.bytes)).toString('utf8'), tokens };
  }
}

function endsWithStartOf(text: string, stop: string): boolean {
  for (let length = Math.min(stop.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return true;
  }
  return false;
}
