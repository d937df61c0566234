import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';

export type TopLogprob = { readonly token: string; readonly logprob: number };

export type TokenLogprob = {
  readonly token: string;
  readonly bytes: readonly number[] | null;
  readonly logprob: number;
  readonly top: readonly TopLogprob[];
};

/** What vLLM writes for −∞. Also stands for whatever cannot be read, so that rubbish only makes a draft less sure. */
const FLOOR = -9999;

/** Log-probs are computed in 16 or 32 bits, so a certain token may come out a little above 0. */
const ROUNDING = 1e-3;

/** More places than this that look like the answer but do not begin with a token are not looked at. */
const MAX_CANDIDATES = 1000;

const NO_TOP: readonly TopLogprob[] = [];

/**
 * Reads both shapes of log-probs: `content: [{token, bytes, logprob, top_logprobs}]` and the older parallel arrays
 * `tokens`, `token_logprobs`, `top_logprobs`. Null when there are none, or not one of them is a number. A token
 * without characters is an end mark (llama.cpp counts it) and is left out.
 */
export function readTokens(logprobs: Json | undefined): readonly TokenLogprob[] | null {
  if (!isJsonObject(logprobs)) return null;
  const entries = contentEntries(logprobs) ?? parallelEntries(logprobs);
  if (entries === null) return null;
  const tokens: TokenLogprob[] = [];
  let readable = 0;
  for (const entry of entries) {
    const token = isJsonObject(entry) ? entry['token'] : undefined;
    if (!isJsonObject(entry) || typeof token !== 'string') return null;
    const bytes = readBytes(entry['bytes']);
    if (token === '' && (bytes === null || bytes.length === 0)) continue;
    const logprob = readLogprob(entry['logprob']);
    if (logprob !== null) readable += 1;
    tokens.push({ token, bytes, logprob: logprob ?? FLOOR, top: readTop(entry['top_logprobs']) });
  }
  return readable === 0 ? null : tokens;
}

/**
 * The tokens that make up the answer's text. A model that reasons has its thoughts in the log-probs and not in the
 * text, and servers trim the text and leave end marks in the list, so the text is looked for in the tokens' bytes,
 * from the end. If it is nowhere (a server that writes `▁` for a space, or `�` for half a character), all tokens
 * count, unless the model reasoned: then nobody can say which ones are the answer's.
 */
export function contentTokens(
  tokens: readonly TokenLogprob[],
  text: string,
  reasoned: boolean,
): readonly TokenLogprob[] | null {
  if (tokens.map((one) => one.token).join('') === text) return tokens;
  const pieces = tokens.map((one) => Buffer.from(one.bytes ?? Buffer.from(one.token)));
  const all = Buffer.concat(pieces);
  const wanted = Buffer.from(text);
  const found = findText(all, wanted, pieces, true) ?? findText(all, wanted, pieces, false);
  if (found !== null) return tokens.slice(found.first, found.last + 1);
  return reasoned || tokens.some((one) => /<\/?think/.test(one.token)) ? null : tokens;
}

/**
 * The last place where the text begins with a token, apart from white space that the server trimmed. It must also end
 * with one; only when there is no such place may it end inside a token, as a stop string makes it.
 */
function findText(all: Buffer, wanted: Buffer, pieces: readonly Buffer[], endsWithToken: boolean) {
  const starts: number[] = [];
  let length = 0;
  for (const piece of pieces) {
    starts.push(length);
    length += piece.length;
  }
  let at = all.lastIndexOf(wanted);
  for (let tried = 0; at >= 0 && tried < MAX_CANDIDATES; tried += 1) {
    const first = pieceAt(starts, at);
    const last = pieceAt(starts, at + wanted.length - 1);
    const end = (starts[last] ?? 0) + (pieces[last]?.length ?? 0);
    const begins = isBlank(all.subarray(starts[first], at));
    if (begins && (!endsWithToken || isBlank(all.subarray(at + wanted.length, end)))) return { first, last };
    at = at === 0 ? -1 : all.lastIndexOf(wanted, at - 1);
  }
  return null;
}

/** The index of the piece that holds a byte. */
function pieceAt(starts: readonly number[], byte: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= byte) low = middle;
    else high = middle - 1;
  }
  return low;
}

function isBlank(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d));
}

function contentEntries(logprobs: JsonObject): readonly Json[] | null {
  const content = logprobs['content'];
  return Array.isArray(content) && content.length > 0 ? content : null;
}

function parallelEntries(logprobs: JsonObject): readonly Json[] | null {
  const tokens = logprobs['tokens'];
  const values = logprobs['token_logprobs'];
  const tops = logprobs['top_logprobs'];
  if (!Array.isArray(tokens) || !Array.isArray(values) || tokens.length !== values.length) return null;
  if (tokens.length === 0) return null;
  return tokens.map((token: Json, at: number) => ({
    token,
    logprob: values[at] ?? null,
    top_logprobs: Array.isArray(tops) ? (tops[at] ?? null) : null,
  }));
}

/** A number, or one written as a string; null for what is neither. −∞ comes as null or as a string and is the floor. */
function readLogprob(value: Json | undefined): number | null {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number !== 'number' || Number.isNaN(number) || number > ROUNDING) return null;
  return Math.min(0, Math.max(FLOOR, number));
}

/** Alternatives come as a list of objects, or in the older shape as an object from token to log-prob. */
function readTop(value: Json | undefined): readonly TopLogprob[] {
  if (value === undefined || value === null) return NO_TOP;
  const pairs: (readonly [Json | undefined, Json | undefined])[] = Array.isArray(value)
    ? value.map((one: Json) =>
        isJsonObject(one) ? ([one['token'], one['logprob']] as const) : ([null, null] as const),
      )
    : isJsonObject(value)
      ? Object.entries(value)
      : [];
  return pairs.flatMap(([token, given]) => {
    const logprob = readLogprob(given);
    return typeof token === 'string' && logprob !== null ? [{ token, logprob }] : [];
  });
}

function readBytes(value: Json | undefined): readonly number[] | null {
  if (!Array.isArray(value)) return null;
  const isByte = (one: Json) => typeof one === 'number' && Number.isInteger(one) && one >= 0 && one <= 255;
  return value.every(isByte) ? (value as readonly number[]) : null;
}
