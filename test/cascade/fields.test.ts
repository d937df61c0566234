import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Draft, Json, JsonObject, SignalSpec } from '@spillway/core';
import { DRAFT, runFields as run, SURE, type Setting, type Tokens } from '../support/fields-cascade.ts';
import type { ModelRequest, Scripted } from '../support/model-server.ts';

const says = (text: string): Scripted => ({ kind: 'completion', text });
const isPlain = ({ body }: ModelRequest): boolean =>
  JSON.stringify(body['messages']) === JSON.stringify([{ role: 'user', content: 'What is it?' }]);

const SCHEMA = {
  type: 'object',
  properties: {
    type: { type: 'string' },
    currency: { type: 'string' },
    total: { type: 'string', description: 'The sum.' },
  },
  required: ['type', 'currency', 'total'],
  additionalProperties: false,
} satisfies JsonObject;
const FORMAT = {
  response_format: { type: 'json_schema', json_schema: { name: 'invoice', strict: true, schema: SCHEMA } },
};

const schemaOf = ({ body }: ModelRequest): Json | undefined =>
  ((body['response_format'] as JsonObject | undefined)?.['json_schema'] as JsonObject | undefined)?.['schema'];

test('the expert is asked for the unsure value only, and it takes its place in the draft', async (t) => {
  const { text, stages, last, requests, line } = await run(t, {
    expert: () => says('{"total": "10.15"}'),
    body: FORMAT,
  });
  assert.equal(text, '{"type": "invoice", "currency": "GBP", "total": "10.15"}');
  assert.equal(requests.length, 1);
  const [request] = requests;
  assert.deepEqual(Object.keys((schemaOf(request ?? assert.fail()) as JsonObject)['properties'] as JsonObject), [
    'total',
  ]);
  const asked = JSON.stringify(request?.body['messages']);
  assert.ok(asked.includes('The sum.') && asked.includes('What is it?'), asked);
  assert.ok(!asked.includes('70.15') && !asked.includes('GBP'), 'the draft is not shown');
  assert.deepEqual([last?.ask, last?.asked_fields, last?.outcome], ['fields', ['/total'], 'answered']);
  assert.deepEqual(stages[0]?.fields, { '/total': 0.3679, '/type': 0.999, '/currency': 0.999 });
  assert.equal(line.cascade?.stage, 2);
});

test('the calibration of a value decides about it, and its confidence is shown by it', async (t) => {
  const certain = { scores: [-2], values: [0.97] };
  const doubted = { scores: [0], values: [0.3] };
  const isotonic = (curve: typeof certain) => ({ method: 'isotonic', curve }) as const;
  const expert = () => says('{"currency": "EUR"}');
  const sure = { '/total': { acceptAt: 0.95, calibration: isotonic(certain) } };
  const accepted = await run(t, { expert, body: FORMAT, fields: sure });
  assert.deepEqual([accepted.line.cascade?.stage, accepted.requests.length], [1, 0]);
  assert.deepEqual(accepted.last?.fields, { '/total': 0.97, '/type': 0.999, '/currency': 0.999 });
  assert.deepEqual([accepted.last?.values_sure, accepted.last?.confidence], [true, Math.exp(-1)]);
  const unsure = { ...sure, '/currency': { acceptAt: 0.8, calibration: isotonic(doubted) } };
  const asked = await run(t, { expert, body: FORMAT, fields: unsure });
  assert.equal(asked.text, '{"type": "invoice", "currency": "EUR", "total": "70.15"}');
  assert.deepEqual([asked.last?.asked_fields, asked.stages[0]?.values_sure], [['/currency'], false]);
  assert.deepEqual(Object.entries(asked.stages[0]?.fields ?? {})[0], ['/currency', 0.3], 'what is unsure is first');
  const shadow = await run(t, { expert, body: FORMAT, fields: sure, shadow: true });
  assert.equal(shadow.stages[0]?.values_sure, true);
  assert.deepEqual(Object.keys(shadow.stages[0]?.draft?.evidence?.values ?? {}), ['/total', '/type', '/currency']);
  assert.equal(shadow.stages[0]?.draft?.evidence?.values?.['/total'], -1);
});

test('without a schema the expert goes on with the draft’s JSON, and is given up once the value is there', async (t) => {
  const { text, last, requests } = await run(t, {
    found: { continuation: 'new_text' },
    expert: () => says('": "10.15", "more": "and so on"}'),
  });
  assert.equal(text, '{"type": "invoice", "currency": "GBP", "total": "10.15"}');
  const { body } = requests[0] ?? assert.fail();
  assert.deepEqual((body['messages'] as JsonObject[]).at(-1), {
    role: 'assistant',
    content: '{"type": "invoice", "currency": "GBP", "total',
  });
  assert.deepEqual([body['continue_final_message'], body['stream']], [true, true]);
  assert.deepEqual([last?.ask, last?.asked_fields], ['fields', ['/total']]);
});

