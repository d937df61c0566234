import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OpenAI } from 'openai';
import { answerOf } from './answers.ts';
import { PUBLISHED } from './published.ts';
import { GpuServer, type Stats } from './server.ts';
import { seededVoice } from './voice.ts';

const SPEAKER = { seed: 7, role: 'drafter', unsureShare: 0.25 } as const;
const OPTIONS = { spec: PUBLISHED['llama-8b-h100'], voice: seededVoice(SPEAKER, 16), speed: 50 };
const SYSTEM = { role: 'system' as const, content: 'Answer with JSON only. '.repeat(40) };
const user = (content: string) => ({ role: 'user' as const, content });

const clientOf = (server: GpuServer): OpenAI => new OpenAI({ baseURL: server.baseURL, apiKey: 'none', maxRetries: 0 });

test('it answers by its seed, with log-probs, and says what of the prompt was cached', async () => {
  await using server = await new GpuServer(OPTIONS).listen();
  const client = clientOf(server);
  const ask = (content: string) =>
    client.chat.completions.create({ model: 'any', messages: [SYSTEM, user(content)], logprobs: true });
  const expected = answerOf(SPEAKER, 'first');
  const [first, second] = [await ask('first'), await ask('second')];
  assert.equal(first.choices[0]?.message.content, expected.tokens.join(''));
  assert.deepEqual(
    first.choices[0]?.logprobs?.content?.map(({ token, logprob }) => ({ token, logprob })),
    expected.tokens.map((token, at) => ({ token, logprob: expected.logprobs[at] })),
  );
  assert.equal(first.usage?.completion_tokens, expected.tokens.length);
  assert.equal(first.usage?.prompt_tokens_details?.cached_tokens, 0);
  assert.equal(second.usage?.prompt_tokens_details?.cached_tokens, 224, 'fourteen blocks of the 928 shared characters');
  const stats = async (): Promise<Stats> => (await (await fetch(new URL('/stats', server.baseURL))).json()) as Stats;
  const done = await stats();
  assert.deepEqual([done.requests, done.cachedTokens], [2, 224]);
  assert.equal(done.outputTokens, expected.tokens.length + (second.usage?.completion_tokens ?? 0));
  const { stepMs, decodeMs } = PUBLISHED['llama-8b-h100'];
  assert.ok(done.busyMs * 50 > (done.outputTokens - 2) * (stepMs + decodeMs), 'a step for each token');
  assert.deepEqual(await stats().then(({ requests, busyMs }) => [requests, busyMs]), [0, 0], 'each is told once');
});

test('a stream comes token by token, and one that is hung up leaves its place in the batch', async () => {
  await using server = await new GpuServer({ ...OPTIONS, spec: { ...OPTIONS.spec, maxBatch: 1 }, speed: 0.2 }).listen();
  const client = clientOf(server);
  const startedMs = performance.now();
  const stream = await client.chat.completions.create({
    model: 'any',
    messages: [user('a')],
    stream: true,
    stream_options: { include_usage: true },
  });
  const waiting = client.chat.completions.create({ model: 'any', messages: [user('b')], max_tokens: 1 });
  let pieces = 0;
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta.content) pieces += 1;
    if (pieces === 3) break;
  }
  const answer = await waiting;
  assert.equal(answer.usage?.completion_tokens, 1);
  assert.equal(answer.choices[0]?.finish_reason, 'length');
  const wholeMs = (answerOf(SPEAKER, 'a').tokens.length * PUBLISHED['llama-8b-h100'].stepMs) / 0.2;
  assert.ok(performance.now() - startedMs < wholeMs / 2, `it did not wait for the ${wholeMs} ms of the whole stream`);
});

test('a quarter of the drafts is unsure, whoever is asked, and an expert never', () => {
  const prompts = Array.from({ length: 2_000 }, (_, at) => `document ${at}`);
  const sums = (role: 'drafter' | 'expert') =>
    prompts.map((prompt) => answerOf({ ...SPEAKER, role }, prompt).logprobs.reduce((sum, one) => sum + one, 0));
  const unsure = sums('drafter').filter((sum) => sum < -1).length;
  assert.ok(unsure > 440 && unsure < 560, String(unsure));
  assert.ok(sums('expert').every((sum) => sum > -0.03));
});
