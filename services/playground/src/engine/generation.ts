import type { Random } from '../documents/random.ts';
import { createRandom } from '../documents/random.ts';
import type { Candidate } from './sampling.ts';
import { drawToken, logSumExp, rankOf, topCandidates } from './sampling.ts';
import type { Tokenizer } from './tokenizer.ts';
import { END } from './tokenizer.ts';

/** What the server asks of a model. */
export interface GenerationRequest {
  readonly prompt: readonly number[];
  readonly choices: number;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topP: number;
  readonly seed: string;
  readonly stops: readonly string[];
  /** How many of the likeliest tokens to report beside the chosen one. */
  readonly topLogprobs: number;
  /** The same for the prompt's own tokens; nothing is reported without it. */
  readonly promptLogprobs: number | undefined;
}

export interface TokenReport {
  readonly token: number;
  readonly logprob: number;
  readonly top: readonly Candidate[];
}

/** How likely a prompt's token was, given those before it. The first has none before it and no report. */
export interface PromptReport extends TokenReport {
  readonly rank: number;
}

export type FinishReason = 'stop' | 'length';

/** What a running generation tells, in order: the prompt once, tokens as they come, and the end of each choice. */
export type GenerationEvent =
  | { readonly kind: 'prompt'; readonly reports: readonly PromptReport[] }
  | { readonly kind: 'token'; readonly choice: number; readonly report: TokenReport }
  | {
      readonly kind: 'finish';
      readonly choice: number;
      readonly reason: FinishReason;
      readonly generatedTokens: number;
    };

/** Scores the prompt's tokens from the logits [tokens, vocabulary] of one pass over it. */
export function reportPrompt(
  prompt: readonly number[],
  logits: Float32Array,
  vocabulary: number,
  count: number,
): PromptReport[] {
  return prompt.slice(1).map((token, i) => {
    const row = logits.subarray(i * vocabulary, (i + 1) * vocabulary);
    const normaliser = logSumExp(row);
    return {
      token,
      logprob: (row[token] ?? 0) - normaliser,
      rank: rankOf(row, token),
      top: topCandidates(row, count, normaliser),
    };
  });
}

/** One choice of one request while it is being written. */
export class Choice {
  readonly tokens: number[];
  readonly index: number;
  readonly request: GenerationRequest;
  readonly #random: Random;
  readonly #bytes: number[] = [];
  readonly #tokenizer: Tokenizer;
  #generated = 0;

  constructor(request: GenerationRequest, index: number, tokenizer: Tokenizer) {
    this.request = request;
    this.index = index;
    this.tokens = [...request.prompt];
    this.#tokenizer = tokenizer;
    // Choices of one request differ by their index, so that the same seed gives the same n answers.
    this.#random = createRandom(`${request.seed}/${index}`);
  }

  /** Takes the logits after the last token, draws the next one, and says what happened. */
  advance(logits: Float32Array): GenerationEvent[] {
    if (this.#generated >= this.request.maxTokens) return [this.#finish('length')];
    const { temperature, topP, topLogprobs } = this.request;
    const token = drawToken(logits, temperature, topP, this.#random);
    this.#generated++;
    if (token === END) return [this.#finish('stop')];
    this.tokens.push(token);
    const normaliser = logSumExp(logits);
    const report: TokenReport = {
      token,
      logprob: (logits[token] ?? 0) - normaliser,
      top: topCandidates(logits, topLogprobs, normaliser),
    };
    const events: GenerationEvent[] = [{ kind: 'token', choice: this.index, report }];
    if (this.#reachedStop(token)) events.push(this.#finish('stop'));
    else if (this.#generated >= this.request.maxTokens) events.push(this.#finish('length'));
    return events;
  }

  #reachedStop(token: number): boolean {
    if (this.request.stops.length === 0) return false;
    this.#bytes.push(...this.#tokenizer.bytesOf(token));
    const text = Buffer.from(this.#bytes).toString('utf8');
    return this.request.stops.some((stop) => text.includes(stop));
  }

  #finish(reason: FinishReason): GenerationEvent {
    return { kind: 'finish', choice: this.index, reason, generatedTokens: this.#generated };
  }
}