test('several values are asked for one after the other, each behind what came for the one before', async (t) => {
  const draft = DRAFT.map(([text, logprob]) => [text, text === 'GBP' ? -1 : logprob] as const);
  const { text, requests } = await run(t, {
    draft,
    found: { continuation: 'whole_text' },
    expert: ({ body }) => {
      const given = String((body['messages'] as { content: string }[]).at(-1)?.content);
      return says(given + (given.endsWith('currency') ? '": "EUR", "total": "1"}' : '": "10.15"}'));
    },
  });
  assert.equal(text, '{"type": "invoice", "currency": "EUR", "total": "10.15"}');
  assert.deepEqual(
    requests.map(({ body }) => (body['messages'] as JsonObject[]).at(-1)?.['content']),
    ['{"type": "invoice", "currency', '{"type": "invoice", "currency": "EUR", "total'],
  );
});

test('a value may have a threshold of its own, and a draft is final when every value is', async (t) => {
  const draft = DRAFT.map(([text, logprob]) => [text, text === '70.15' ? -0.1 : logprob] as const);
  const lax = await run(t, { draft, expert: () => assert.fail(), more: ', fields: { /type: { accept_at: 0.9 } }' });
  assert.equal(lax.stages.length, 1);
  const strict = await run(t, {
    draft,
    body: FORMAT,
    more: ', fields: { /total: { accept_at: 0.95 } }',
    expert: () => says('{"total": "10.15"}'),
  });
  assert.deepEqual([strict.last?.ask, strict.last?.asked_fields], ['fields', ['/total']]);
  assert.equal(strict.stages[0]?.reason, 'low_confidence');
  const mild = await run(t, { expert: () => assert.fail(), more: ', fields: { /total: { accept_at: 0.3 } }' });
  assert.equal(mild.stages.length, 1, 'an unsure value that need not be sure');
});

const WHOLE = '{"type": "receipt", "currency": "USD", "total": "3"}';

async function whole(t: TestContext, reason: string, setting: Partial<Setting>): Promise<void> {
  const { expert } = setting;
  const { text, last, requests } = await run(t, {
    ...setting,
    expert: (request) => (isPlain(request) ? says(WHOLE) : (expert?.(request) ?? assert.fail('asked for a part'))),
  });
  assert.equal(text, WHOLE);
  assert.deepEqual([last?.ask, last?.ask_reason], ['answer', reason]);
  assert.ok(isPlain(requests.at(-1) ?? assert.fail()));
}

test('what cannot be asked for by itself is asked for whole', async (t) => {
  const all = (logprob: number): Tokens => DRAFT.map(([text]) => [text, logprob] as const);
  await whole(t, 'all_unsure', { draft: all(-1) });
  await whole(t, 'values_not_judged', { draft: [['It is 12 pounds', -1]] });
  await whole(t, 'request_unsuited', { body: { tools: [{ type: 'function', function: { name: 'f' } }] } });
  const chosen = { ...SCHEMA, anyOf: [{ required: ['total'] }, { required: ['type'] }] };
  const format = { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: chosen } } };
  await whole(t, 'not_splittable', { body: format });
});

test('an answer that does not fit is not merged, and the whole is asked for', async (t) => {
  const misfits: Record<string, Scripted> = {
    'not JSON': says('ten pounds'),
    'another name': says('{"sum": "10.15"}'),
    'too much': says('{"total": "10.15", "type": "receipt"}'),
    'the wrong kind': says('{"total": 10.15}'),
    nothing: says(''),
    'an array': says('["10.15"]'),
    'cut short': { kind: 'completion', text: '{"total": "10', finishReason: 'length' },
    refused: { kind: 'status', status: 400 },
  };
  for (const [name, answer] of Object.entries(misfits)) {
    await t.test(name, (one) => whole(one, 'values_failed', { body: FORMAT, expert: () => answer }));
  }
  const continued: Record<string, string> = {
    'begins anew': '{"type": "receipt", "total": "10.15"}',
    'goes on otherwise': 'ly": "10.15"}',
    'never ends': '": "10.15',
    'another kind': '": [10.15]}',
  };
  for (const [name, said] of Object.entries(continued)) {
    await t.test(name, (one) =>
      whole(one, 'values_failed', { found: { continuation: 'new_text' }, expert: () => says(said) }),
    );
  }
});

