import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  acceptedDraftOf,
  answeredAt,
  answerOf,
  draftOf,
  FAILURE,
  jobOf,
  rulesOf,
} from '../../../../test/support/jobs.ts';
import { NO_COUNTS, stageCounter } from '../accounting/counts.ts';
import type { AuditRule } from '../cascade/audit-rule.ts';
import { withDraft, type Ending } from '../document/index.ts';
import { resultOf } from '../document/result.ts';
import { isAuditDrawn } from './draw.ts';
import { auditedJob, auditEntryOf } from './job.ts';
import {
  alarmedCascades,
  auditNanoUsd,
  auditsOf,
  newAlarms,
  withEntries,
  withRecord,
  type AuditEntry,
} from './ledger.ts';
import { shownAudits } from './shown.ts';
import { promisedAudit } from './terms.ts';

const rule: AuditRule = { share: 0.5, onAlarm: 'report', atMost: 0.05, certainty: 0.95 };
const rules = rulesOf({ audit: rule, prices: [null, { input: 10, output: 20 }] });
const said = (content: string) =>
  answerOf({ body: { choices: [{ index: 0, message: { role: 'assistant', content } }] } });
const accepted = (content: string): Ending => ({ kind: 'accepted', draft: acceptedDraftOf({ answer: said(content) }) });
const entryOf = (document: number, outcome: AuditEntry['outcome'], cascade = 'test'): AuditEntry => ({
  document,
  cascade,
  outcome,
  inputTokens: 3,
  outputTokens: 2,
  nanoUsd: 7,
});

test('a share of the documents is drawn, all over a batch, and another of another batch', () => {
  const drawn = (batch: string) =>
    Array.from({ length: 4_000 }, (_, document) => isAuditDrawn({ batch, document }, 0.1));
  const one = drawn('a');
  for (let from = 0; from < 4_000; from += 1_000) {
    const share = one.slice(from, from + 1_000).filter(Boolean).length / 1_000;
    assert.ok(share > 0.06 && share < 0.14, String(share));
  }
  const both = drawn('b').filter((isDrawn, at) => isDrawn && one[at]).length;
  assert.ok(both < 100, String(both));
  assert.equal(isAuditDrawn({ batch: 'a', document: 1 }, 1), true);
});

test('what is chosen is counted with the result: accepted drafts only, and only where the cascade has an audit', () => {
  const counter = stageCounter('test', 0, 'auditsChosen');
  const chosen = (ending: Ending, own = rules, document = 0) =>
    resultOf({ job: jobOf({ document }), rules: own }, ending).counts[counter] ?? 0;
  const all = { ...rules, audit: { ...rule, share: 1 } };
  assert.equal(chosen(accepted('yes'), all), 1);
  assert.equal(chosen(accepted('yes'), rulesOf()), 0);
  const escalated = { ...withDraft(jobOf(), draftOf()), stage: 1 };
  assert.equal(
    resultOf({ job: escalated, rules: all }, answeredAt(0, 1)).counts[stageCounter('test', 1, 'auditsChosen')],
    undefined,
  );
  const half = Array.from({ length: 200 }, (_, document) => chosen(accepted('yes'), rules, document));
  const drawn = Array.from({ length: 200 }, (_, document) => Number(isAuditDrawn(jobOf({ document }), 0.5)));
  assert.deepEqual(half, drawn);
});

test('the expert is asked from scratch, and what it says is compared with the draft', () => {
  const document = { job: { ...jobOf(), sampled: true, attempts: [] }, rules };
  const job = auditedJob(document, accepted('{"a": 1, "b": 2}'), 5_000);
  assert.ok(job !== null);
  assert.deepEqual([job.stage, job.drafts, job.sampled, job.waitingSinceMs], [1, [], false, 5_000]);
  assert.deepEqual(job.audit, { draft: '{"a": 1, "b": 2}' });
  assert.equal(auditedJob(document, answeredAt(0, 1), 5_000), null);
  const entry = (ending: Ending) => auditEntryOf({ job, rules }, ending);
  assert.deepEqual(entry(answeredAt(0, 1, said('{"b":2,"a":1}'))), {
    document: 0,
    cascade: 'test',
    outcome: 'agreed',
    inputTokens: 100,
    outputTokens: 10,
    nanoUsd: 1_200_000,
  });
  assert.equal(entry(answeredAt(0, 1, said('{"b":2,"a":2}'))).outcome, 'disagreed');
  const judged = { ...answeredAt(0, 1, said('other words')), sameAs: [0] } as Ending;
  assert.equal(entry(judged).outcome, 'agreed', 'the expert says that it means the same');
  const refused: Ending = { ...answeredAt(0, 1), answer: answerOf({ status: 400, body: {} }) } as Ending;
  assert.equal(entry(refused).outcome, 'unanswered');
  const error = { code: 'server_error', message: 'no' };
  assert.equal(entry({ kind: 'failed', error, why: FAILURE, startedAtMs: 0, endedAtMs: 1 }).outcome, 'unanswered');
});

