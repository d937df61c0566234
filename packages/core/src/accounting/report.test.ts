import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { answeredAt, attemptOf, draftOf, jobOf, rulesOf, threeStageRules } from '../../../../test/support/jobs.ts';
import { endedDocuments } from '../../../../test/support/passages.ts';
import { roleOf, ruledFields, stageOf, type CascadeRules } from '../cascade/rules.ts';
import { shownThreshold } from '../cascade/thresholds.ts';
import { withDraft } from '../document/job.ts';
import { nextStageJob } from '../document/next-stage.ts';
import { resultOf } from '../document/result.ts';
import { addCounts, NO_COUNTS, type Counts } from './counts.ts';
import { reportOf, type Account, type ReportedStage } from './report.ts';
import { Waits } from './waits.ts';

/** The stages of a cascade as a report takes them. */
const stagesOf = (cascade: string, rules: CascadeRules): ReportedStage[] =>
  rules.stages.map(({ model, ask, judge }, stage) => {
    const calibrated = judge === null ? null : judge.confidence.calibration !== null;
    return {
      cascade,
      stage,
      model,
      ask,
      role: roleOf(rules, stage),
      calibrated,
      acceptAt: judge === null ? null : shownThreshold(judge.acceptAt),
      ruledFields: ruledFields(rules, stage),
    };
  });

const STAGES: readonly ReportedStage[] = [
  {
    cascade: 'a',
    stage: 0,
    model: 'small',
    role: 'drafter',
    ask: 'answer',
    calibrated: true,
    acceptAt: 0.9,
    ruledFields: [],
  },
  {
    cascade: 'a',
    stage: 1,
    model: 'large',
    role: 'expert',
    ask: 'answer',
    calibrated: null,
    acceptAt: null,
    ruledFields: ['/total', '/type'],
  },
];

/** Ten documents, three of them escalated: a draft takes 10 ms, the expert 40 ms. */
function account(): Account {
  const waits = new Waits();
  for (let at = 0; at < 10; at += 1) {
    const escalated = at < 3;
    const drafted = { queueMs: escalated ? 5 : 8, callMs: 10, handOffMs: escalated ? 1 : null };
    const answered = { queueMs: 4, callMs: 40, handOffMs: null };
    waits.add({
      cascade: 'a',
      times: {
        stages: escalated ? [drafted, answered] : [drafted],
        sequentialMs: escalated ? 20 : null,
        totalMs: escalated ? 60 : 15,
      },
    });
  }
  const counts: Counts = {
    ...NO_COUNTS,
    'a/1/confidence:30': 8,
    completed: 9,
    failed: 1,
    accepted: 7,
    escalated: 3,
    allExpertNanoUsd: 10_000_000,
    'a/1/accepted': 7,
    'a/1/escalated': 3,
    'a/1/reason:low_confidence': 1,
    'a/1/reason:no_label': 2,
    'error/400': 1,
    'a/1/inputTokens': 50,
    'a/1/nanoUsd': 1_000_000,
    'a/1/wastedNanoUsd': 300_000,
    'a/1/wastedInputTokens': 20,
    'a/1/wastedOutputTokens': 6,
    'a/2/answered': 2,
    'a/2/failed': 1,
    'a/2/nanoUsd': 3_000_000,
  };
  const said = { 'a/1/reason:no_label': 'Well, maybe', 'error/400': 'too long' };
  return { total: 12, stages: STAGES, counts, said, waits };
}

