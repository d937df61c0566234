import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_SLICE_CPU_MS, measureSlices } from '../../../../../test/support/slices.ts';
import { LIMITS } from '../../limits.ts';
import { runAtOnce, type Sliced } from '../../text/slices.ts';
import type { JudgeRule } from '../rules.ts';
import { readFieldAnswer } from './answer.ts';
import { continuedText, readContinuedValue } from './continue.ts';
import { mergeFields } from './merge.ts';
import { readObject } from './places.ts';
import { planFields } from './plan.ts';
import { judgeFields } from './unsure.ts';

const RULE: JudgeRule = {
  confidence: { signal: { name: 'sum_logprob' }, calibration: null },
  acceptAt: 0.5,
  fields: { '/a': { acceptAt: 0.1 }, '/list/*/a': { acceptAt: 0.2 } },
};

/** All that is done with a draft whose value `/a` is unsure. */
function* handled(text: string): Sliced<string> {
  const read = yield* readObject(text);
  if (read.kind === 'whole') return read.reason;
  const scores = read.scalars.map(({ path }) => ({ path, score: path === '/a' ? -9 : 0 }));
  const judged = judgeFields(scores, RULE).fields;
  yield;
  const fields = judged.map(({ path, confidence }, at) => ({
    path,
    stage: 0,
    confidence,
    isSure: scores[at]?.score === 0,
  }));
  const plan = yield* planFields({ text, fields, endpoint: '/v1/completions', request: {} });
  if (plan.kind === 'whole') return plan.reason;
  const before = yield* continuedText(text, '/a', new Map());
  const value = yield* readContinuedValue(before, text);
  assert.deepEqual(value, { kind: 'value', json: '1' });
  const all = yield* readFieldAnswer(text, plan, null);
  assert.equal(all.kind, 'whole');
  const answers = new Map(plan.paths.map((path) => [path, { json: path === '/a' ? '2' : '[]', fields: null }]));
  const merged = yield* mergeFields({ draft: { text, fields }, plan, answers, stage: 1, format: null });
  assert.ok(merged.kind === 'merged');
  return merged.kind;
}

const times = (count: number, what: string): string => Array.from({ length: count }, () => what).join(',');
const names = (count: number, what: string): string =>
  Array.from({ length: count }, (_, at) => `"n${at}":${what}`).join(',');
const SIZE = LIMITS.judgedCharacters;

/** Drafts as long as may be, or of as much as may be, and what comes of them. */
const HOSTILE: Readonly<Record<string, readonly [text: string, outcome: string]>> = {
  'as many values as are placed': [`{"a":1,"list":[${times(9_990, '1')}]}`, 'merged'],
  'more of them': [`{"a":1,"list":[${times(90_000, '1')}]}`, 'too_large'],
  'a long name around many values': [`{"a":1,"${'x'.repeat(SIZE - 20_000)}":{${names(1_000, '1')}}}`, 'merged'],
  'long names around each other': [
    `{"a":1,${Array.from({ length: 100 }, () => `"${'x'.repeat(9_000)}":{`).join('')}${names(1_000, '1')}${'}'.repeat(101)}`,
    'merged',
  ],
  'much that is empty, in an array': [`{"a":1,"b":2,"list":[${times(9_990, '[]')}]}`, 'merged'],
  'much that is empty': [`{"a":1,"b":2,${names(9_990, '{}')}}`, 'too_many_unsure'],
  'many names': [`{"a":1,"b":2,"list":[${times(3_300, '{"x":1,"y":2}')}]}`, 'merged'],
  'as deep as may be': [`{"a":1,"b":${'{"b":'.repeat(LIMITS.jsonDepth - 1)}1${'}'.repeat(LIMITS.jsonDepth)}`, 'merged'],
  'deeper still': [`{"a":1,"b":${'{"b":'.repeat(LIMITS.jsonDepth)}1${'}'.repeat(LIMITS.jsonDepth + 1)}`, 'too_large'],
  'a long string of escapes': [`{"a":1,"b":"${String.raw`\"`.repeat(SIZE / 2 - 50)}"}`, 'merged'],
  'a long number': [`{"a":1,"b":${'1'.repeat(SIZE - 50)}}`, 'merged'],
  blanks: [`{"a":1,${' '.repeat(SIZE - 50)}"b":2}`, 'merged'],
};

for (const [what, [text, outcome]] of Object.entries(HOSTILE)) {
  test(`merging holds nobody up: ${what}`, () => {
    assert.equal(runAtOnce(handled(text)), outcome);
    const { longestCpuMs } = measureSlices(handled(text));
    assert.ok(longestCpuMs < MAX_SLICE_CPU_MS, `${longestCpuMs} ms`);
  });
}
