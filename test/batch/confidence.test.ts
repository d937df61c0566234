import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Json, JsonObject, Report } from '@spillway/core';
import { Collector } from '../support/collector.ts';
import type { ModelRequest, Scripted } from '../support/model-server.ts';
import { sharedSystem } from '../support/shared-system.ts';
import { System, until } from '../support/system.ts';

const token = (text: string, probability: number, others: readonly [string, number][] = []): JsonObject => ({
  token: text,
  logprob: Math.log(probability),
  bytes: [...Buffer.from(text)],
  top_logprobs: [[text, probability] as const, ...others].map(([name, p]) => ({
    token: name,
    logprob: Math.log(p),
    bytes: [...Buffer.from(name)],
  })),
});

const say = (text: string, tokens: readonly JsonObject[]): Scripted => ({
  kind: 'completion',
  text,
  logprobs: { content: tokens as Json[] },
  usage: { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 },
});

const lastOf = (request: ModelRequest): string => {
  const messages = request.body['messages'] as readonly { content: string }[];
  return messages.at(-1)?.content ?? '';
};

/** The lines of a batch of these prompts, by custom_id. */
async function run(
  system: System,
  model: string,
  prompts: readonly string[],
  body: Readonly<Record<string, unknown>> = {},
) {
  const { id } = await system.submit(prompts, { model, body });
  const batch = await system.settled(id);
  const lines = [...(await system.lines(batch.output_file_id)), ...(await system.lines(batch.error_file_id))];
  return { batch, lines: new Map(lines.map((line) => [line.custom_id, line])) };
}

const cascade = (name: string, confidence: string, more = ''): string =>
  `  ${name}: { drafter: small, expert: large, accept_at: 0.8, confidence: ${confidence}${more} }`;

let collector: Collector;
after(() => collector[Symbol.asyncDispose]());

/** What the drafter says in the test that runs. */
let drafted: (request: ModelRequest) => Scripted = () => ({ kind: 'completion' });

/** A cascade for each test that needs no processes of its own. */
const shared = sharedSystem(async () => {
  collector = await Collector.start();
  return System.start({
    moreModels:
      '  tiny: { base_url: "http://127.0.0.1:1/v1", model: tiny, context_tokens: 100, images: false, tools: false }',
    moreCascades: [
      cascade('assess', '{ signal: self_assessment }'),
      cascade('agree', '{ signal: agreement, samples: 4 }'),
      cascade('values', '{ signal: min_logprob }', ', stop_early: false'),
      '  tiny: { drafter: tiny, expert: large, accept_at: 0.8 }',
    ].join('\n'),
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_BSP_SCHEDULE_DELAY: '100',
    },
    drafter: { answer: (request) => drafted(request) },
  });
});

test('self-assessment: a second call in one token decides, is paid for, and shows in the trace', async () => {
  const system = await shared();
  drafted = (request) => {
    const messages = request.body['messages'] as readonly { content: string }[];
    if (!lastOf(request).startsWith('Is the answer above')) return say('an answer', [token('an answer', 0.5)]);
    if (messages[0]?.content.includes('odd')) return say('Hm', [token('Hm', 0.9)]);
    return messages[0]?.content.includes('right')
      ? say('Y', [token('Y', 0.9, [['N', 0.05]])])
      : say('N', [token('N', 0.7, [['Y', 0.2]])]);
  };
  const { lines, batch } = await run(system, 'assess', ['right', 'wrong', 'odd']);
  assert.equal(lines.get('doc-0')?.cascade?.role, 'drafter');
  assert.ok(Math.abs(Number(lines.get('doc-0')?.cascade?.stages[0]?.confidence) - 0.9 / 0.95) < 1e-6);
  assert.equal(lines.get('doc-1')?.cascade?.stages[0]?.reason, 'low_confidence');
  assert.equal(lines.get('doc-2')?.cascade?.stages[0]?.reason, 'no_assessment');
  const asked = system.drafterModel.requests.filter((request) => lastOf(request).startsWith('Is the answer above'));
  assert.equal(asked.length, 3);
  assert.equal(asked[0]?.body['max_tokens'], 1);
  const report: Report = await system.client.get(`/batches/${batch.id}/report`);
  const [drafting] = report.stages;
  assert.deepEqual([drafting?.cascade, drafting?.role], ['assess', 'drafter']);
  assert.equal(drafting?.input_tokens, 60, 'the two calls of each document');
  await until(
    async () =>
      collector.spans.filter((span) => span.attributes['cascade.call.purpose'] === 'self_assessment').length === 3,
  );
  const beside = collector.spans.find((span) => span.attributes['cascade.call.purpose'] === 'self_assessment');
  const parent = collector.spans.find((span) => span.spanId === beside?.parentSpanId);
  assert.equal(parent?.name, 'draft');
  const sent = asked.map(({ headers }) => String(headers['traceparent']));
  assert.ok(sent.includes(`00-${beside?.traceId}-${beside?.spanId}-01`));
});