test('a report says what was, what it cost, and what one model alone would have cost', () => {
  const report = reportOf(account());
  assert.deepEqual(report.documents, {
    total: 12,
    completed: 9,
    failed: 1,
    accepted: 7,
    escalated: 3,
    copied: 0,
    kept: 0,
    unfinished: 2,
  });
  assert.deepEqual(report.saved_by_copies, { documents: 0, input_tokens: 0, output_tokens: 0, usd: 0 });
  assert.equal(report.escalated_share, 0.3);
  assert.equal(report.sequential_wait.ms.count, 3);
  assert.equal(report.sequential_wait.ms.mean, 20);
  assert.equal(report.sequential_wait.share_of_time, 0.3333);
  assert.deepEqual(report.sequential_wait.mean_parts_ms, [
    { cascade: 'a', stage: 1, queue: 5, delays: {}, call: 10, hand_off: 1 },
    { cascade: 'a', stage: 2, queue: 4, delays: {}, call: null, hand_off: null },
  ]);
  assert.deepEqual(report.wasted, { drafter_seconds: 0.03, input_tokens: 20, output_tokens: 6, usd: 0.0003 });
  assert.deepEqual(report.counterfactuals, {
    cascade: { usd: 0.004, inference_seconds: 0.22, mean_inference_ms: 22 },
    all_expert: { usd: 0.01, inference_seconds: 0.4, mean_inference_ms: 40 },
    all_drafter: { usd: 0.001, inference_seconds: 0.1, mean_inference_ms: 10 },
  });
  assert.deepEqual(report.break_even, {
    time: { escalated_share: 0.75, pays: true },
    money: { escalated_share: 0.9, pays: true },
  });
  const [first, last] = report.stages;
  const { queue_wait_ms: queue, delay_ms: delays, inference_ms: calls, ...own } = first ?? assert.fail();
  assert.deepEqual(delays, {});
  assert.deepEqual(own, {
    cascade: 'a',
    stage: 1,
    model: 'small',
    role: 'drafter',
    ask: 'answer',
    calibrated: true,
    accept_at: 0.9,
    reasons: [
      { reason: 'no_label', count: 2, said: 'Well, maybe' },
      { reason: 'low_confidence', count: 1, said: null },
    ],
    confidences: [{ from: 0.6, to: 0.62, drafts: 8 }],
    documents: { accepted: 7, escalated: 3, skipped: 0, answered: 0, failed: 0, kept: 0 },
    inference_seconds: 0.1,
    input_tokens: 50,
    cached_tokens: 0,
    output_tokens: 0,
    usd: 0.001,
    stopped_early: { documents: 0, output_tokens: 0, saved_output_tokens: 0 },
    reuse: {
      documents: 0,
      whole: 0,
      input_tokens: 0,
      output_tokens: 0,
      usd: 0,
      instead: { input_tokens: 0, output_tokens: 0, usd: 0 },
      fields: [],
      saved_seconds: null,
    },
    asked_whole: [],
  });
  assert.deepEqual([queue.count, queue.mean, calls.count, calls.mean], [10, 7.1, 10, 10]);
  assert.deepEqual([last?.role, last?.documents.answered, last?.documents.failed, last?.usd], ['expert', 2, 1, 0.003]);
  assert.deepEqual([report.latency_ms.accepted.mean, report.latency_ms.escalated.mean], [15, 60]);
});

test('a report says what the use of drafts took, what whole answers would have, and why some were asked for', () => {
  const given = account();
  const counts = addCounts(given.counts, {
    'a/2/reused': 2,
    'a/2/reusedWhole': 1,
    'a/2/reusedInputTokens': 400,
    'a/2/reusedOutputTokens': 9,
    'a/2/reusedNanoUsd': 500_000,
    'a/2/reusedMs': 80,
    'a/2/insteadInputTokens': 180,
    'a/2/insteadOutputTokens': 40,
    'a/2/insteadNanoUsd': 900_000,
    'a/2/insteadMs': 230,
    'a/2/askedFields': 5,
    'a/2/field:1': 2,
    'a/2/asked:not_joined': 1,
    'a/2/asked:no_draft': 3,
  });
  const report = reportOf({ ...given, counts });
  assert.deepEqual(report.stages[1]?.reuse, {
    documents: 2,
    whole: 1,
    input_tokens: 400,
    output_tokens: 9,
    usd: 0.0005,
    instead: { input_tokens: 180, output_tokens: 40, usd: 0.0009 },
    fields: [
      { field: '/type', count: 2 },
      { field: null, count: 3 },
    ],
    saved_seconds: 0.15,
  });
  assert.deepEqual(report.stages[1]?.asked_whole, [
    { reason: 'no_draft', count: 3 },
    { reason: 'not_joined', count: 1 },
  ]);
  // The expert alone would have had no drafts to make use of: three calls of 120 ms and 150 ms more.
  assert.equal(report.counterfactuals.all_expert.mean_inference_ms, 90);
});

