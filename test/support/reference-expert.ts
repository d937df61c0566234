/**
 * A model that is a function from what stands behind its prompt to its next token, over a small vocabulary: the single
 * bytes, some words, blanks and pieces of JSON, and halves of characters. It scores drafts and continues them as vLLM and
 * servers with `echo` do.
 */

const WORDS = [
  'the',
  ' the',
  ' a',
  'ab',
  'total',
  '  ',
  '\n\n',
  '{"',
  '":',
  '": ',
  '"}',
  '",',
  ', ',
  '12',
  'é',
  ' é',
  '你好',
  '�',
];
const HALVES = [
  [0xf0, 0x9f],
  [0x98, 0x80],
  [0x20, 0xf0, 0x9f, 0x98],
  [0xe4, 0xbd],
  [0xa0, 0x21],
  [0x61, 0xc3],
];

/** All tokens; the end mark comes behind them. */
const VOCABULARY: readonly Buffer[] = [
  ...Array.from({ length: 256 }, (_, byte) => Buffer.of(byte)),
  ...WORDS.map((word) => Buffer.from(word)),
  ...HALVES.map((bytes) => Buffer.from(bytes)),
];
const END = VOCABULARY.length;
/** Of the prompt, in the words of a chat template. */
const PROMPT = ['<s>', '<|user|>', '\n', 'how', ' are', ' you', '<|assistant|>', '\n'];
const LONGEST = [...VOCABULARY.entries()].toSorted(([, left], [, right]) => right.length - left.length);

/** The longest token that a text goes on with at a byte. */
function tokenAt(text: Buffer, at: number): number {
  const found = LONGEST.find(([, bytes]) => bytes.equals(text.subarray(at, at + bytes.length)));
  return found?.[0] ?? 0;
}

/** The tokens of a text, the longest first; where `bytesAt` says so, the next one is a single byte. */
export function tokenise(text: string, bytesAt: (at: number) => boolean = () => false): number[] {
  const bytes = Buffer.from(text);
  const tokens: number[] = [];
  for (let at = 0; at < bytes.length; at += VOCABULARY[tokens.at(-1) ?? 0]?.length ?? 1) {
    tokens.push(bytesAt(tokens.length) ? (bytes[at] ?? 0) : tokenAt(bytes, at));
  }
  return tokens;
}

const bytesOf = (tokens: readonly number[]): Buffer =>
  Buffer.concat(tokens.map((token) => VOCABULARY[token] ?? Buffer.alloc(0)));

/** How a server shows tokens: each decoded by itself, or a character with the token that completes it. */
export type Shown = 'alone' | 'late';

export type ServerManner = {
  readonly shown: Shown;
  /** Alternatives that are asked for. */
  readonly alternatives: 0 | 1;
  /** A chat template takes white space from a message's end. */
  readonly trims: boolean;
};

export type Entry = Readonly<Record<string, { logprob: number; rank: number; decoded_token: string }>>;

/** Beyond its own answer's length it says no more than this. */
const MAX_MORE_BYTES = 64;

export class ReferenceExpert {
  /** What it answers by itself. */
  readonly answer: string;
  readonly #tokens: readonly number[];
  readonly #text: Buffer;
  /** Where its own tokens begin, and which they are. */
  readonly #at: ReadonlyMap<number, number>;

  constructor(tokens: readonly number[]) {
    this.#tokens = tokens;
    this.#text = bytesOf(tokens);
    this.answer = this.#text.toString();
    let at = 0;
    this.#at = new Map(
      [...tokens, END].map((token): [number, number] => {
        const own = at;
        at += VOCABULARY[token]?.length ?? 0;
        return [own, token];
      }),
    );
  }

  get tokens(): number {
    return this.#tokens.length;
  }

  /** Behind its own beginning it goes on as it began; behind anything else it says a few words, whichever. */
  next(prefix: Buffer): number {
    if (prefix.equals(this.#text.subarray(0, prefix.length))) {
      return this.#at.get(prefix.length) ?? this.#text[prefix.length] ?? END;
    }
    // The sums of some texts come around without a one that ends them.
    if (prefix.length > this.#text.length + MAX_MORE_BYTES) return END;
    const hash = prefix.reduce((sum, byte) => (sum * 31 + byte) % 65_521, 7);
    return hash % 8 === 0 ? END : 'abc {}"1'.charCodeAt(hash % 8);
  }

  /** What it goes on with behind a text. */
  continuation(text: string): string {
    const begin = Buffer.from(text);
    let all = begin;
    for (let token = this.next(all); token !== END; token = this.next(all)) {
      all = Buffer.concat([all, VOCABULARY[token] ?? Buffer.alloc(0)]);
    }
    return all.subarray(begin.length).toString();
  }

  /** The body of a chat's answer with the scores of a draft behind a prompt. */
  scores(draft: string, manner: ServerManner): { prompt_logprobs: (Entry | null)[]; usage: object; choices: object[] } {
    const tokens = tokenise(manner.trims ? draft.trimEnd() : draft);
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    const textOf = (token: number): string => {
      const bytes = VOCABULARY[token] ?? Buffer.from('<eos>');
      return manner.shown === 'alone' || token === END ? bytes.toString() : decoder.decode(bytes, { stream: true });
    };
    let prefix = Buffer.alloc(0);
    const entries = tokens.map((token): Entry => {
      const best = this.next(prefix);
      prefix = Buffer.concat([prefix, VOCABULARY[token] ?? Buffer.alloc(0)]);
      const own = { logprob: best === token ? -0.2 : -1 - (token % 7) / 4, rank: best === token ? 1 : 2 + (token % 3) };
      return {
        [token]: { ...own, decoded_token: textOf(token) },
        ...(manner.alternatives === 1 && best !== token
          ? { [best]: { logprob: -0.2, rank: 1, decoded_token: (VOCABULARY[best] ?? Buffer.from('<eos>')).toString() } }
          : {}),
      };
    });
    const prompt = PROMPT.map((text, at) => ({ [900 + at]: { logprob: -3, rank: 4, decoded_token: text } }));
    const all = [null, ...prompt.slice(1), ...entries];
    return { prompt_logprobs: all, usage: { prompt_tokens: all.length }, choices: [{ message: { content: 'x' } }] };
  }

  /** The body of `/v1/completions` with `echo`, over a prompt that is tokenised with the draft. */
  echo(prompt: string, draft: string): object {
    const tokens = tokenise(prompt + draft);
    const begin = Buffer.byteLength(prompt);
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    let at = 0;
    const scored = tokens.map((token) => {
      const text = VOCABULARY[token] ?? Buffer.alloc(0);
      const best = at < begin ? token : this.next(Buffer.from(draft).subarray(0, at - begin));
      at += text.length;
      const shown = decoder.decode(text, { stream: true });
      const own = best === token ? -0.2 : -1 - (token % 7) / 4;
      const other = best === token ? {} : { [VOCABULARY[best]?.toString() ?? '<eos>']: -0.2 };
      return { shown, own, top: { ...(best === token ? { [shown]: own } : {}), ...other } };
    });
    const logprobs = {
      tokens: ['<s>', ...scored.map(({ shown }) => shown)],
      token_logprobs: [null, ...scored.map(({ own }) => own)],
      top_logprobs: [null, ...scored.map(({ top }) => top)],
    };
    return { choices: [{ text: prompt + draft, logprobs }] };
  }
}
