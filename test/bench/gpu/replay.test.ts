import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { JsonObject } from '@spillway/core';
import { demoDocuments } from '../../../services/playground/src/documents/index.ts';
import { startPlayground } from '../../support/playground.ts';
import { PUBLISHED } from './published.ts';
import { ReplayedVoice } from './replay.ts';
import { GpuServer, type Stats } from './server.ts';

const SCALE = 11;
const SPEC = PUBLISHED['llama-70b-4xh100'];

const playground = startPlayground();
after(() => playground[Symbol.asyncDispose]());
const { port } = await playground.waitFor('ready');
const PAIR = `http://127.0.0.1:${port}/v1`;

const [document] = demoDocuments(1, 1);
if (document === undefined) throw new Error('no document');
const { messages, ...rest } = document.body;
const BODY: JsonObject = { ...rest, messages: messages.map((one) => ({ ...one })), model: 'spillway-expert' };
const given = (content: string, more: JsonObject): JsonObject => ({
  ...BODY,
  messages: [...(BODY['messages'] as JsonObject[]), { role: 'assistant', content }],
  add_generation_prompt: false,
  continue_final_message: true,
  ...more,
});

async function serve(speed = 1_000): Promise<GpuServer> {
  const voice = new ReplayedVoice({ baseURL: PAIR, scale: SCALE, blockTokens: SPEC.blockTokens });
  return await new GpuServer({ spec: SPEC, voice, speed }).listen();
}

async function ask(baseURL: string, body: JsonObject): Promise<{ status: number; text: string }> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${baseURL}/chat/completions`, { method: 'POST', headers, body: JSON.stringify(body) });
  return { status: response.status, text: await response.text() };
}

/** What differs between two answers to the same request: their names, and what of the prompt was cached. */
function shown(text: string): string {
  return text
    .replaceAll(/"id":"[^"]*"/g, '"id":""')
    .replaceAll(/"created":\d+/g, '"created":0')
    .replaceAll(/,"prompt_tokens_details":\{"cached_tokens":\d+\}/g, '');
}

const statsOf = async (server: GpuServer): Promise<Stats> =>
  (await (await fetch(new URL('/stats', server.baseURL))).json()) as Stats;

const DRAFT = '{"type":"invoice","currency":"EUR","total":"12';

const REQUESTS: Readonly<Record<string, JsonObject>> = {
  'an answer': BODY,
  'an answer with log-probs': { ...BODY, logprobs: true, top_logprobs: 2 },
  'a stream': { ...BODY, stream: true, logprobs: true, stream_options: { include_usage: true } },
  'a stream without usage': { ...BODY, stream: true },
  'scores of a draft': given(DRAFT, { prompt_logprobs: 0, max_tokens: 1 }),
  'scores with alternatives': given(DRAFT, { prompt_logprobs: 1, max_tokens: 1 }),
  'a continuation': given('{"type":"', {}),
  'what is refused': given(DRAFT, { add_generation_prompt: true }),
};

test('it says what the pair says to the same request, field by field and token by token', async () => {
  await using server = await serve();
  for (const [name, body] of Object.entries(REQUESTS)) {
    const [own, replayed, again] = [
      await ask(PAIR, body),
      await ask(server.baseURL, body),
      await ask(server.baseURL, body),
    ];
    assert.deepEqual({ ...replayed, text: shown(replayed.text) }, { ...own, text: shown(own.text) }, name);
    assert.equal(shown(again.text), shown(replayed.text), name);
  }
  const { waited, requests } = await statsOf(server);
  assert.equal(waited, Object.keys(REQUESTS).length, 'each was asked for once');
  assert.equal(requests, 2 * (Object.keys(REQUESTS).length - 1), 'what is refused takes no time');
});

test('tokens of prompts and answers count as many of the engine, and the one of a scoring call as one', async () => {
  await using server = await serve();
  const usageOf = (text: string): JsonObject => (JSON.parse(text) as { usage: JsonObject }).usage;
  const answer = usageOf((await ask(server.baseURL, BODY)).text);
  const done = await statsOf(server);
  assert.equal(done.promptTokens, SCALE * Number(answer['prompt_tokens']));
  assert.equal(done.outputTokens, SCALE * Number(answer['completion_tokens']));
  const scoring = usageOf((await ask(server.baseURL, REQUESTS['scores of a draft'] ?? {})).text);
  const scored = await statsOf(server);
  assert.equal(scored.promptTokens, SCALE * Number(scoring['prompt_tokens']));
  assert.deepEqual(
    [scored.outputTokens, scored.cachedTokens],
    [1, 0],
    'it reads all, though the request was there before',
  );
  const continued = usageOf((await ask(server.baseURL, given(DRAFT, {}))).text);
  const { cachedTokens } = await statsOf(server);
  assert.ok(cachedTokens > SCALE * Number(answer['prompt_tokens']) * 0.8, 'a continuation finds what was scored');
  assert.deepEqual(continued['prompt_tokens_details'], { cached_tokens: Math.floor(cachedTokens / SCALE) });
  await fetch(new URL('/reset_prefix_cache', server.baseURL), { method: 'POST' });
  await ask(server.baseURL, BODY);
  assert.equal((await statsOf(server)).cachedTokens, 0);
});

test('of a stream that is hung up the tokens count that had come', async () => {
  await using server = await serve(50);
  const body = { ...BODY, stream: true };
  await ask(server.baseURL, body);
  const whole = await statsOf(server);
  const hanging = new AbortController();
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${server.baseURL}/chat/completions`, {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
    signal: hanging.signal,
  });
  const reader = response.body?.getReader();
  await reader?.read();
  hanging.abort();
  let stats = await statsOf(server);
  for (const end = performance.now() + 5_000; stats.hungUp === 0 && performance.now() < end;) {
    const more = await statsOf(server);
    stats = { ...more, outputTokens: stats.outputTokens + more.outputTokens };
  }
  assert.equal(stats.hungUp, 1);
  assert.ok(stats.outputTokens > 0 && stats.outputTokens < whole.outputTokens);
});