test('a report says how many drafts were given up, and about what they would have written on', () => {
  const own: Partial<Counts> = {
    'a/1/accepted': 4,
    'a/1/outputTokens': 4 * 20 + 6 * 5,
    'a/1/wastedOutputTokens': 6 * 5,
    'a/1/stopped': 6,
    'a/1/stoppedOutputTokens': 6 * 5,
  };
  const savedBy = (counts: Partial<Counts>) =>
    reportOf({ total: 10, stages: STAGES, counts: addCounts(NO_COUNTS, counts), said: {}, waits: new Waits() })
      .stages[0]?.stopped_early;
  assert.deepEqual(savedBy(own), { documents: 6, output_tokens: 30, saved_output_tokens: 6 * 15 });
  assert.equal(savedBy({ ...own, 'a/1/accepted': 0 })?.saved_output_tokens, null);
  const confirmed = { ...own, 'a/1/accepted': 1, 'a/1/confirmed': 3 };
  assert.equal(savedBy(confirmed)?.saved_output_tokens, 6 * 15, 'drafts that are final by a verdict are as long');
});

test('a draft that is final by a verdict is no waste, of money or of time', () => {
  const rules = rulesOf({ prices: [{ input: 1, output: 1 }, null] });
  const drafted = withDraft(jobOf({ cascade: 'c', stage: 0 }), draftOf({ attempts: [attemptOf()] }));
  const document = { job: nextStageJob({ job: drafted, rules }, 310), rules };
  const instead = { inputTokens: 90, outputTokens: 10, ms: 900 };
  const how = { kind: 'verdict', stage: 0, score: 0.9, confidence: 0.9, instead } as const;
  const span = { startedAtMs: 400, endedAtMs: 440 };
  const usage = { inputTokens: 120, cachedTokens: 0, outputTokens: 1, reasoningTokens: 0 };
  const { counts, ...times } = resultOf(document, { kind: 'confirmed', how, usage, extra: [], ...span });
  const waits = new Waits();
  waits.add(times);
  const sums = { counts: addCounts(NO_COUNTS, counts), said: {} };
  const report = reportOf({ total: 1, stages: stagesOf('c', rules), ...sums, waits });
  assert.deepEqual(report.wasted, { drafter_seconds: 0, input_tokens: 0, output_tokens: 0, usd: 0 });
  assert.deepEqual(report.stages[1]?.documents, {
    accepted: 1,
    escalated: 0,
    skipped: 0,
    answered: 0,
    failed: 0,
    kept: 0,
  });
  const { documents, whole, saved_seconds: saved } = report.stages[1]?.reuse ?? assert.fail();
  assert.deepEqual([documents, whole, saved], [1, 1, 0.86]);
  assert.equal(report.counterfactuals.all_expert.mean_inference_ms, 900);
});

test('copies count as documents and as what they saved; shares and what models would have cost are of the others', () => {
  const { counts, ...others } = account();
  const saved = { savedInputTokens: 120, savedOutputTokens: 30, savedNanoUsd: 5_000_000 };
  const report = reportOf({ ...others, total: 52, counts: { ...counts, completed: 49, copied: 40, ...saved } });
  const { documents, saved_by_copies: copies, ...rest } = report;
  assert.deepEqual(documents, { ...reportOf(account()).documents, total: 52, completed: 49, copied: 40 });
  assert.deepEqual(copies, { documents: 40, input_tokens: 120, output_tokens: 30, usd: 0.005 });
  const { documents: _, saved_by_copies: __, traces: ___, ...without } = reportOf(account());
  assert.deepEqual({ ...rest, traces: undefined }, { ...without, traces: undefined });
});

test('a report says why drafts went on and what failed, with what the servers said first', () => {
  const { stages, failures } = reportOf(account());
  assert.deepEqual(
    stages.map(({ calibrated, reasons }) => [calibrated, reasons]),
    [
      [
        true,
        [
          { reason: 'no_label', count: 2, said: 'Well, maybe' },
          { reason: 'low_confidence', count: 1, said: null },
        ],
      ],
      [null, []],
    ],
  );
  assert.deepEqual(failures, [{ status: 400, code: null, count: 1, said: 'too long' }]);
});

