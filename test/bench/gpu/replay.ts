import { isJsonObject, parseJson, readScores, runAtOnce, type JsonObject } from '@spillway/core';
import { isVerdictCall } from '../../support/verdict-server.ts';
import { blocksOf, textOf } from './prompt.ts';
import type { Refusal, Said, Voice } from './voice.ts';

export type ReplayOptions = {
  /** The server whose answers are replayed, such as a playground's `http://127.0.0.1:8000/v1`. */
  readonly baseURL: string;
  /**
   * Tokens of the engine for each token of that server, in prompts as in answers: the embedded pair answers in 18 tokens,
   * which are to take the time of 200. What the answers say, their log-probs and their `usage` stay as they are.
   */
  readonly scale: number;
  readonly blockTokens: number;
};

/**
 * Characters of a token of the embedded pair, for the blocks of the prefix cache only: 1,000 documents of the demo have
 * 2.0 a token, as its vocabulary has 512 entries.
 */
const PAIR_CHARACTERS = 2;

/** What the server that is replayed said, as it came. */
type Kept =
  | { readonly kind: 'whole'; readonly body: JsonObject }
  | { readonly kind: 'stream'; readonly pieces: readonly string[]; readonly usage: JsonObject | null }
  | Refusal;

/**
 * A voice that says what another server says to the same request: at temperature 0 a model always says the same, so each
 * request is passed on once and kept. The first time the caller waits for that server, too; `takeWaited` says how often
 * that was, and whoever measures time asks for everything once before.
 *
 * A scoring call (`prompt_logprobs`) makes the token that it asks for, whatever the scale: it is the price of the call and
 * no part of an answer. And as vLLM does, it reads its whole prompt: what stands in the prefix cache has no log-probs.
 *
 * The embedded pair says neither yes nor no. Asked whether an answer is right it is asked for that answer's likelihood
 * instead, which is the share of yes in the one token that is said: what a model that judges by itself could say at best.
 */
export class ReplayedVoice implements Voice {
  readonly #options: ReplayOptions;
  readonly #kept = new Map<string, Kept | Promise<Kept>>();
  #waited = 0;

  constructor(options: ReplayOptions) {
    this.#options = options;
  }

  takeWaited(): number {
    const waited = this.#waited;
    this.#waited = 0;
    return waited;
  }

  say(url: string, body: JsonObject): Said | Refusal | Promise<Said | Refusal> {
    const key = `${url}\n${JSON.stringify(body)}`;
    const known = this.#kept.get(key);
    if (known !== undefined && !(known instanceof Promise)) return this.#said(body, known);
    this.#waited += 1;
    const asked = known ?? this.#ask(key, url, body);
    return asked.then((kept) => this.#said(body, kept));
  }

  #ask(key: string, url: string, body: JsonObject): Promise<Kept> {
    const address = `${this.#options.baseURL}${url.replace(/^\/v1/, '')}`;
    const asked = isVerdictCall(body) ? verdictFrom(address, body) : keptFrom(address, body);
    this.#kept.set(key, asked);
    asked.then(
      // What is refused for the moment may be answered later.
      (kept) => (isLasting(kept) ? this.#kept.set(key, kept) : this.#kept.delete(key)),
      () => this.#kept.delete(key),
    );
    return asked;
  }

  #said(body: JsonObject, kept: Kept): Said | Refusal {
    if (kept.kind === 'refusal') return kept;
    const { scale, blockTokens } = this.#options;
    const usage = kept.kind === 'whole' ? asObject(kept.body['usage']) : kept.usage;
    const [prompt, written] = [count(usage, 'prompt_tokens'), count(usage, 'completion_tokens')];
    const isScoring = typeof body['prompt_logprobs'] === 'number';
    const isOne = isScoring || isVerdictCall(body);
    const shown = (cachedTokens: number): number => Math.floor(cachedTokens / scale);
    return {
      kind: 'answer',
      promptTokens: Math.max(1, Math.round(prompt * scale)),
      outputTokens: Math.max(1, Math.round(written * (isOne ? 1 : scale))),
      blocks: blocksOf(textOf(body), blockTokens, PAIR_CHARACTERS / scale),
      readsCache: !isScoring,
      scale: isOne ? 1 : scale,
      whole: (cachedTokens) => (kept.kind === 'whole' ? withCached(kept.body, shown(cachedTokens)) : {}),
      pieces: (cachedTokens) => (kept.kind === 'stream' ? withCachedEvent(kept.pieces, shown(cachedTokens)) : []),
    };
  }
}