test('agreement: the majority of the samples is the answer, its share the confidence', async () => {
  const system = await shared();
  drafted = (request) => {
    const { temperature } = request.body;
    const isDraft = temperature === undefined;
    if (lastOf(request) === 'same') return say(isDraft ? 'Paris' : ' paris.', [token('Paris', 0.5)]);
    if (lastOf(request) === 'other') return say(isDraft ? 'Rome' : 'Paris', [token('Paris', 0.5)]);
    return isDraft ? say('a', [token('a', 0.5)]) : { kind: 'status', status: 400 };
  };
  const { lines } = await run(system, 'agree', ['same', 'other', 'fails']);
  const same = lines.get('doc-0');
  assert.deepEqual([same?.cascade?.role, same?.cascade?.stages[0]?.confidence], ['drafter', 1]);
  const other = lines.get('doc-1');
  assert.equal(other?.cascade?.stages[0]?.confidence, 0.75, 'three of four say Paris');
  assert.equal(other?.cascade?.role, 'expert');
  assert.equal(lines.get('doc-2')?.cascade?.stages[0]?.reason, 'no_samples');
});

const artefact = (a: number) => ({
  kind: 'spillway.calibration',
  v: 2,
  cascade: 'margins',
  stage: 1,
  ask: 'answer',
  accept_before: [],
  model: 'small',
  signal: { name: 'margin', over: 'min' },
  calibration: { method: 'platt', a, b: 0 },
  labels: 100,
  right: 80,
  createdAt: '2026-11-23T00:00:00Z',
  measured: { ece: 0.02, brier: 0.1, auroc: 0.9 },
});

test('a calibration is read again when its file changes; a wrong one changes nothing; a batch keeps its own', async () => {
  await using system = await System.create({
    moreCascades: cascade('margins', '{ signal: margin, calibration: margins.json }'),
    drafter: { answer: () => say('yes', [token('yes', 0.8, [['no', 0.1]])]) },
  });
  const path = join(system.directory, 'margins.json');
  await writeFile(path, JSON.stringify(artefact(1)));
  const api = await system.run('api');
  await Promise.all([system.run('dispatcher'), system.run('drafter'), system.run('expert')]);
  await system.admitted();
  const confidence = async (): Promise<number> =>
    Number((await run(system, 'margins', ['x'])).lines.get('doc-0')?.cascade?.stages[0]?.confidence);
  const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
  assert.ok(Math.abs((await confidence()) - sigmoid(Math.log(8))) < 1e-9);
  await writeFile(path, JSON.stringify(artefact(0.25)));
  await until(async () => Math.abs((await confidence()) - sigmoid(0.25 * Math.log(8))) < 1e-9);
  await writeFile(path, JSON.stringify({ ...artefact(1), model: 'another' }));
  await until(async () => {
    await confidence();
    return api.lines.some((line) => JSON.stringify(line['problems'] ?? '').includes('made for the drafter another'));
  });
  assert.ok(Math.abs((await confidence()) - sigmoid(0.25 * Math.log(8))) < 1e-9, 'the one before stays');
});

test('an API does not start with a calibration that was made for something else, nor with a signal that lacks one', async () => {
  await using system = await System.create({
    moreCascades: cascade('margins', '{ signal: margin, calibration: margins.json }'),
  });
  await writeFile(join(system.directory, 'margins.json'), JSON.stringify({ ...artefact(1), cascade: 'letters' }));
  await assert.rejects(system.run('api'), /margins\.json: made for the cascade letters, not for margins/);
  await using without = await System.create({ moreCascades: cascade('margins', '{ signal: entropy }') });
  await assert.rejects(without.run('drafter'), /cascades\.margins\.confidence\.calibration: expected a file/);
});

test('JSON answers tell how sure each value is; only values count', async () => {
  const tokens = [
    token('{"total": ', 0.2),
    token('12', 0.95),
    token(', "tax": ', 0.2),
    token('3', 0.7),
    token('}', 0.2),
  ];
  const system = await shared();
  drafted = () => say('{"total": 12, "tax": 3}', tokens);
  const { lines } = await run(system, 'values', ['x'], { response_format: { type: 'json_object' } });
  assert.deepEqual(lines.get('doc-0')?.cascade?.stages[0]?.fields, { '/tax': 0.7, '/total': 0.95 });
  assert.equal(Math.round(Number(lines.get('doc-0')?.cascade?.stages[0]?.confidence) * 1e6), 700_000);
});

test('what a drafter is declared not to take goes straight to the expert, with its reason and no call', async () => {
  const system = await shared();
  const long = await run(system, 'tiny', ['x'.repeat(2_000)]);
  assert.equal(long.lines.get('doc-0')?.cascade?.stages[0]?.reason, 'too_long');
  assert.equal(long.lines.get('doc-0')?.response?.status_code, 200);
  const [skipped] = long.lines.get('doc-0')?.cascade?.stages ?? [];
  assert.deepEqual([skipped?.outcome, skipped?.attempts, skipped?.confidence], ['skipped', 0, null]);
  const tools = await run(system, 'tiny', ['x'], { tools: [{ type: 'function', function: { name: 'f' } }] });
  assert.equal(tools.lines.get('doc-0')?.cascade?.stages[0]?.reason, 'needs_tools');
  const content = [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }];
  const image = await run(system, 'tiny', ['x'], { messages: [{ role: 'user', content }] });
  assert.equal(image.lines.get('doc-0')?.cascade?.stages[0]?.reason, 'needs_image');
});
