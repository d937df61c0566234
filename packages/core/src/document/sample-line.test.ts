import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_USAGE } from '../accounting/counts.ts';
import type { CalibrationMethod } from '../calibration/method.ts';
import type { CascadeRules } from '../cascade/rules.ts';
import { sampleRules } from '../cascade/thresholds.ts';
import type { Aim } from '../promise/index.ts';
import { acceptedDraftOf, answerOf, draftOf, jobOf, rulesOf } from '../../../../test/support/jobs.ts';
import { copiedAnswer } from './copy.ts';
import type { Ending } from './ending.ts';
import { resultOf } from './result.ts';
import { readResultLine } from './result-line.ts';
import { readSampleLine } from './sample-line.ts';
import { sampledResult } from './sampled-result.ts';

const PROMISE: Aim = { kind: 'promise', agreement: 0.95, certainty: 0.95, otherwise: 'expert' };
const saying = (content: string) =>
  answerOf({ body: { choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }] } });
const answered = (content: string, more: object = {}): Ending => ({
  kind: 'answered',
  answer: saying(content),
  startedAtMs: 10,
  endedAtMs: 20,
  ...more,
});

/** What the sample's line of a document says of its only draft. */
function judged(
  draft: {
    readonly text: string;
    readonly confidence?: number | null;
    readonly fields?: { path: string; score: number }[];
  },
  expert: Ending,
  rules: Partial<CascadeRules> & { ask?: 'fields' } = {},
) {
  const { ask, ...own } = rules;
  const base = rulesOf({ aim: PROMISE, signal: { name: 'sum_logprob' }, ...own });
  const asking =
    ask === undefined ? base : { ...base, stages: base.stages.map((one, at) => (at === 1 ? { ...one, ask } : one)) };
  const { text, confidence = 0.7, fields = null } = draft;
  const job = jobOf({
    stage: 1,
    drafts: [draftOf({ answer: saying(text), confidence, fields, reason: 'sampled', handedOffAtMs: 5 })],
  });
  const { line } = resultOf({ job, rules: sampleRules(asking) }, expert);
  return readSampleLine(line.text)?.sample.judged ?? assert.fail(line.text);
}

test('a draft agrees as its cascade compares answers, and never with what is no answer', () => {
  const one = (text: string, expert: Ending, rules: Partial<CascadeRules> = {}) =>
    judged({ text }, expert, rules)[0]?.agrees;
  assert.equal(one(' Yes. ', answered('yes')), true);
  assert.equal(one('no', answered('yes')), false);
  assert.equal(one('{"a": 1}', answered('{ "a":1 }')), true);
  assert.equal(one('{"a": 1}', answered('{ "a":1 }'), { agreement: 'exact' }), false);
  assert.equal(one('yes', answered('yes'), { agreement: 'json' }), false, 'is no JSON');
  const label = { agreement: { label: ['spam', 'ham'] } };
  assert.equal(one('Spam!', answered('spam'), label), true);
  assert.equal(one('eggs', answered('eggs'), label), false, 'is no label');
  assert.equal(
    one('a sum of ten', answered('10', { sameAs: [0] }), { agreement: 'judge' }),
    true,
    'as the expert says',
  );
  const failed: Ending = {
    kind: 'failed',
    error: { code: 'server_error', message: 'no' },
    why: { type: '500', message: 'no' },
    startedAtMs: 1,
    endedAtMs: 2,
  };
  assert.equal(one('yes', failed), false);
  assert.equal(judged({ text: 'yes', confidence: null }, answered('yes'))[0]?.confidence, null);
});

test('values that differ are named; asked for by themselves, the surest of them says when the draft is wrong', () => {
  const text = '{"a":1,"b":2,"c":3}';
  const fields = [
    { path: '/b', score: Math.log(0.4) },
    { path: '/a', score: Math.log(0.6) },
    { path: '/c', score: Math.log(0.9) },
  ];
  const [own] = judged({ text, fields }, answered('{"a":7,"b":8,"c":3}'), { ask: 'fields' });
  assert.deepEqual(own?.differing, ['/a', '/b']);
  assert.ok(Math.abs((own.wrongAt ?? 0) - 0.6) < 1e-4);
  const [whole] = judged({ text, fields }, answered('{"a":7,"b":8,"c":3}'));
  assert.deepEqual([whole?.differing, whole?.wrongAt], [['/a', '/b'], null]);
  for (const other of ['{"a":7,"b":2}', '{"a":1,"b":2,"d":3}', 'no JSON']) {
    const [shape] = judged({ text, fields }, answered(other), { ask: 'fields' });
    assert.deepEqual([shape?.differing, shape?.wrongAt], [undefined, 1], other);
  }
  const [unknown] = judged({ text, fields: fields.slice(0, 1) }, answered('{"a":7,"b":2,"c":3}'), { ask: 'fields' });
  assert.equal(unknown?.wrongAt, 1, 'only the least sure values are written down');
});