test('audits add up in their order, and what a record says of an alarm stays', () => {
  const both = { test: { audit: rule }, other: { audit: { ...rule, atMost: 0.9 } }, none: {} };
  const wrong = Array.from({ length: 12 }, (_, at) => entryOf(at, 'disagreed'));
  const more = [entryOf(20, 'unanswered'), entryOf(21, 'agreed', 'other'), entryOf(22, 'disagreed', 'none')];
  const audits = withEntries({}, [...wrong, ...more], both);
  assert.deepEqual([audits['test']?.audit.audits, audits['test']?.unanswered, audits['none']], [12, 1, undefined]);
  assert.equal(auditNanoUsd(audits), 14 * 7);
  assert.deepEqual([newAlarms(audits), alarmedCascades(audits)], [['test'], []]);
  const written = withRecord({}, { entries: [...wrong, ...more], alarms: ['test'], atMs: 9 }, both);
  assert.deepEqual([newAlarms(written), alarmedCascades(written)], [[], ['test']]);
  // Rules of a later version may not see it: it was told.
  const later = auditsOf([{ entries: [entryOf(1, 'agreed')], alarms: ['test'], atMs: 3 }], both);
  assert.deepEqual([later['test']?.alarmAtMs, later['test']?.audit.alarmAt], [3, 1]);
});

test('audits in records come to the same however they are split', () => {
  const outcome = fc.constantFrom<AuditEntry['outcome']>('agreed', 'disagreed', 'unanswered');
  fc.assert(
    fc.property(fc.array(outcome, { maxLength: 60 }), fc.integer({ min: 0, max: 60 }), (outcomes, cut) => {
      const entries = outcomes.map((one, document) => entryOf(document, one));
      const records = [entries.slice(0, cut), entries.slice(cut)].map((some) => ({
        entries: some,
        alarms: [],
        atMs: 0,
      }));
      assert.deepEqual(auditsOf(records, { test: rules }), withEntries({}, entries, { test: rules }));
    }),
  );
});

test('a certified promise leaves the accepted drafts what it leaves all answers, over their share', () => {
  const promise = { agreement: 0.95, certainty: 0.9 };
  const { atMost, certainty, share, onAlarm } = promisedAudit(rule, promise, 0.75);
  assert.ok(Math.abs(atMost - 0.2) < 1e-9);
  assert.deepEqual([certainty, share, onAlarm], [0.9, rule.share, rule.onAlarm]);
  assert.equal(promisedAudit(rule, { agreement: 0.1, certainty: 0.9 }, 0.5).atMost, 1);
  assert.equal(promisedAudit(rule, promise, 1).atMost, 1, 'nothing is accepted');
  assert.ok(Math.abs(promisedAudit(rule, promise, null).atMost - 0.05) < 1e-9);
});

test('what is shown adds up, also where the counts of the results are behind', () => {
  const entries = [entryOf(1, 'agreed'), entryOf(2, 'disagreed'), entryOf(3, 'unanswered')];
  const audits = auditsOf([{ entries, alarms: [], atMs: 0 }], { test: rules });
  const shown = (chosen: number) =>
    shownAudits(
      audits,
      { ...NO_COUNTS, [stageCounter('test', 0, 'auditsChosen')]: chosen },
      { test: rules, other: rulesOf() },
    );
  const [known, ...others] = shown(10);
  assert.deepEqual(others, []);
  assert.deepEqual(
    [known?.chosen, known?.done, known?.agreed, known?.disagreed, known?.not_done, known?.rate, known?.alarm],
    [10, 2, 1, 1, 8, 0.5, null],
  );
  assert.deepEqual([shown(0)[0]?.chosen, shown(0)[0]?.not_done], [3, 1]);
  const [nothing] = shownAudits({}, NO_COUNTS, { test: rules });
  assert.deepEqual([nothing?.rate, nothing?.bounds, nothing?.usd], [null, { low: 0, high: 1 }, 0]);
});