test('a cascade that does not pay is told so; what is not known is null', () => {
  const { counts, ...rest } = account();
  const much = reportOf({ ...rest, counts: { ...counts, accepted: 1, escalated: 9 } });
  assert.deepEqual(much.break_even.time, { escalated_share: 0.75, pays: false });
  const none = reportOf({ total: 0, stages: STAGES, counts: NO_COUNTS, said: {}, waits: new Waits() });
  assert.equal(none.escalated_share, null);
  assert.equal(none.sequential_wait.share_of_time, null);
  assert.deepEqual(none.break_even.time, { escalated_share: null, pays: null });
  assert.deepEqual(none.latency_ms.accepted, { count: 0, mean: null, p50: null, p95: null, p99: null });
  assert.equal(none.counterfactuals.all_expert.mean_inference_ms, null);
});

test('a break-even is a share, and agrees with the counterfactuals where drafts are dear or the expert reuses them', () => {
  const { counts, ...rest } = account();
  const dear = reportOf({ ...rest, counts: { ...counts, 'a/1/nanoUsd': 40_000_000 } });
  assert.deepEqual(dear.break_even.money, { escalated_share: 0, pays: false });
  // Nine of ten are escalated, and each is asked for a tenth of its answer: that is less than ten whole ones.
  const some = { accepted: 1, escalated: 9, 'a/2/answered': 9, 'a/2/failed': 0, 'a/2/nanoUsd': 900_000 };
  const reused = reportOf({ ...rest, counts: { ...counts, ...some } });
  assert.deepEqual(reused.break_even.money, { escalated_share: 1, pays: true });
  assert.ok(reused.counterfactuals.cascade.usd < reused.counterfactuals.all_expert.usd);
  const shadow = { accepted: 0, escalated: 10, 'a/1/reason:shadow_run': 9 };
  const run = reportOf({ ...rest, counts: { ...counts, ...shadow } });
  assert.deepEqual(
    [run.break_even.time.pays, run.break_even.money.pays],
    [null, null],
    'whoever has everything answered twice does not judge by it',
  );
});

test('three stages: each with its own, and no break-even, which only two have', () => {
  const prices = [1, 2, 10].map((price) => ({ input: price, output: price }));
  const rules = threeStageRules({ prices });
  const job = jobOf({ cascade: 'c' });
  const at2 = nextStageJob({ job: withDraft(job, draftOf()), rules }, 310);
  const attempts = [{ sinceMs: 310, startedAtMs: 400, endedAtMs: 450, error: null }];
  const at3 = nextStageJob({ job: withDraft(at2, draftOf({ model: 'medium', attempts })), rules }, 460);
  const { counts, ...times } = resultOf({ job: at3, rules }, answeredAt(1_000, 1_600));
  const waits = new Waits();
  waits.add(times);
  const sums = { counts: addCounts(NO_COUNTS, counts), said: {} };
  const report = reportOf({ total: 1, stages: stagesOf('c', rules), ...sums, waits });
  assert.deepEqual(
    report.stages.map(({ model, stage, usd, inference_seconds: seconds }) => [model, stage, usd, seconds]),
    [
      ['small', 1, 0.000_11, 0.2],
      ['medium', 2, 0.000_22, 0.05],
      ['large', 3, 0.001_1, 0.6],
    ],
  );
  assert.deepEqual(report.sequential_wait.mean_parts_ms, [
    { cascade: 'c', stage: 1, queue: 100, delays: {}, call: 200, hand_off: 10 },
    { cascade: 'c', stage: 2, queue: 90, delays: {}, call: 50, hand_off: 10 },
    { cascade: 'c', stage: 3, queue: 540, delays: {}, call: null, hand_off: null },
  ]);
  assert.equal(report.sequential_wait.ms.mean, 1_000);
  assert.deepEqual(report.wasted, { drafter_seconds: 0.25, input_tokens: 200, output_tokens: 20, usd: 0.000_33 });
  assert.deepEqual(report.break_even.time, { escalated_share: null, pays: null });
  assert.equal(report.counterfactuals.cascade.usd, 0.001_43);
  assert.equal(report.counterfactuals.all_expert.usd, 0.001_1);
});