/** What a verdict on the answer before the question is: yes as likely as the answer itself is. */
async function verdictFrom(address: string, body: JsonObject): Promise<Kept> {
  const messages = (Array.isArray(body['messages']) ? body['messages'] : []).slice(0, -1);
  const draft = asObject(messages.at(-1))?.['content'];
  const { model = null, temperature = 0 } = body;
  const scoring = { model, messages, temperature, max_tokens: 1, prompt_logprobs: 0 };
  const kept = await keptFrom(address, { ...scoring, add_generation_prompt: false, continue_final_message: true });
  if (kept.kind !== 'whole' || typeof draft !== 'string') return kept;
  const scores = runAtOnce(readScores(kept.body, 'prompt_logprobs', draft));
  if (scores.kind === 'unreadable') return { kind: 'refusal', status: 400, body: { error: { message: scores.why } } };
  const p = Math.exp(scores.tokens.reduce((sum, { logprob }) => sum + logprob, 0));
  const entry = (token: string, share: number): JsonObject => ({
    token,
    logprob: Math.log(Math.max(share, 1e-12)),
    bytes: null,
  });
  const top: JsonObject[] = [entry('Y', p), entry('N', 1 - p)].toSorted(
    (a, b) => Number(b['logprob']) - Number(a['logprob']),
  );
  const [first = entry('N', 1)] = top;
  const said = {
    index: 0,
    message: { role: 'assistant', content: first['token'] ?? '' },
    logprobs: { content: [{ ...first, top_logprobs: top }] },
    finish_reason: 'length',
  };
  const { prompt_logprobs: _scores, ...others } = kept.body;
  return { kind: 'whole', body: { ...others, choices: [said] } };
}

const isLasting = (kept: Kept): boolean => kept.kind !== 'refusal' || kept.status === 400;

async function keptFrom(address: string, body: JsonObject): Promise<Kept> {
  const isStreamed = body['stream'] === true;
  // A stream's usage says how many tokens it is to the engine.
  const asked = isStreamed ? { ...body, stream_options: { include_usage: true } } : body;
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(address, { method: 'POST', headers, body: JSON.stringify(asked) });
  const text = await response.text();
  if (!response.ok) return { kind: 'refusal', status: response.status, body: asObject(parseJson(text)) ?? {} };
  if (!isStreamed) return { kind: 'whole', body: asObject(parseJson(text)) ?? {} };
  const pieces = text.split(/(?<=\n\n)/);
  const usage = pieces.map(usageIn).find((one) => one !== null) ?? null;
  const wantsUsage = asObject(body['stream_options'])?.['include_usage'] === true;
  return { kind: 'stream', usage, pieces: wantsUsage ? pieces : withoutUsage(pieces) };
}

const withoutUsage = (pieces: readonly string[]): string[] =>
  pieces.filter((piece) => usageIn(piece) === null).map((piece) => piece.replace(/,"usage":null\}\n\n$/, '}\n\n'));

const asObject = (value: unknown): JsonObject | null => (isJsonObject(value) ? value : null);

function count(usage: JsonObject | null, name: string): number {
  const value = usage?.[name];
  return typeof value === 'number' ? value : 0;
}

/** The usage that an event of a stream says; null: it says none. */
const usageIn = (piece: string): JsonObject | null => asObject(dataOf(piece)?.['usage']);

const dataOf = (piece: string): JsonObject | null => asObject(parseJson(piece.replace(/^data: /, '').trimEnd()));

function withCached(body: JsonObject, cachedTokens: number): JsonObject {
  const usage = asObject(body['usage']);
  return usage === null
    ? body
    : { ...body, usage: { ...usage, prompt_tokens_details: { cached_tokens: cachedTokens } } };
}

const withCachedEvent = (pieces: readonly string[], cachedTokens: number): string[] =>
  pieces.map((piece) => {
    const data = usageIn(piece) === null ? null : dataOf(piece);
    return data === null ? piece : `data: ${JSON.stringify(withCached(data, cachedTokens))}\n\n`;
  });
