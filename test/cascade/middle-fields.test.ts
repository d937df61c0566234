import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { runStage } from '@spillway/cascade';
import { nextStageJob, NOTHING_FOUND, type CascadeDocument, type JsonObject, type ModelFindings } from '@spillway/core';
import { SURE, type Tokens } from '../support/fields-cascade.ts';
import { jobOf } from '../support/jobs.ts';
import { startModelServer, type ModelRequest, type Scripted } from '../support/model-server.ts';
import { delivered, openCascade } from '../support/stage-models.ts';

const FORMAT = {
  response_format: {
    type: 'json_schema',
    json_schema: {
      name: 'invoice',
      schema: {
        type: 'object',
        properties: Object.fromEntries(['type', 'currency', 'total', 'date'].map((name) => [name, { type: 'string' }])),
        required: ['type', 'currency', 'total', 'date'],
        additionalProperties: false,
      },
    },
  },
} satisfies JsonObject;

/** Of four values two are unsure: the total and the date. */
const DRAFT: Tokens = [
  ['{"type": "', SURE],
  ['invoice', SURE],
  ['", "currency": "', SURE],
  ['GBP', SURE],
  ['", "total": "', SURE],
  ['70.15', -1],
  ['", "date": "', SURE],
  ['May 1', -2],
  ['"}', SURE],
];

const spelt = (tokens: Tokens): Scripted => ({
  kind: 'completion',
  text: tokens.map(([text]) => text).join(''),
  logprobs: {
    content: tokens.map(([token, logprob]) => ({ token, logprob, bytes: null, top_logprobs: [] })),
  },
});
const says = (text: string): Scripted => ({ kind: 'completion', text });
const valuesOf = (date: number, total = SURE): Tokens => [
  ['{"total": "', SURE],
  ['10.15', total],
  ['", "date": "', SURE],
  ['June 1', date],
  ['"}', SURE],
];

type Setting = {
  readonly medium: (request: ModelRequest) => Scripted;
  readonly large?: (request: ModelRequest) => Scripted;
  readonly found?: Partial<ModelFindings>;
  readonly fields?: string;
  readonly body?: JsonObject;
  readonly shadow?: boolean;
};

/** Runs a document through a drafter, a second one that is asked for fields, and an expert. */
async function run(t: TestContext, { medium, large = () => says('{}'), found = {}, ...setting }: Setting) {
  const { fields = '', body = FORMAT, shadow = false } = setting;
  const servers = await Promise.all(
    [() => spelt(DRAFT), medium, large].map((answer) => startModelServer({ role: 'drafter', answer })),
  );
  t.after(() => Promise.all(servers.map((server) => server[Symbol.asyncDispose]())));
  const names = ['small', 'medium', 'large'];
  const yaml = `models:
${names.map((name, at) => `  ${name}: { base_url: "${servers[at]?.baseURL}", model: ${name} }`).join('\n')}
cascades:
  test:
    stages:
      - { model: small, accept_at: 0.8 }
      - { model: medium, accept_at: 0.8, ask: fields${fields} }
      - { model: large, ask: fields }`;
  const { rules, models } = openCascade(t, yaml, shadow);
  models[1]?.know({ ...NOTHING_FOUND, ...found });
  const messages = [{ role: 'user', content: 'What is it?' }];
  let document: CascadeDocument = { rules, job: jobOf({ body: { model: 'test', messages, ...body } }) };
  for (;;) {
    const model = models[document.job.stage] ?? assert.fail();
    const outcome = await runStage(model, document, { signal: new AbortController().signal, stalls: 0 });
    if (outcome.kind === 'settle') {
      const { line, text } = delivered(document, outcome.ending);
      const stages = line.cascade?.stages ?? [];
      return { text, stages, stage: line.cascade?.stage, asked: servers.map(({ requests }) => requests) };
    }
    assert.ok(outcome.kind === 'escalate', JSON.stringify(outcome));
    document = { rules, job: nextStageJob({ rules, job: outcome.job }, Date.now()) };
  }
}

test('a middle stage is asked for the unsure values, and the whole is final once each value is', async (t) => {
  const { text, stage, stages, asked } = await run(t, { medium: () => spelt(valuesOf(SURE)) });
  assert.equal(text, '{"type": "invoice", "currency": "GBP", "total": "10.15", "date": "June 1"}');
  assert.deepEqual([stage, asked[1]?.length, asked[2]?.length], [2, 1, 0]);
  const { ask, asked_fields: fields, outcome, confidence, values_sure: areSure } = stages[1] ?? assert.fail();
  assert.deepEqual([ask, fields, outcome, areSure], ['fields', ['/total', '/date'], 'accepted', true]);
  assert.equal(confidence, Math.exp(SURE));
  assert.deepEqual(stages[1]?.fields, { '/total': 0.999, '/date': 0.999 });
  assert.equal(asked[1]?.[0]?.body['logprobs'], true);
});

