import assert from 'node:assert/strict';
import { test } from 'node:test';
import { calibrationArtefact, seededRandom, type SignalSpec } from '@spillway/core';
import { chooseThreshold, fit, judgeDrafts, type LabelledDraft } from './judge.ts';
import { reportPage } from './page.ts';
import { makeReport } from './report.ts';

const SUM: SignalSpec = { name: 'sum_logprob' };

/** Drafts that are right with the probability exp(score), if the score says anything. */
function drafts(count: number, more: Partial<LabelledDraft> & { readonly tells?: boolean } = {}): LabelledDraft[] {
  const { tells = true, ...fixed } = more;
  const random = seededRandom(11);
  return Array.from({ length: count }, () => {
    const p = 0.2 + 0.8 * random();
    const right = random() < (tells ? p : 0.6);
    return {
      score: Math.log(p),
      features: null,
      format: 'text',
      right,
      expertRight: true,
      isExpertAssumed: false,
      draftUsd: 1e-5,
      expertUsd: 1e-4,
      ...fixed,
    };
  });
}

const verdict = (given: readonly LabelledDraft[]) => judgeDrafts(SUM, 'auto', given).verdict;

test('pays: the signal tells right from wrong, and a threshold keeps what was wished for', () => {
  const judged = judgeDrafts(SUM, 'auto', drafts(1_500));
  assert.equal(judged.verdict.kind, 'pays');
  assert.ok((judged.gain.value ?? 0) > 0.2 && judged.after.ece < 0.05);
  const [none] = judged.thresholds;
  assert.deepEqual([none?.accept_at, none?.escalated], [0, 0]);
  const row = chooseThreshold(judged.thresholds, { accuracy: 0.9 });
  assert.ok(row !== null && row.accuracy >= 0.9 && row.escalated < 0.75);
  assert.ok((row.usd_per_1000 ?? 0) < 1_000 * (1e-5 + 1e-4));
  const share = chooseThreshold(judged.thresholds, { expertShare: 0.3 });
  assert.ok(share !== null && share.escalated <= 0.3 && share.escalated > 0.25);
  for (const { escalated, accuracy } of judged.curves.oracle) assert.ok(accuracy <= 1 && escalated <= 1);
});

test('does not pay: confidence at chance, or a drafter as good as the expert', () => {
  assert.match(verdict(drafts(600, { tells: false })).why, /at chance/);
  const asGood = drafts(600).map((draft) => ({ ...draft, expertRight: draft.right }));
  assert.match(verdict(asGood).why, /as good as the expert/);
});

test('cannot be judged: too few labels, one class, constant scores, no evidence', () => {
  const why = (given: readonly LabelledDraft[]): string => {
    const { kind, why: text } = verdict(given);
    return `${kind}: ${text}`;
  };
  assert.match(why(drafts(30)), /cannot_be_judged: 30 labels with evidence are too few/);
  assert.match(why(drafts(200, { right: true, expertRight: true })), /cannot_be_judged: all drafts are right/);
  assert.match(why(drafts(200, { score: -0.5 })), /cannot_be_judged: all scores are the same/);
  assert.match(why(drafts(200, { score: null })), /cannot_be_judged: no draft has evidence/);
  assert.equal(fit(SUM, 'auto', drafts(10, { score: null })), null);
});

test('the page holds everything, escapes what it shows, and needs nothing from outside', () => {
  const subject = {
    cascade: '<script>alert(1)</script>',
    batch: 'batch_1',
    stage: 2,
    ask: 'answer' as const,
    accept_before: [0.95],
    drafter: 'small',
    expert: 'large',
    server: 'a1b2c3d4e5f6',
    signal: SUM,
    basis: 'agreement',
  };
  const options = { method: 'auto', wish: { accuracy: 0.95 }, now: new Date(0) } as const;
  const { report, artefact } = makeReport(subject, drafts(400), options);
  assert.equal(artefact?.measured.ece, report.judgement.after.ece);
  assert.deepEqual([artefact?.v, artefact?.stage, artefact?.ask, artefact?.accept_before], [2, 2, 'answer', [0.95]]);
  assert.ok(calibrationArtefact.safeParse(artefact).success);
  assert.deepEqual(artefact?.made_with, { server: 'a1b2c3d4e5f6', formats: ['text'] });
  assert.deepEqual(report.made_with, artefact.made_with);
  assert.ok(!('server' in report));
  const page = reportPage(report);
  assert.match(page, /<\/b>, stage 2<\/h1>/);
  assert.match(page, /Made with the model server <code>a1b2c3d4e5f6<\/code>; response_format: text\./);
  assert.ok(!page.includes('<script') && !/(src|href)=/.test(page) && page.includes('&#60;script&#62;'));
  assert.equal(page.match(/<svg/g)?.length, 3);
  assert.ok(!page.includes('NaN') && !page.includes('undefined'));
  const assumed = makeReport(subject, drafts(400, { isExpertAssumed: true }), options);
  assert.match(reportPage(assumed.report), /expert taken to be right<td colspan="2">400 of 400/);
  const nothing = makeReport(subject, drafts(20), options);
  assert.equal(nothing.artefact, null);
  assert.match(reportPage(nothing.report), /It cannot be judged/);
});

test('a calibration says what the answers were asked to be that it learnt from, and nothing where a line does not', () => {
  const subject = {
    cascade: 'a',
    batch: 'batch_1',
    stage: 1,
    ask: 'answer',
    accept_before: [],
    drafter: 'small',
    expert: 'large',
    server: 'a1b2c3d4e5f6',
    signal: SUM,
    basis: 'agreement',
  } as const;
  const made = (...more: readonly LabelledDraft[]) => {
    const { report, artefact } = makeReport({ ...subject, accept_before: [] }, [...drafts(100), ...more], {
      method: 'platt',
      wish: null,
      now: new Date(0),
    });
    assert.deepEqual(artefact?.made_with, report.made_with);
    assert.ok(calibrationArtefact.safeParse(artefact).success);
    return { formats: report.made_with.formats, page: reportPage(report) };
  };
  const json = drafts(3, { format: 'json_schema' });
  assert.deepEqual(made(...json, ...drafts(1, { format: 'json_object' })).formats, [
    'json_object',
    'json_schema',
    'text',
  ]);
  const unknown = made(...drafts(1, { format: null }));
  assert.equal(unknown.formats, null);
  assert.match(unknown.page, /an older Spillway wrote the lines/);
  const without = { format: 'json_schema', score: null } as const;
  assert.deepEqual(made(...drafts(3, without)).formats, ['text'], 'of drafts without evidence nothing is learnt');
});