test('what delayed documents is told by reason, and the parts of the sequential wait add up with it', () => {
  const waits = new Waits();
  const held = { queueMs: 10, delaysMs: { breaker: 900, back_off: 40 }, callMs: 20, handOffMs: 2 };
  const plain = { queueMs: 30, callMs: 20, handOffMs: 2 };
  const last = { queueMs: 8, delaysMs: { backpressure: 60 }, callMs: 50, handOffMs: null };
  waits.add({ cascade: 'a', times: { stages: [held, last], sequentialMs: 1_040, totalMs: 1_090 } });
  waits.add({ cascade: 'a', times: { stages: [plain, { ...last, delaysMs: {} }], sequentialMs: 60, totalMs: 110 } });
  waits.add({ cascade: 'a', times: { stages: [{ ...held, handOffMs: null }], sequentialMs: null, totalMs: 970 } });
  const report = reportOf({ ...account(), waits: Waits.read(waits.write()) });
  assert.deepEqual(report.sequential_wait.mean_parts_ms, [
    { cascade: 'a', stage: 1, queue: 20, delays: { breaker: 450, back_off: 20 }, call: 20, hand_off: 2 },
    { cascade: 'a', stage: 2, queue: 8, delays: { backpressure: 30 }, call: null, hand_off: null },
  ]);
  assert.equal(report.sequential_wait.ms.mean, 20 + 450 + 20 + 20 + 2 + 8 + 30);
  const [first, second] = report.stages;
  assert.deepEqual([first?.delay_ms.breaker?.count, first?.delay_ms.breaker?.mean], [2, 900]);
  assert.deepEqual(Object.keys(second?.delay_ms ?? {}), ['backpressure']);
});

test('whatever the documents of cascades of any length do, a report’s sums agree', () => {
  fc.assert(
    fc.property(fc.array(endedDocuments, { minLength: 1, maxLength: 12 }), (documents) => {
      const waits = new Waits();
      let counts = NO_COUNTS;
      const stages = new Map<string, ReportedStage>();
      for (const [at, { document, ending }] of documents.entries()) {
        const cascade = `c${at % 3}-${document.rules.stages.length}`;
        const own = { rules: document.rules, job: { ...document.job, cascade } };
        const result = resultOf(own, ending);
        waits.add(result);
        counts = addCounts(counts, result.counts);
        for (const one of stagesOf(cascade, own.rules)) stages.set(`${cascade}/${one.stage}`, one);
      }
      const report = reportOf({ total: 100, stages: [...stages.values()], counts, said: {}, waits });
      const { accepted, escalated, unfinished } = report.documents;
      assert.equal(unfinished, 100 - documents.length);
      assert.ok(accepted <= documents.length && escalated <= documents.length);
      const sum = (values: readonly number[]) => values.reduce((all, one) => all + one, 0);
      const money = sum(report.stages.map(({ usd }) => usd));
      assert.ok(Math.abs(money - report.counterfactuals.cascade.usd) < 1e-9);
      assert.ok(report.wasted.usd <= money + 1e-9);
      assert.equal(report.latency_ms.accepted.count + report.latency_ms.escalated.count, documents.length);
      assert.equal(report.latency_ms.escalated.count, escalated, 'escalated is one thing in counts and waits');
      for (const { documents: own, reasons, calibrated } of report.stages) {
        assert.equal(sum(reasons.map(({ count }) => count)), own.escalated + own.skipped, 'each went on for a reason');
        assert.notEqual(calibrated, true);
      }
      assert.equal(sum(report.failures.map(({ count }) => count)), report.documents.failed);
      const ends = sum(report.stages.map(({ documents: own }) => own.accepted + own.answered));
      assert.ok(ends <= documents.length);
      // Every stage of the map is one that its own rules know.
      for (const { document } of documents) assert.ok(stageOf(document.rules, document.job.stage));
    }),
    { numRuns: 60 },
  );
});
