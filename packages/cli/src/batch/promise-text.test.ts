import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isInDoubt, promiseLines, promiseMark } from './promise-text.ts';
import type { BatchReport } from './report-object.ts';

type Threshold = BatchReport['thresholds'][number];
type Audit = BatchReport['audits'][number];

const stage = { model: 'small', accept_at: 0.7769892699095985, allowed: 8, disagreements: 7 };
const certified: Threshold = {
  cascade: 'invoices',
  promise: { agreement: 0.95, certainty: 0.95, otherwise: 'expert' },
  budget: null,
  outcome: 'certified',
  reason: null,
  sampled: 264,
  expert_share: 0.345,
  stages: [stage],
};
const audit: Audit = {
  cascade: 'invoices',
  at_most: 0.05,
  chosen: 34,
  done: 11,
  disagreed: 7,
  bounds: { low: 0.2321, high: 0.9327 },
  alarm: { audits: 6 },
};

test('what was promised, and by what it was shown', () => {
  const words = (change: Partial<Threshold>): string | undefined =>
    promiseLines({ thresholds: [{ ...certified, ...change }], audits: [] })[0];
  assert.equal(
    words({}),
    'promise: certified: at least 95 % of the answers say what the expert would, with 95 % certainty. Shown by a sample ' +
      'of 264 (7 of 8 disagreements that it may show); drafts of small are final from a confidence of 0.777 on',
  );
  assert.match(
    words({ outcome: 'sampling' }) ?? '',
    /with 95 % certainty; a sample of 264 documents is answered first/,
  );
  const failed = { outcome: 'not_certified', reason: 'batch_too_small', stages: [{ ...stage, accept_at: null }] };
  assert.match(
    words(failed) ?? '',
    /^promise: NOT certified \(a sample that could .*\), so all of it is answered by the/,
  );
  const effort = { agreement: 0.999, certainty: 0.95, otherwise: 'best_effort' };
  assert.match(
    words({ outcome: 'not_certified', reason: 'disagreements', promise: effort }) ?? '',
    /nothing is promised; by the best guess drafts of small .* Wished for was: at least 99.9 % of the answers say/,
  );
  assert.match(words({ outcome: 'not_certified', reason: 'of tomorrow' }) ?? '', /NOT certified \(of tomorrow\)/);
  const accuracy = { accuracy: 0.9, certainty: 0.95, otherwise: 'expert' };
  assert.match(words({ promise: accuracy }) ?? '', /at least 90 % of the answers are right/);
  const budget = { promise: null, budget: { expert_share: 0.2 } };
  assert.equal(
    words(budget),
    'budget: about 20 % to the expert; drafts of small are final from a confidence of 0.777 on',
  );
  const two = promiseLines({ thresholds: [certified, { ...certified, cascade: 'letters' }], audits: [] });
  assert.match(two[1] ?? '', /^promise of letters: /);
});

test('an audit says what it found; an alarm, and a best effort without a certificate, leave the answers in doubt', () => {
  const [line] = promiseLines({ thresholds: [], audits: [audit] });
  assert.equal(
    line,
    'audit: ALARM: 7 of 11 accepted drafts disagree with the expert, so 23–93 % of all accepted ones do, and 5 % may; ' +
      '23 more were to be asked',
  );
  const calm = { ...audit, disagreed: 0, done: 34, bounds: { low: 0, high: 0.1 }, alarm: null };
  assert.deepEqual(promiseLines({ thresholds: [], audits: [calm, { ...calm, chosen: 0, done: 0 }] }), [
    'audit: 0 of 34 accepted drafts disagree with the expert, so 0–10 % of all accepted ones do',
  ]);
  const isDoubted = (thresholds: Threshold[], audits: Audit[]): boolean => isInDoubt({ thresholds, audits });
  assert.deepEqual([isDoubted([certified], [calm]), isDoubted([certified], [audit])], [false, true]);
  const effort = { agreement: 0.95, certainty: 0.95, otherwise: 'best_effort' };
  assert.equal(isDoubted([{ ...certified, outcome: 'not_certified', promise: effort }], []), true);
  assert.equal(isDoubted([{ ...certified, outcome: 'not_certified' }], []), false, 'the expert answers all of it');
});

test('in a table it is a word or two', () => {
  assert.equal(promiseMark({ thresholds: [], audits: [] }), '');
  assert.equal(promiseMark({ thresholds: [certified], audits: [audit] }), '95 %, ALARM');
  assert.equal(
    promiseMark({ thresholds: [{ ...certified, outcome: 'not_certified' }], audits: [] }),
    '95 % not certified',
  );
});
