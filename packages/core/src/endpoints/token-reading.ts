import type { TokenLogprob } from './completion-tokens.ts';

/** A way to read the characters of tokens. */
export type TokenReading = {
  /** The bytes that a token adds to the text. */
  readonly bytesOf: (token: TokenLogprob) => Buffer;
  /** Whether the tokens say the same by themselves. */
  readonly isOwn: boolean;
};

/**
 * How tokens may be written, likeliest first: as their bytes, as their characters, and, where such are seen, with the
 * marks of a vocabulary: `▁` for a space and `<0x0A>` for a byte (SentencePiece), OpenAI's `bytes:\xe2\x82`, or a
 * character for each byte, of which `Ġ` is the space and `Ċ` the line's end (byte-level BPE).
 */
export function readingsOf(tokens: readonly TokenLogprob[]): readonly TokenReading[] {
  const some = (pattern: RegExp): boolean => tokens.some(({ token }) => pattern.test(token));
  return [
    { bytesOf: ({ bytes, token }) => Buffer.from(bytes ?? Buffer.from(token)), isOwn: true },
    ...(tokens.some(({ bytes }) => bytes !== null)
      ? [{ bytesOf: ({ token }: TokenLogprob) => Buffer.from(token), isOwn: false }]
      : []),
    ...(some(PIECE) ? [{ bytesOf: ({ token }: TokenLogprob) => undoPiece(token), isOwn: false }] : []),
    ...(some(BYTE_LEVEL) ? [{ bytesOf: ({ token }: TokenLogprob) => undoByteLevel(token), isOwn: false }] : []),
  ];
}

const PIECE = /▁|^<0x[0-9A-Fa-f]{2}>$|^bytes:(?:\\x[0-9A-Fa-f]{2})+$/;
/** Of other alphabets such characters are, too: a reading is tried, and counts where it makes up the text. */
const BYTE_LEVEL = /[\u00a1-\u0143]/;

function undoPiece(token: string): Buffer {
  const isBytes = /^<0x[0-9A-Fa-f]{2}>$/.test(token) || token.startsWith('bytes:\\x');
  if (!isBytes) return Buffer.from(token.replaceAll('▁', ' '));
  const hex = token.startsWith('<') ? token.slice(3, 5) : token.slice('bytes:'.length).replaceAll('\\x', '');
  return Buffer.from(hex, 'hex');
}

/** The bytes that stand for themselves in a byte-level vocabulary: GPT-2's `bytes_to_unicode`, which all others took. */
const isItself = (byte: number): boolean =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);

const BYTE_OF: ReadonlyMap<string, number> = byteLevelMap();

function byteLevelMap(): ReadonlyMap<string, number> {
  const map = new Map<string, number>();
  let others = 0;
  for (let byte = 0; byte < 256; byte += 1) {
    map.set(String.fromCodePoint(isItself(byte) ? byte : 256 + others), byte);
    if (!isItself(byte)) others += 1;
  }
  return map;
}

/** A token of characters that stand for bytes; an end mark may have others and stands for itself. */
function undoByteLevel(token: string): Buffer {
  const bytes = Array.from(token, (character) => BYTE_OF.get(character));
  return bytes.every((byte) => byte !== undefined) ? Buffer.from(bytes) : Buffer.from(token);
}
