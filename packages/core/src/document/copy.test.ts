import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { acceptedDraftOf, answeredAt, answerOf, draftOf, jobOf, rulesOf } from '../../../../test/support/jobs.ts';
import type { Json } from '../text/json.ts';
import { copiedAnswer, copyResult } from './copy.ts';
import type { Ending } from './ending.ts';
import { withDraft, type CascadeDocument } from './job.ts';
import { nextStageJob } from './next-stage.ts';
import { readResultLine, type ResultLine } from './result-line.ts';
import { resultOf } from './result.ts';

const prices = [
  { input: 1, output: 2 },
  { input: 10, output: 20 },
];
const place = { batch: `batch_${'0'.repeat(32)}`, document: 7, customId: 'copy', waitedMs: 12.4 };

/** The line of a document with this answer, and what a copy of it gets. */
function copyOf(document: CascadeDocument, ending: Ending, customId = place.customId) {
  const { rules } = document;
  const { line } = resultOf(document, ending);
  const answer = copiedAnswer(line.text, rules, rules.annotate ? null : (JSON.parse(line.text) as Json));
  assert.ok(answer !== null);
  const result = copyResult(answer, { ...place, customId });
  const [first, copy] = [readResultLine(line.text), readResultLine(result.line.text)];
  assert.ok(first !== null && copy !== null, result.line.text);
  assert.equal(result.line.part, 'output');
  return { first, copy, counts: result.counts, text: result.line.text };
}

const accepted = (body: unknown = answerOf().body): Ending => ({
  kind: 'accepted',
  draft: acceptedDraftOf({ answer: answerOf({ body }) }),
});

test('a copy has the answer of its first and what was decided for that, under its own id, and took nothing', () => {
  const rules = rulesOf({ prices });
  const escalated = nextStageJob({ job: withDraft(jobOf({ customId: 'first' }), draftOf()), rules }, 300);
  const { first, copy, counts } = copyOf({ job: escalated, rules }, answeredAt(400, 900));
  assert.notEqual(copy.id, first.id);
  assert.equal(copy.custom_id, 'copy');
  assert.deepEqual([copy.response, copy.error], [first.response, null]);
  const nothing = {
    attempts: 0,
    usage: { input_tokens: 0, cached_tokens: 0, output_tokens: 0 },
    wait_ms: { queue: null, call: null, hand_off: null },
  };
  assert.deepEqual(copy.cascade, {
    ...first.cascade,
    copy_of: 'first',
    stages: first.cascade?.stages.map((stage) => ({ ...stage, ...nothing })),
    wait_ms: { sequential: null, total: 12 },
  });
  assert.deepEqual(counts, {
    completed: 1,
    copied: 1,
    savedInputTokens: 200,
    savedOutputTokens: 20,
    savedNanoUsd: 100 * 1_000 + 10 * 2_000 + 100 * 10_000 + 10 * 20_000,
  });
});

test('of a line without an annotation the model’s own words say what it took, at the least price that it can have had', () => {
  const rules = rulesOf({ prices, annotate: false });
  const usage = { prompt_tokens: 30, completion_tokens: 4, total_tokens: 34 };
  const { first, copy, counts } = copyOf({ job: jobOf(), rules }, accepted({ choices: [], usage }));
  assert.deepEqual(copy, { ...first, id: copy.id, custom_id: 'copy' });
  assert.deepEqual(counts, {
    completed: 1,
    copied: 1,
    savedInputTokens: 30,
    savedOutputTokens: 4,
    savedNanoUsd: 38_000,
  });
  const [free, silent] = [rulesOf({ annotate: false }), accepted({ choices: [] })];
  assert.equal(copyOf({ job: jobOf(), rules: free }, accepted({ usage })).counts.savedNanoUsd, 0);
  assert.equal(copyOf({ job: jobOf(), rules }, silent).counts.savedInputTokens, 0);
});

test('whatever a model answers and whatever ids are: the answer is copied byte by byte', () => {
  const line = { id: 'x', custom_id: 'y', response: { body: 1 }, error: null, cascade: { name: 'z', stages: [] } };
  const hostile = [
    line,
    { ...line, error: null },
    { '","response":{': ',"response":{"a":1},"error":null,"cascade":{"name":"x"}}' },
    [',"error":null}', '\\",\\"error\\":null', '\u2028', '\ud83d', '"error":null,"cascade":{'],
  ];
  const body = fc.oneof(fc.jsonValue(), fc.constantFrom<unknown[]>(...hostile));
  const id = fc.oneof(fc.string(), fc.constantFrom('","response":{', ',"response":{', '\ud83d', '"\\'));
  fc.assert(
    fc.property(body, id, id, fc.boolean(), (answer, customId, own, annotate) => {
      const document = { job: jobOf({ customId }), rules: rulesOf({ annotate }) };
      const { first, copy, text } = copyOf(document, accepted(answer), own);
      const answerIn = (one: ResultLine): string => JSON.stringify(one.response);
      assert.equal(answerIn(copy), answerIn(first));
      assert.ok(text.includes(answerIn(copy).slice(0, 20)));
      assert.equal(copy.cascade?.copy_of, annotate ? first.custom_id : undefined);
      assert.deepEqual(Object.keys(copy), Object.keys(first));
    }),
  );
});

test('a line that is not as this version writes them is no answer to copy', () => {
  const rules = rulesOf();
  const { text } = resultOf({ job: jobOf(), rules }, accepted()).line;
  assert.notEqual(copiedAnswer(text, rules, null), null);
  for (const other of [
    '',
    '{}',
    text.slice(0, -3),
    text.replace('"attempts"', '"tries"'),
    text.replace('"custom_id":"doc-0"', '"custom_id":null'),
    text.replace(/,"cascade".*$/s, '}'),
  ]) {
    assert.equal(copiedAnswer(other, rules, null), null, other);
  }
});
