import type { Evidence, TokenLogprob } from '@spillway/core';
import { Batcher } from '../engine/batcher.ts';
import { loadDecoder } from '../engine/decoder.ts';
import type { FinishReason, TokenReport } from '../engine/generation.ts';
import type { Tokenizer } from '../engine/tokenizer.ts';
import { ASSISTANT, encodeTurns } from '../engine/tokenizer.ts';

/** A model of a pair: its files in the folder of the weights, and the pair's vocabulary. */
export interface EvaluatedModel {
  readonly weights: URL;
  readonly file: string;
  readonly tokenizer: Tokenizer;
}

/** What a model said to one prompt, by the likeliest token each time. */
export interface Answer<Item> {
  readonly item: Item;
  readonly text: string;
  readonly tokens: readonly TokenLogprob[];
  readonly reason: FinishReason;
  /** As a server counts them in `usage`: the mark that ends the answer is one, too. */
  readonly generatedTokens: number;
}

interface Answers<Item> {
  /** In the order of the items. */
  readonly answers: readonly Answer<Item>[];
  /** Without the time of loading the model. */
  readonly seconds: number;
}

interface Asked {
  readonly maxTokens: number;
  /** How many prompts are answered at once. */
  readonly rows: number;
}

/** A document as it is asked about: alone, and an answer opened behind it. */
export function promptOf(tokenizer: Tokenizer, text: string): number[] {
  return [...encodeTurns(tokenizer, [{ role: 'user', content: text }]), ASSISTANT];
}

/** Asks a model about each item. */
export async function answerAll<Item extends { readonly prompt: readonly number[] }>(
  { weights, file, tokenizer }: EvaluatedModel,
  items: readonly Item[],
  { maxTokens, rows }: Asked,
): Promise<Answers<Item>> {
  const decoder = await loadDecoder(weights, file);
  const batcher = new Batcher(decoder, tokenizer, rows);
  const answers: Answer<Item>[] = [];
  const limits = { choices: 1, maxTokens, temperature: 0, topP: 1, seed: '0', stops: [], topLogprobs: 0 };
  const startedAt = performance.now();
  items.forEach((item, at) => {
    const reports: TokenReport[] = [];
    batcher.add(at, { prompt: item.prompt, ...limits, promptLogprobs: undefined }, (events) => {
      for (const event of events) {
        if (event.kind === 'token') reports.push(event.report);
        if (event.kind !== 'finish') continue;
        const tokens = reports.map(({ token, logprob }): TokenLogprob => {
          return { token: tokenizer.decode([token]), bytes: null, logprob, top: [] };
        });
        const text = tokenizer.decode(reports.map((report) => report.token));
        answers[at] = { item, text, tokens, reason: event.reason, generatedTokens: event.generatedTokens };
      }
    });
  });
  await batcher.work();
  const seconds = (performance.now() - startedAt) / 1000;
  await decoder.release();
  return { answers, seconds };
}

/** A whole answer as a cascade judges it. */
export function evidenceOf({ text, tokens, reason }: Answer<unknown>, request: Evidence['request']): Evidence {
  const said = {
    text,
    tokens,
    finishReason: reason,
    refusal: null,
    toolCall: false,
    choices: 1,
    model: null,
    id: null,
  };
  const usage = { inputTokens: 0, cachedTokens: 0, outputTokens: 0, reasoningTokens: 0 };
  return { completion: { ...said, usage }, endpoint: '/v1/chat/completions', request };
}
