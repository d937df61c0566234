import assert from 'node:assert/strict';
import { test } from 'node:test';
import { calibrationArtefact, seededRandom, type SignalSpec } from '@spillway/core';
import { fit, judgeDrafts } from './judge.ts';
import type { LabelledDraft } from './labelled.ts';
import { reportPage } from './page.ts';
import { makeReport } from './report.ts';
import { chooseThreshold } from './thresholds.ts';

const SUM: SignalSpec = { name: 'sum_logprob' };

/** Drafts that are right with the probability exp(score), if the score says anything. */
function drafts(count: number, more: Partial<LabelledDraft> & { readonly tells?: boolean } = {}): LabelledDraft[] {
  const { tells = true, ...fixed } = more;
  const random = seededRandom(11);
  return Array.from({ length: count }, (_, at) => {
    const p = 0.2 + 0.8 * random();
    const right = random() < (tells ? p : 0.6);
    return {
      customId: `doc-${at}`,
      draft: right ? 'yes' : 'no',
      wanted: 'yes',
      score: Math.log(p),
      features: null,
      format: 'text',
      right,
      expertRight: true,
      isExpertAsked: true,
      isAcceptedToday: p >= 0.8,
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
  assert.ok(row !== null && (row.accuracy ?? 0) >= 0.9 && row.escalated < 0.75);
  assert.ok((row.usd_per_1000 ?? 0) < 1_000 * (1e-5 + 1e-4));
  const share = chooseThreshold(judged.thresholds, { expertShare: 0.3 });
  assert.ok(share !== null && share.escalated <= 0.3 && share.escalated > 0.25);
  for (const { escalated, accuracy } of judged.curves?.oracle ?? assert.fail())
    assert.ok(accuracy <= 1 && escalated <= 1);
});

test('does not pay: confidence at chance, or a drafter as good as the expert', () => {
  const chance = verdict(drafts(4_000, { tells: false }));
  assert.equal(chance.kind, 'does_not_pay');
  assert.match(chance.why, /^the confidence is at chance, its gain is -?\d\.\d % \(-\d\.\d % to \d\.\d %\)/);
  const asGood = verdict(drafts(600).map((draft) => ({ ...draft, expertRight: draft.right })));
  assert.deepEqual([asGood.kind, asGood.recommended], ['does_not_pay', null]);
  assert.match(asGood.why, /as good as the expert/);
});

test('what an interval does not decide is not called chance: it cannot be judged, and so many labels may decide it', () => {
  const { kind, why } = verdict(drafts(100, { tells: false }));
  assert.equal(kind, 'cannot_be_judged');
  assert.match(why, /the interval of its gain, -\d+\.\d % to \d+\.\d %, decides nothing; take about \d+ labels$/);
  const close = drafts(100).map((draft, at) => ({ ...draft, right: at % 10 > 1, expertRight: at % 11 > 1 }));
  assert.match(verdict(close).why, /^whether the expert is better than the drafter is open, by .*; take .* labels$/);
});

test('more of the same labels decide what few could not', () => {
  const few = verdict(drafts(60));
  const needed = Number(/take about (\d+)/.exec(few.why)?.[1]);
  if (few.kind === 'cannot_be_judged') assert.notEqual(verdict(drafts(needed)).kind, 'cannot_be_judged');
  else assert.equal(few.kind, 'pays_at_less');
});

test('the verdict weighs the money of the threshold that would be set', () => {
  // 99 % of the expert's accuracy needs nine of ten escalated, and a draft costs a fifth of an answer.
  const less = judgeDrafts(SUM, 'auto', drafts(1_500, { draftUsd: 2e-5 }));
  assert.equal(less.verdict.kind, 'pays_at_less');
  const { recommended } = less.verdict;
  assert.ok(recommended !== null && (recommended.saved ?? 0) > 0.2 && (recommended.intervals.saved?.[0] ?? 0) > 0);
  const [low, high] = recommended.intervals.accuracy ?? assert.fail();
  assert.ok(low < (recommended.accuracy ?? 0) && (recommended.accuracy ?? 0) < high && high - low < 0.05);
  assert.match(
    less.verdict.why,
    /^not with an accuracy of 99\.0 % .*: .* more than the expert alone\. At accept_at [\d.]+: [\d.]+ % escalated; accuracy .*; saves [\d.]+ % \(.*\)$/,
  );
  const dear = judgeDrafts(SUM, 'auto', drafts(1_500, { draftUsd: 1.2e-4 }));
  assert.deepEqual([dear.verdict.kind, dear.verdict.recommended], ['does_not_pay', null]);
  assert.match(dear.verdict.why, /more than the expert alone, and no other threshold saves money$/);
  const cheap = judgeDrafts(SUM, 'auto', drafts(1_500, { draftUsd: 1e-6 }), { wish: { accuracy: 0.9 } });
  assert.equal(cheap.verdict.kind, 'pays');
  assert.equal(cheap.verdict.recommended?.accept_at, cheap.chosen?.accept_at);
  const unpriced = judgeDrafts(SUM, 'auto', drafts(1_500, { draftUsd: null }), { wish: { accuracy: 0.9 } });
  assert.match(unpriced.verdict.why, /what it saves is not known$/);
});

test('whatever drafts cost, what is recommended costs less than the expert alone', () => {
  for (const draftUsd of [1e-6, 1e-5, 3e-5, 5e-5, 7e-5, 9e-5, 2e-4]) {
    const judged = judgeDrafts(SUM, 'platt', drafts(400, { draftUsd }));
    const { kind, recommended } = judged.verdict;
    assert.equal(recommended !== null, kind === 'pays' || kind === 'pays_at_less');
    if (recommended === null) continue;
    assert.ok((recommended.usd_per_1000 ?? Infinity) < (judged.all_expert_usd_per_1000 ?? 0), `${draftUsd}`);
  }
});

test('by labels alone only the drafter is judged: nothing is assumed of an expert that was not asked', () => {
  const unasked = { expertRight: null, isExpertAsked: false, expertUsd: null };
  const given = drafts(500).map((draft) => (draft.isAcceptedToday ? { ...draft, ...unasked } : draft));
  const judged = judgeDrafts(SUM, 'auto', given, { wish: { accuracy: 0.9 } });
  assert.equal(judged.verdict.kind, 'drafter_only');
  assert.match(
    judged.verdict.why,
    /^its score tells right from wrong \(AUROC .*\); the expert was not asked about \d+ of the 500 labelled documents, .*--sample N --labels FILE$/,
  );
  const { expert_accuracy: expert, gain, curves, auroc, after } = judged;
  assert.deepEqual([expert, gain.value, curves, judged.all_expert_usd_per_1000], [null, null, null, null]);
  assert.ok((auroc.value ?? 0) > 0.7 && after.ece < 0.1);
  assert.match(judged.wish ?? '', /an accuracy of 90\.0 % among the accepted drafts/);
  assert.ok((judged.chosen?.accepted_right ?? 0) >= 0.9);
  assert.equal(judgeDrafts(SUM, 'auto', given).chosen, null);
  const silent = drafts(500, { expertRight: null });
  assert.match(verdict(silent).why, /of 500 of the 500 documents the labels do not say whether the expert is right/);
  assert.match(verdict(drafts(60, { ...unasked, tells: false })).why, /cannot be said \(AUROC .*; take .* labels\)/);
});

test('cannot be judged: too few labels, one class, constant scores, no evidence', () => {
  const why = (given: readonly LabelledDraft[]): string => {
    const { kind, why: text } = verdict(given);
    return `${kind}: ${text}`;
  };
  assert.match(why(drafts(30)), /cannot_be_judged: 30 labels with evidence are too few/);
  assert.match(why(drafts(1)), /cannot_be_judged: 1 labels with evidence are too few/);
  assert.match(why(drafts(200, { right: true, expertRight: true })), /cannot_be_judged: all drafts are right/);
  assert.match(why(drafts(200, { score: -0.5 })), /cannot_be_judged: all scores are the same/);
  assert.match(why(drafts(200, { score: null })), /cannot_be_judged: no draft has evidence/);
  assert.equal(fit(SUM, 'auto', drafts(10, { score: null })), null);
});

test('the page holds everything, escapes what it shows, and needs nothing from outside', () => {
  const subject = {
    cascade: '<script>alert(1)</script>',
    batch: 'batch_1',
    sample: 'batch_2',
    accept_at: 0.8,
    stage: 2,
    ask: 'answer' as const,
    accept_before: [0.95],
    drafter: 'small',
    expert: 'large',
    server: 'a1b2c3d4e5f6',
    signal: SUM,
    basis: 'agreement',
  };
  const others = [{ signal: { name: 'entropy' } as const, drafts: drafts(400) }];
  const options = { method: 'auto', wish: { accuracy: 0.95 }, now: new Date(0) } as const;
  const { report, artefact } = makeReport(subject, { drafts: drafts(400), others }, options);
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
  assert.equal(page.match(/<svg/g)?.length, 4);
  assert.ok(!page.includes('NaN') && !page.includes('undefined'));
  assert.equal(page.match(/<rect /g)?.length, 10, 'how many drafts are so sure');
  assert.match(page, /<text [^>]*>40<\/text>/, 'each bin says how many it has');
  assert.match(page, /0\.8 \(today, as the batch was decided\)/);
  assert.match(page, /← chosen/);
  assert.match(page, /\{&#34;name&#34;:&#34;entropy&#34;\}<\/code><td>0\.\d+ \(0\.\d+ to 0\.\d+\)/);
  assert.match(page, /--from batch_2 --signal/);
  assert.equal(report.judgement.sure_and_wrong.length, 10);
  assert.match(page, /Sure and wrong[\s\S]*<td>doc-\d+<td>0\.9\d+<td>no<td>yes/);
  const unasked = makeReport(subject, { drafts: drafts(400, { expertRight: null, isExpertAsked: false }) }, options);
  const partial = reportPage(unasked.report);
  assert.match(partial, /Only the drafter is judged/);
  assert.match(partial, /400 of 400, of which it was not asked about 400/);
  assert.equal(partial.match(/<svg/g)?.length, 2);
  assert.ok(unasked.artefact !== null, 'a calibration needs no expert');
  const nothing = makeReport(subject, { drafts: drafts(20) }, options);
  assert.equal(nothing.artefact, null);
  assert.match(reportPage(nothing.report), /It cannot be judged/);
});

test('a calibration says what the answers were asked to be that it learnt from, and nothing where a line does not', () => {
  const subject = {
    cascade: 'a',
    batch: 'batch_1',
    sample: 'batch_2',
    accept_at: 0.8,
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
    const { report, artefact } = makeReport(
      { ...subject, accept_before: [] },
      { drafts: [...drafts(100), ...more] },
      {
        method: 'platt',
        wish: null,
        now: new Date(0),
      },
    );
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