test('the batch’s line of a sampled document is one like others, from which copies are answered', () => {
  const rules = rulesOf({ aim: PROMISE, signal: { name: 'sum_logprob' }, prices: [{ input: 1, output: 1 }] });
  const job = jobOf({ batch: 'batch_s', document: 4, stage: 1, drafts: [draftOf({ handedOffAtMs: 5 })] });
  const sampling = resultOf({ job, rules: sampleRules(rules) }, answered('yes'));
  const read = readSampleLine(sampling.line.text) ?? assert.fail();
  const { aim: _aim, ...fixed } = rules;
  const force = { ...fixed, certificate: { agreement: 0.95, certainty: 0.95 } };
  const own = { batch: 'batch_p', document: 90, of: { batch: 'batch_s', document: 4 } };
  const result = sampledResult(read, own, force) ?? assert.fail();
  const line = readResultLine(result.line.text) ?? assert.fail(result.line.text);
  assert.equal(result.line.part, 'output');
  assert.deepEqual(
    [line.custom_id, line.cascade?.sampled, line.cascade?.certificate],
    ['doc-4', true, force.certificate],
  );
  assert.deepEqual([result.counts, 'times' in result && result.times], [sampling.counts, sampling.times]);
  assert.notEqual(line.id, read.line.id);
  const copied = copiedAnswer(result.line.text, force, null) ?? assert.fail('a copy can be made of it');
  assert.equal(copied.saved.savedInputTokens, 200);
  const plain = sampledResult(read, own, { ...force, annotate: false }) ?? assert.fail();
  assert.equal(readResultLine(plain.line.text)?.cascade, undefined);
});

test('a draft that a budget’s sample accepted can be handed off after all', () => {
  const rules = rulesOf({ aim: { kind: 'budget', expert_share: 0.2 }, signal: { name: 'sum_logprob' } });
  const draft = acceptedDraftOf({ answer: saying('yes'), confidence: 0.1 });
  const { line } = resultOf({ job: jobOf(), rules: sampleRules(rules) }, { kind: 'accepted', draft });
  const { sample } = readSampleLine(line.text) ?? assert.fail();
  assert.deepEqual(
    sample.drafts?.map(({ reason, confidence }) => [reason, confidence]),
    [['low_confidence', 0.1]],
  );
  assert.equal(readSampleLine('{"id":"x"}'), null);
});

test('drafts of a budget’s sample are kept where no answer of the last stage stands; of a promise’s none is handed off', () => {
  const budget = rulesOf({ aim: { kind: 'budget', expert_share: 0.2 }, signal: { name: 'sum_logprob' } });
  const job = jobOf({ stage: 1, drafts: [draftOf({ handedOffAtMs: 5 })] });
  const times = { startedAtMs: 10, endedAtMs: 20 };
  const how = { kind: 'verdict', stage: 0, score: -0.1, confidence: 0.9, instead: { ...NO_USAGE, ms: null } } as const;
  const endings: Readonly<Record<string, Ending>> = {
    answered: answered('yes'),
    confirmed: { kind: 'confirmed', how, usage: NO_USAGE, extra: [], ...times },
    failed: {
      kind: 'failed',
      error: { code: 'server_error', message: 'no' },
      why: { type: '500', message: 'no' },
      ...times,
    },
    refused: { kind: 'answered', answer: { ...saying('no'), status: 400 }, ...times },
  };
  const keptBy = (rules: CascadeRules) =>
    Object.entries(endings).flatMap(([name, ending]) => {
      const { line } = resultOf({ job, rules: sampleRules(rules) }, ending);
      return (readSampleLine(line.text) ?? assert.fail(name)).sample.drafts?.length === 1 ? [name] : [];
    });
  assert.deepEqual(keptBy(budget), ['confirmed', 'failed', 'refused']);
  assert.deepEqual(keptBy(rulesOf({ aim: PROMISE, signal: { name: 'sum_logprob' } })), []);
});

test('what counts as the confidence in a value is never less than it was, however steep the calibration', () => {
  const calibration: CalibrationMethod = {
    method: 'isotonic',
    curve: { scores: [-0.5000001, -0.5], values: [0.1, 0.9] },
  };
  const { stages: plain } = rulesOf({ signal: { name: 'sum_logprob' } });
  const stages = plain.map((stage) =>
    stage.judge === null
      ? stage
      : { ...stage, judge: { ...stage.judge, confidence: { ...stage.judge.confidence, calibration } } },
  );
  const wrongAt = (score: number) => {
    const draft = { text: '{"a":1,"b":2}', fields: [{ path: '/a', score }] };
    return judged(draft, answered('{"a":7,"b":2}'), { ask: 'fields', stages })[0]?.wrongAt;
  };
  assert.equal(wrongAt(-0.5), 0.9);
  assert.equal(wrongAt(-0.500001), 0.9, 'it may have been so much more, before it was written with six digits');
  assert.equal(wrongAt(-0.51), 0.1);
});