test('in a shadow run the expert says all of its answer: drafts are compared with it', async (t) => {
  await whole(t, 'shadow_run', { shadow: true });
});

test('a job grows by what it says of values, and not by their names', async (t) => {
  const name = 'n'.repeat(60_000);
  const values = Array.from({ length: 998 }, (_, at): Tokens => [
    [`${at === 0 ? '' : ','}"k${at}":`, SURE],
    ['1', SURE],
  ]);
  const draft: Tokens = [['{"a":', SURE], ['1', -1], [`,"${name}":{`, SURE], ...values.flat(), ['}}', SURE]];
  const plain = await run(t, { draft, ask: 'answer', expert: () => says('{"a":2}') });
  const ruled = ', fields: { /a: { accept_at: 0.99 } }';
  const own = await run(t, { draft, ask: 'answer', more: ruled, expert: () => says('{"a":2}') });
  assert.ok(own.jobBytes < plain.jobBytes + 100, `${own.jobBytes}, plain ${plain.jobBytes}`);
  const asked = await run(t, { draft, found: { continuation: 'new_text' }, expert: () => says('":2,') });
  assert.deepEqual([asked.last?.ask, asked.last?.asked_fields], ['fields', ['/a']]);
  assert.equal(
    asked.text,
    draft
      .map(([text]) => text)
      .join('')
      .replace('1', '2'),
  );
  assert.ok(asked.jobBytes < plain.jobBytes + 1_100, `${asked.jobBytes}, plain ${plain.jobBytes}`);
  // A score has at most 24 characters.
  for (const { scoreBytes } of [own, asked]) assert.ok(scoreBytes > 2 && scoreBytes < 999 * 25, String(scoreBytes));
});

test('what may be the document’s own does not count against the server, and a failed call does', async (t) => {
  const optional = { ...SCHEMA, required: ['type', 'currency'] };
  const body = { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: optional } } };
  const none = '{"type": "invoice", "currency": "GBP"}';
  const times = 6;
  const leavesOut = await run(t, { times, body, expert: (request) => says(isPlain(request) ? none : '{}') });
  assert.deepEqual([leavesOut.text, leavesOut.last?.ask_reason, leavesOut.notices], [none, 'values_failed', []]);
  const otherKind = await run(t, {
    times,
    found: { continuation: 'new_text' },
    expert: (request) => says(isPlain(request) ? none : '": [10.15]}'),
  });
  assert.deepEqual([otherKind.last?.ask_reason, otherKind.notices], ['values_failed', []]);
  const fails = await run(t, {
    times,
    body,
    expert: (request) => (isPlain(request) ? says(none) : { kind: 'status', status: 400 }),
  });
  assert.deepEqual([fails.last?.ask_reason, fails.notices.length], ['drafts_paused', 1]);
});

test('the answer is as long as the draft is, whatever its stage paid for it', async (t) => {
  const verified = (usage: JsonObject | null, outputTokens: number | null) => (draft: Draft) => {
    const answer = draft.answer ?? assert.fail();
    const { usage: _usage, ...said } = answer.body as JsonObject;
    const instead = { inputTokens: 100, outputTokens: outputTokens ?? 0, ms: null };
    const how = { kind: 'verify', keptCharacters: 56, isWhole: true, instead } as const;
    const body = usage === null ? said : { ...said, usage };
    const paid = { ...answer, body, usage: { ...answer.usage, outputTokens: 3 } };
    return { ...draft, answer: paid, ...(outputTokens === null ? {} : { how }) };
  };
  for (const [written, tokens] of [
    [verified({ completion_tokens: 40 }, 41), 40],
    [verified(null, 41), 41],
    [verified({ prompt_tokens: 7 }, 41), 41],
    [verified(null, null), 3],
  ] as const) {
    const { usage, last } = await run(t, { body: FORMAT, written, expert: () => says('{"total": "10.15"}') });
    assert.deepEqual([last?.ask, usage?.['completion_tokens']], ['fields', tokens]);
  }
});

test('JSON whose values have no scores is not final where values have thresholds', async (t) => {
  const more = ', fields: { /total: { accept_at: 0.99 } }';
  const signal: SignalSpec = { name: 'agreement', samples: 2, temperature: 0.7 };
  await whole(t, 'values_not_judged', { signal, more });
  await whole(t, 'values_not_judged', { draft: [['{}', SURE]], more });
  await whole(t, 'values_not_judged', { draft: [['[]', SURE]], more });
  const { stages } = await run(t, { draft: [['[1] says so', SURE]], more, expert: () => assert.fail() });
  assert.equal(stages.length, 1, 'what is no JSON has no values');
});