test('what is still unsure goes on, and the next stage is asked for that alone', async (t) => {
  const { text, stage, stages, asked } = await run(t, {
    medium: () => spelt(valuesOf(-1)),
    large: () => says('{"date": "July 1"}'),
  });
  assert.equal(text, '{"type": "invoice", "currency": "GBP", "total": "10.15", "date": "July 1"}');
  assert.deepEqual([stage, asked[2]?.length], [3, 1]);
  assert.deepEqual(
    stages.map(({ ask, outcome, asked_fields: fields = null }) => [ask, outcome, fields]),
    [
      ['answer', 'escalated', null],
      ['fields', 'escalated', ['/total', '/date']],
      ['fields', 'answered', ['/date']],
    ],
  );
  assert.deepEqual([stages[1]?.reason, stages[1]?.values_sure], ['low_confidence', false]);
  assert.equal(stages[1]?.draft?.text, '{"type": "invoice", "currency": "GBP", "total": "10.15", "date": "June 1"}');
});

test('a value is judged by the rule that the middle stage has for it', async (t) => {
  const medium = () => spelt(valuesOf(-1));
  const lenient = await run(t, { medium, fields: ', fields: { /date: { accept_at: 0.3 } }' });
  assert.deepEqual([lenient.stage, lenient.stages[1]?.outcome], [2, 'accepted']);
  const strict = await run(t, {
    medium,
    fields: ', fields: { /total: { accept_at: 1 } }',
    large: () => says('{"total": "1", "date": "2"}'),
  });
  assert.deepEqual(strict.stages[2]?.asked_fields, ['/total', '/date']);
});

test('what cannot be judged or put together is asked for whole, and judged as a draft', async (t) => {
  const whole: Tokens = DRAFT.map(([text]) => [text, SURE] as const);
  for (const [name, answer] of [
    ['no log-probs', { kind: 'completion', text: '{"total": "1", "date": "2"}', logprobs: null }],
    ['an empty value', spelt([['{"total": [], "date": "2"}', SURE]])],
    ['another value', spelt([['{"total": "1", "type": "2"}', SURE]])],
    ['no JSON', spelt([['I think', SURE]])],
    ['cut short', { ...spelt(valuesOf(SURE)), finishReason: 'length' } as Scripted],
  ] as const) {
    const { stage, stages, asked } = await run(t, {
      medium: ({ body }) => (JSON.stringify(body['messages']).includes('wanted now') ? answer : spelt(whole)),
    });
    const { ask_reason: reason, outcome, usage } = stages[1] ?? assert.fail();
    assert.deepEqual([reason, outcome, stage, asked[1]?.length], ['values_failed', 'accepted', 2, 2], name);
    assert.ok(usage.input_tokens > 0, name);
  }
  const none = await run(t, { medium: () => spelt(whole), found: { log_probs: false } });
  assert.deepEqual([none.stages[1]?.ask_reason, none.asked[1]?.length], ['no_log_probs', 1]);
});

test('without a schema each value is judged by the tokens that it was gone on with', async (t) => {
  const goesOn =
    (date: number) =>
    ({ body }: ModelRequest): Scripted => {
      const given = String((body['messages'] as { content: string }[]).at(-1)?.content);
      const isDate = given.endsWith('date');
      return spelt([
        ['": "', -3],
        [isDate ? 'June 1' : '10.15', isDate ? date : SURE],
        ['", "x": "', -3],
        ['and so on"}', -3],
      ]);
    };
  const found = { continuation: 'new_text', streamed_log_probs: true } as const;
  const sure = await run(t, { medium: goesOn(SURE), found, body: {} });
  assert.equal(sure.text, '{"type": "invoice", "currency": "GBP", "total": "10.15", "date": "June 1"}');
  assert.deepEqual([sure.stage, sure.asked[1]?.map(({ body }) => body['stream'])], [2, [true, true]]);
  const whole = await run(t, { medium: goesOn(SURE), found: { continuation: 'new_text' }, body: {} });
  assert.deepEqual([whole.stage, whole.asked[1]?.map(({ body }) => body['stream'])], [2, [undefined, undefined]]);
  const unsure = await run(t, { medium: goesOn(-1), found, body: {}, large: () => says('{"date": "July 1"}') });
  assert.deepEqual([unsure.stage, unsure.stages[2]?.asked_fields], [3, ['/date']]);
});

test('in a shadow run a middle stage is asked as otherwise, and its own signal can be calibrated', async (t) => {
  const { stages } = await run(t, {
    medium: () => spelt(valuesOf(-1)),
    large: () => says('{"type": "invoice"}'),
    shadow: true,
  });
  const { reason, ask, score, draft, values_sure: areSure } = stages[1] ?? assert.fail();
  assert.deepEqual([reason, ask, areSure], ['shadow_run', 'fields', false]);
  assert.equal(score, -1);
  assert.deepEqual(draft?.evidence, { scores: {}, features: null, values: { '/date': -1, '/total': SURE } });
  assert.equal(stages[2]?.ask_reason, 'shadow_run');
});
