import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '@spillway/core';
import { normal } from './answers.ts';
import { Engine, type EngineSpec, type Work } from './engine.ts';
import { PUBLISHED } from './published.ts';

/** The lengths of ShareGPT's requests as vLLM's benchmark takes them: 220 tokens in and 195 out, in the mean. */
function shareGPT(count: number): Work[] {
  const random = seededRandom(1);
  const length = (mean: number, spread: number): number =>
    Math.max(4, Math.round(mean * Math.exp(spread * normal(random) - spread ** 2 / 2)));
  return Array.from({ length: count }, (_, id) => ({
    id,
    promptTokens: Math.min(1024, length(220, 1)),
    outputTokens: Math.min(1024, length(195, 0.9)),
    blocks: [],
  }));
}

/** What `vllm bench serve` says of so many requests at once. */
function served(spec: EngineSpec, works: readonly Work[]): { readonly tokensPerS: number; readonly tokenMs: number } {
  const engine = new Engine(spec);
  engine.submit(
    works.map((work) => ({ ...work, isStreamed: true })),
    0,
  );
  const first = new Map<number, number>();
  const perToken: number[] = [];
  let endMs = 0;
  for (const { id, atMs, tokens, isFinished } of engine.advance(Infinity)) {
    if (tokens === 1) first.set(id, atMs);
    if (isFinished && tokens > 1) perToken.push((atMs - (first.get(id) ?? 0)) / (tokens - 1));
    endMs = atMs;
  }
  const outputTokens = works.reduce((sum, work) => sum + work.outputTokens, 0);
  const median = perToken.toSorted((left, right) => left - right)[Math.floor(perToken.length / 2)] ?? 0;
  return { tokensPerS: (outputTokens * 1000) / endMs, tokenMs: median };
}

const near = (found: number, published: number): void =>
  assert.ok(Math.abs(found / published - 1) < 1 / 6, `${found.toFixed(1)} where ${published} was published`);

test('the servers are as fast as those that others measured', () => {
  const works = shareGPT(5_000);
  const small = served(PUBLISHED['llama-8b-h100'], works);
  near(small.tokensPerS, 8_088);
  near(small.tokenMs, 25.57);
  const large = served(PUBLISHED['llama-70b-4xh100'], works);
  near(large.tokensPerS, 3_543);
  near(large.tokenMs, 61.1);
});

test('a few sequences decode as fast as measured', () => {
  const few = (count: number): number => served(PUBLISHED['llama-8b-h100'], shareGPT(count)).tokenMs;
  near(few(1), 6.48);
  near(few(4), 6.59);
});
