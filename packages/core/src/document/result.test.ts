import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  acceptedDraftOf,
  answeredAt,
  answerOf,
  attemptOf,
  draftOf,
  FAILURE,
  failedDraftOf,
  jobOf,
  rulesOf,
  threeStageRules,
} from '../../../../test/support/jobs.ts';
import { endedDocuments } from '../../../../test/support/passages.ts';
import { countsRecord, isCounter, totalOf, type Counts } from '../accounting/counts.ts';
import type { CascadeRules, StageRules } from '../cascade/rules.ts';
import type { SignalSpec } from '../confidence/spec.ts';
import type { FormatKind } from '../endpoints/index.ts';
import { TraceIds } from '../trace/ids.ts';
import { writtenId } from './custom-id.ts';
import { deadlineStage, isEscalated, stagesBeyond, stagesOf, type Ending } from './ending.ts';
import { afterFailure, withDraft, type CascadeDocument, type Draft } from './job.ts';
import { nextStageJob, skipUnfit } from './next-stage.ts';
import { readResultLine, type CascadeAnnotation } from './result-line.ts';
import { badLineResult, resultOf, unfinishedLine, type Result } from './result.ts';
import { readTimes, writeTimes } from './times.ts';

const answer = answerOf({ body: { choices: [] } });
const prices = [
  { input: 1, output: 2 },
  { input: 10, output: 20 },
];
const rules = rulesOf({ prices, acceptAt: [0.9] });
const three = threeStageRules({
  acceptAt: [0.95, 0.9],
  prices: [
    { input: 1, output: 2 },
    { input: 3, output: 4 },
    { input: 10, output: 20 },
  ],
});
const job = jobOf({ document: 7, customId: 'doc-7', cascade: 'invoices', enqueuedAtMs: 1_000 });
const draft = draftOf({ answer, attempts: [attemptOf({ sinceMs: 1_000 })] });
const accepted = acceptedDraftOf({ answer, attempts: [attemptOf({ sinceMs: 1_000 })] });

/** A document that was escalated by these drafts, one of each stage, handed off 50 ms after each ended. */
function escalated(own: CascadeRules, drafts: readonly Draft[], from = job): CascadeDocument {
  let now = from;
  for (const one of drafts) {
    const endedAtMs = one.attempts.at(-1)?.endedAtMs ?? now.enqueuedAtMs;
    now = nextStageJob({ job: withDraft(now, one), rules: own }, endedAtMs + 50);
  }
  return { job: now, rules: own };
}

/** The line of a result, which is what the schema says. */
function lineOf({ line }: Result) {
  const read = readResultLine(line.text);
  assert.ok(read, line.text);
  return read;
}

function cascadeOf(result: Result): CascadeAnnotation {
  const { cascade } = lineOf(result);
  assert.ok(cascade);
  return cascade;
}

const usage = { input_tokens: 100, cached_tokens: 0, output_tokens: 10 };
const judged = { ask: 'answer', signal: 'mean_logprob', calibrated: false, attempts: 1, usage } as const;
const small = { ...judged, model: 'small', role: 'drafter', accept_at: 0.95 } as const;
const medium = { ...judged, model: 'medium', role: 'drafter', accept_at: 0.9 } as const;
const large = {
  ...judged,
  model: 'large',
  role: 'expert',
  reason: null,
  signal: null,
  score: null,
  confidence: null,
  accept_at: null,
} as const;
const lowSmall = {
  ...small,
  outcome: 'escalated',
  reason: 'low_confidence',
  score: -0.5,
  confidence: 0.6,
  wait_ms: { queue: 100, call: 200, hand_off: 50 },
  draft: { text: 'yes' },
} as const;
const lowDraft = draftOf({ attempts: [attemptOf({ sinceMs: 1_000 })] });
const mediumDraft = draftOf({ model: 'medium', attempts: [attemptOf({ sinceMs: 1_350, startedAtMs: 1_400 })] });

test('a line and its counters say how a draft was verified, and what a whole answer would have taken', () => {
  const document = escalated(rules, [draft]);
  const taken = { inputTokens: 300, cachedTokens: 100, outputTokens: 5, reasoningTokens: 0 };
  const paid = { startedAtMs: 2_000, endedAtMs: 2_100, error: null } as const;
  const extra = [
    { ...paid, purpose: 'scoring', inputTokens: 150, outputTokens: 1 },
    { ...paid, purpose: 'continuation', inputTokens: 150, outputTokens: 4 },
  ] as const;
  const instead = { inputTokens: 130, outputTokens: 20, ms: 250 };
  const ending: Ending = {
    kind: 'answered',
    answer: answerOf({ usage: taken }),
    how: { kind: 'verify', keptCharacters: 40, isWhole: false, instead },
    extra,
    startedAtMs: 2_000,
    endedAtMs: 2_100,
  };
  const result = resultOf(document, ending);
  const stage = lineOf(result).cascade?.stages[1];
  assert.deepEqual(
    [stage?.ask, stage?.kept_characters, stage?.ask_reason, stage?.usage.output_tokens],
    ['verify', 40, undefined, 5],
  );
  const own = Object.entries(result.counts).flatMap(([name, count]) =>
    name.startsWith('invoices/2/') ? [[name.slice('invoices/2/'.length), count]] : [],
  );
  const nanoUsd = (300 * 10 + 5 * 20) * 1_000;
  assert.deepEqual(Object.fromEntries(own), {
    answered: 1,
    inputTokens: 300,
    cachedTokens: 100,
    outputTokens: 5,
    nanoUsd,
    reused: 1,
    reusedInputTokens: 300,
    reusedOutputTokens: 5,
    reusedNanoUsd: nanoUsd,
    reusedMs: 100,
    insteadInputTokens: 130,
    insteadOutputTokens: 20,
    insteadNanoUsd: (130 * 10 + 20 * 20) * 1_000,
    insteadMs: 250,
  });
  assert.equal(
    result.counts.allExpertNanoUsd,
    (130 * 10 + 20 * 20) * 1_000,
    'of what the expert alone would have taken',
  );
  const body = { choices: [], usage: { prompt_tokens: 130, completion_tokens: 20 } };
  const inVain = { answer: answerOf({ usage: taken, body }), how: { kind: 'answer', reason: 'no_draft' } } as const;
  const whole: Ending = { ...ending, ...inVain };
  const asked = resultOf(document, whole);
  const shown = lineOf(asked).cascade?.stages[1];
  assert.deepEqual([shown?.ask, shown?.ask_reason], ['answer', 'no_draft']);
  assert.equal(asked.counts['invoices/2/asked:no_draft'], 1);
  assert.equal(asked.counts['invoices/2/reused'], undefined);
  assert.equal(asked.counts['invoices/2/nanoUsd'], nanoUsd, 'calls in vain are paid for');
  assert.equal(asked.counts.allExpertNanoUsd, (130 * 10 + 20 * 20) * 1_000, 'and the expert alone makes none');
});

test('a draft that is final by a verdict: delivered as it was, by its own stage, and paid for by both', () => {
  const last = { ...rules.stages[1], ask: 'verdict' } as StageRules;
  const judge = {
    confidence: { signal: { name: 'self_assessment' } as const, calibration: { method: 'identity' } as const },
    acceptAt: 0.8,
  };
  const asking = { ...rules, stages: [...rules.stages.slice(0, 1), { ...last, verdict: judge }] };
  const document = escalated(asking, [draft]);
  const taken = { inputTokens: 140, cachedTokens: 0, outputTokens: 1, reasoningTokens: 0 };
  const call = { startedAtMs: 2_000, endedAtMs: 2_100 };
  const extra = [{ ...call, purpose: 'verdict', error: null, inputTokens: 140, outputTokens: 1 }] as const;
  const instead = { inputTokens: 100, outputTokens: 10, ms: 300 };
  const how = { kind: 'verdict', stage: 0, score: 0.9, confidence: 0.9, instead } as const;
  const result = resultOf(document, { kind: 'confirmed', how, usage: taken, extra, ...call });
  const line = lineOf(result);
  assert.deepEqual(line.response?.body, draft.answer?.body);
  assert.equal(line.response?.request_id, draft.answer?.requestId);
  const { stage, model, role, by, escalated: isOver, stages } = cascadeOf(result);
  assert.deepEqual([stage, model, role, by, isOver], [1, 'small', 'drafter', 'verdict', true]);
  const [first, second] = stages;
  assert.deepEqual([first?.outcome, first?.reason, first?.draft], ['escalated', 'low_confidence', undefined]);
  assert.deepEqual(second, {
    model: 'large',
    role: 'expert',
    ask: 'verdict',
    verdict_on: 1,
    outcome: 'accepted',
    reason: null,
    signal: 'self_assessment',
    score: 0.9,
    confidence: 0.9,
    calibrated: true,
    accept_at: 0.8,
    attempts: 1,
    usage: { input_tokens: 140, cached_tokens: 0, output_tokens: 1 },
    wait_ms: second?.wait_ms,
  });
  const { counts } = result;
  assert.deepEqual([counts.completed, counts.accepted, counts.escalated], [1, 1, 1]);
  const own = (name: string) => counts[`invoices/${name}` as keyof typeof counts];
  assert.deepEqual(
    ['1/escalated', '1/confirmed', '1/confirmedMs', '1/wastedInputTokens', '1/wastedNanoUsd'].map(own),
    [1, 1, 200, undefined, undefined],
    'nothing of the draft was wasted',
  );
  assert.deepEqual(
    ['2/accepted', '2/answered', '2/reused', '2/reusedWhole', '2/reusedOutputTokens', '2/insteadOutputTokens'].map(own),
    [1, undefined, 1, 1, 1, 10],
  );
  assert.deepEqual(['2/reusedMs', '2/insteadMs'].map(own), [100, 300]);
  assert.equal(counts.allExpertNanoUsd, (100 * 10 + 10 * 20) * 1_000, 'what the expert alone would have taken');

  const answered = { kind: 'answered', answer: answerOf(), how, extra, ...call } as const;
  const refused = resultOf(document, answered);
  const shown = cascadeOf(refused);
  assert.deepEqual([shown.stage, shown.role, shown.by], [2, 'expert', undefined]);
  assert.deepEqual(
    [shown.stages[0]?.draft, shown.stages[1]?.outcome, shown.stages[1]?.confidence],
    [{ text: null }, 'answered', 0.9],
  );
  const asked = refused.counts['invoices/2/reused'];
  assert.deepEqual(
    [asked, refused.counts['invoices/2/reusedWhole'], refused.counts.accepted],
    [1, undefined, undefined],
  );
});

test('an accepted draft: output line, counts, money', () => {
  const result = resultOf({ job, rules }, { kind: 'accepted', draft: accepted });
  assert.equal(result.line.part, 'output');
  const line = lineOf(result);
  assert.equal(line.custom_id, 'doc-7');
  assert.deepEqual(line.response, { status_code: 200, request_id: 'req_1', body: { choices: [] } });
  assert.equal(line.error, null);
  assert.deepEqual(line.cascade, {
    name: 'invoices',
    stage: 1,
    model: 'small',
    role: 'drafter',
    escalated: false,
    response_format: 'text',
    certificate: null,
    trace_id: null,
    stages: [
      {
        ...small,
        outcome: 'accepted',
        reason: null,
        score: -0.1,
        confidence: 0.95,
        accept_at: 0.9,
        wait_ms: { queue: 100, call: 200, hand_off: null },
      },
    ],
    wait_ms: { sequential: null, total: 300 },
  });
  assert.deepEqual(result.counts, {
    completed: 1,
    accepted: 1,
    'invoices/1/accepted': 1,
    'invoices/1/confidence:55': 1,
    'invoices/1/inputTokens': 100,
    'invoices/1/outputTokens': 10,
    'invoices/1/nanoUsd': 120_000,
    allExpertNanoUsd: 1_200_000,
  });
});

test('an escalated document: the waits add up to the sequential wait', () => {
  const result = resultOf(escalated(rules, [draft]), answeredAt(2_000, 2_500, answer));
  const { stages, wait_ms: wait, escalated: isOver } = cascadeOf(result);
  const [first, last] = stages;
  assert.equal(first?.reason, 'low_confidence');
  assert.equal(isOver, true);
  assert.deepEqual(first?.wait_ms, { queue: 100, call: 200, hand_off: 50 });
  assert.deepEqual(last?.wait_ms, { queue: 650, call: 500, hand_off: null });
  assert.deepEqual(wait, { sequential: 1_000, total: 1_500 });
  assert.equal(100 + 200 + 50 + 650, wait.sequential);
  assert.deepEqual(result.counts, {
    completed: 1,
    escalated: 1,
    allExpertNanoUsd: 1_200_000,
    'invoices/1/escalated': 1,
    'invoices/1/confidence:30': 1,
    'invoices/1/reason:low_confidence': 1,
    'invoices/1/inputTokens': 100,
    'invoices/1/outputTokens': 10,
    'invoices/1/nanoUsd': 120_000,
    'invoices/1/wastedInputTokens': 100,
    'invoices/1/wastedOutputTokens': 10,
    'invoices/1/wastedNanoUsd': 120_000,
    'invoices/2/answered': 1,
    'invoices/2/inputTokens': 100,
    'invoices/2/outputTokens': 10,
    'invoices/2/nanoUsd': 1_200_000,
  });
});

test('cached and reasoning tokens are counted, and cached ones cost their own price', () => {
  const own = rulesOf({ prices: [{ input: 2, cached_input: 0.5, output: 1 }, null] });
  const tokens = { inputTokens: 100, cachedTokens: 40, outputTokens: 10, reasoningTokens: 4 };
  const cached = acceptedDraftOf({ answer: answerOf({ usage: tokens }) });
  const result = resultOf({ job, rules: own }, { kind: 'accepted', draft: cached });
  assert.equal(result.counts['invoices/1/cachedTokens'], 40);
  assert.equal(result.counts['invoices/1/reasoningTokens'], 4);
  assert.equal(result.counts['invoices/1/nanoUsd'], 60 * 2_000 + 40 * 500 + 10 * 1_000);
  assert.equal(cascadeOf(result).stages[0]?.usage.cached_tokens, 40);
  assert.equal('allExpertNanoUsd' in result.counts, false, 'a model without a price costs nothing');
});

test('attempts that failed have their own waits, and all of them add up to the whole time', () => {
  const drafting = afterFailure(job, 1, { startedAtMs: 1_010, endedAtMs: 1_030 }, FAILURE);
  const attempts = [...drafting.attempts, attemptOf({ sinceMs: 1_030, startedAtMs: 1_100, endedAtMs: 1_300 })];
  const waiting = nextStageJob({ job: withDraft(drafting, { ...draft, attempts }), rules }, 1_350);
  const late = { type: 'timeout', message: 'no answer' };
  const again = afterFailure(waiting, 1, { startedAtMs: 1_400, endedAtMs: 1_600 }, late);
  const result = resultOf({ job: again, rules }, answeredAt(2_000, 2_500, answer));
  const { times, cascade } = result;
  assert.deepEqual(times, {
    stages: [
      { queueMs: 80, callMs: 220, handOffMs: 50 },
      { queueMs: 450, callMs: 700, handOffMs: null },
    ],
    sequentialMs: 400,
    totalMs: 1_500,
  });
  assert.equal(80 + 220 + 50 + 450 + 700, times.totalMs);
  assert.deepEqual(
    cascadeOf(result).stages.map((one) => one.attempts),
    [2, 2],
  );
  assert.deepEqual(readTimes(writeTimes({ cascade, times })), { cascade, times });
  for (const text of [
    '',
    '[]',
    '["a",[[null,1,null]],null,-1]',
    '["a",[[1,1,null]],null,-1]',
    '{}',
    '[null,[],null,1]',
  ]) {
    assert.equal(readTimes(text), null, text);
  }
});

test('an HTTP failure of the expert keeps status and body; one without HTTP has an error', () => {
  const refused = { ...answer, status: 400, body: { error: { message: 'no' } } };
  const http = resultOf(escalated(rules, [draft]), answeredAt(2_000, 2_500, refused));
  assert.equal(http.line.part, 'error');
  assert.equal(lineOf(http).response?.status_code, 400);
  assert.deepEqual(lineOf(http).response?.body, refused.body);
  assert.equal(cascadeOf(http).stages[1]?.outcome, 'failed');
  assert.deepEqual([http.counts.failed, http.counts['invoices/2/failed']], [1, 1]);
  const error = { code: 'request_timeout', message: 'late' };
  const why = { type: 'timeout', message: 'late' };
  const none = resultOf(escalated(rules, [draft]), {
    kind: 'failed',
    error,
    why,
    startedAtMs: 2_000,
    endedAtMs: 2_500,
  });
  assert.equal(none.line.part, 'error');
  assert.deepEqual(lineOf(none).error, error);
  assert.equal(lineOf(none).response, null);
  assert.equal(cascadeOf(none).stages[1]?.outcome, 'failed');
  assert.equal(none.counts.failed, 1);
  assert.equal(none.counts.allExpertNanoUsd, 1_200_000, 'the expert would have read what the drafter did');
});

test('what the expert alone would have cost is one answer, however often the draft was asked for to be judged', () => {
  const body = { choices: [], usage: { prompt_tokens: 100, completion_tokens: 10 } };
  const fiveSamples = { inputTokens: 500, cachedTokens: 0, outputTokens: 50, reasoningTokens: 0 };
  const sampled = answerOf({ body, usage: fiveSamples });
  const by = (signal: SignalSpec): CascadeRules => ({
    ...rules,
    stages: rules.stages.map(({ judge, ...stage }) => ({
      ...stage,
      judge: judge === null ? null : { ...judge, confidence: { signal, calibration: null } },
    })),
  });
  const signals = [{ name: 'agreement', samples: 5, temperature: 0.7 }, { name: 'self_assessment' }] as const;
  for (const signal of signals) {
    const taken = acceptedDraftOf({ answer: sampled, attempts: [attemptOf({ sinceMs: 1_000 })] });
    const { counts } = resultOf({ job, rules: by(signal) }, { kind: 'accepted', draft: taken });
    assert.equal(counts['invoices/1/nanoUsd'], 600_000, 'all calls are paid for');
    assert.equal(counts.allExpertNanoUsd, 1_200_000, signal.name);
  }
});

test('clocks that differ never make a wait negative', () => {
  const attempts = [attemptOf({ sinceMs: 1_000, startedAtMs: 900, endedAtMs: 950 })];
  const early = nextStageJob({ job: withDraft(job, { ...draft, attempts }), rules }, 940);
  const { stages, wait_ms: wait } = cascadeOf(resultOf({ job: early, rules }, answeredAt(800, 850, answer)));
  const [first, last] = stages;
  const waits = [...Object.values(wait), ...Object.values(first?.wait_ms ?? {}), last?.wait_ms.queue];
  assert.deepEqual(waits, [0, 0, 0, 50, 0, 0]);
});

test('a draft taken at the deadline says so', () => {
  const document = escalated(rules, [draft]);
  const result = resultOf(document, { kind: 'deadline_draft', stage: 0 });
  const { stage, escalated: isOver, stages, wait_ms: wait } = cascadeOf(result);
  assert.deepEqual([stage, isOver, stages.length, stages[0]?.outcome], [1, true, 1, 'deadline_draft']);
  assert.equal(stages[0]?.reason, 'low_confidence');
  assert.equal(stages[0]?.draft, undefined, 'the draft is the answer');
  assert.deepEqual(stages[0]?.wait_ms, { queue: 100, call: 200, hand_off: 50 });
  assert.deepEqual(wait, { sequential: null, total: 300 });
  assert.deepEqual(lineOf(result).response?.body, answer.body);
  assert.deepEqual(result.counts, {
    completed: 1,
    escalated: 1,
    'invoices/1/escalated': 1,
    'invoices/1/confidence:30': 1,
    'invoices/1/deadlineDrafts': 1,
    'invoices/1/reason:low_confidence': 1,
    'invoices/1/inputTokens': 100,
    'invoices/1/outputTokens': 10,
    'invoices/1/nanoUsd': 120_000,
    allExpertNanoUsd: 1_200_000,
  });
  const waiting = resultOf({ job: withDraft(job, draft), rules }, { kind: 'deadline_draft', stage: 0 });
  assert.deepEqual(cascadeOf(waiting).stages[0]?.wait_ms, { queue: 100, call: 200, hand_off: 0 });
});

test('the deadline delivers the latest draft that is whole, and what later stages cost is not lost', () => {
  const cut = { ...mediumDraft, reason: 'truncated' as const };
  const document = escalated(three, [lowDraft, cut]);
  const stage = deadlineStage(document.job);
  assert.equal(stage, 0);
  const result = resultOf(document, { kind: 'deadline_draft', stage: 0 });
  assert.equal(cascadeOf(result).stage, 1);
  assert.equal(result.counts['invoices/2/escalated'], 1);
  assert.equal(result.counts['invoices/2/nanoUsd'], 340_000);
  assert.equal(result.counts['invoices/2/wastedNanoUsd'], 340_000);
  assert.equal(result.counts['invoices/1/wastedNanoUsd'], undefined, 'what was delivered is not wasted');
});

test('refused, cut, empty and failed drafts are no answer at the deadline', () => {
  for (const reason of ['truncated', 'content_filter', 'refused', 'empty_answer'] as const) {
    assert.equal(deadlineStage(withDraft(job, { ...draft, reason })), null, reason);
  }
  for (const reason of ['low_confidence', 'no_logprobs', 'shadow_run', 'invalid_json'] as const) {
    assert.equal(deadlineStage(withDraft(job, { ...draft, reason })), 0, reason);
  }
  assert.equal(deadlineStage(job), null);
  assert.equal(deadlineStage(withDraft(job, failedDraftOf())), null);
  assert.equal(deadlineStage(withDraft(job, { ...draft, answer: { ...answer, status: 500 } })), null);
  assert.equal(deadlineStage(escalated(three, [draft, mediumDraft]).job), 1);
  assert.equal(deadlineStage(escalated(three, [draft, failedDraftOf({ model: 'medium' })]).job), 0);
});

test('lines survive readers that take other separators for line ends', () => {
  const line = unfinishedLine('b', 0, 'id\u2028', { code: 'batch_cancelled', message: 'm' });
  assert.equal(line.text.split(/[\n\r\u2028\u2029\u0085]/).length, 1);
  assert.equal(readResultLine(line.text)?.custom_id, 'id\u2028');
  assert.deepEqual(readResultLine(line.text)?.error, { code: 'batch_cancelled', message: 'm' });
  assert.equal(line.part, 'error');
});

test('a cascade that does not annotate has lines as OpenAI has them', () => {
  const plain = { ...rules, annotate: false };
  const keys = (result: Result) => Object.keys(JSON.parse(result.line.text) as object);
  const openai = ['id', 'custom_id', 'response', 'error'];
  assert.deepEqual(keys(resultOf({ job, rules: plain }, { kind: 'accepted', draft: accepted })), openai);
  assert.deepEqual(keys(resultOf(escalated(plain, [draft]), answeredAt(2_000, 2_500))), openai);
  assert.deepEqual(keys(resultOf(escalated(plain, [draft]), { kind: 'deadline_draft', stage: 0 })), openai);
});

test('a line says what its answer was asked to be, and is calibrated by a calibration of such answers only', () => {
  const json = { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: {} } } };
  const inResponses = { text: { format: { type: 'json_object' } } };
  const [first, last] = rules.stages;
  assert.ok(first?.judge != null && last !== undefined);
  const { judge } = first;
  const calibration = { method: 'platt', a: 1, b: 0 } as const;
  const confidence = { ...judge.confidence, calibration };
  const said = (given: Partial<typeof job>, formats?: readonly FormatKind[]) => {
    const stage = { ...first, judge: { ...judge, confidence, ...(formats === undefined ? {} : { formats }) } };
    const own = { ...rules, stages: [stage, last] };
    const cascade = cascadeOf(resultOf(escalated(own, [draft], { ...job, ...given }), answeredAt(2_000, 2_500)));
    return [cascade.response_format, ...cascade.stages.map((one) => one.calibrated)];
  };
  assert.deepEqual(said({}, ['text']), ['text', true, false]);
  assert.deepEqual(said({ body: json }, ['text']), ['json_schema', false, false]);
  assert.deepEqual(said({ body: json }, ['json_schema', 'text']), ['json_schema', true, false]);
  assert.deepEqual(said({ body: json }), ['json_schema', true, false], 'a calibration that does not say');
  const responses = { endpoint: '/v1/responses', body: inResponses } as const;
  assert.deepEqual(said(responses, ['json_schema']), ['json_object', false, false]);
  const line = JSON.parse(resultOf({ job, rules }, { kind: 'accepted', draft: accepted }).line.text) as {
    cascade: Record<string, unknown>;
  };
  delete line.cascade['response_format'];
  assert.ok(readResultLine(JSON.stringify(line)) !== null, 'as an older Spillway wrote it');
});

test('three stages: accepted in the second', () => {
  const [draft2] = [acceptedDraftOf({ model: 'medium', attempts: mediumDraft.attempts })];
  const result = resultOf(escalated(three, [lowDraft]), { kind: 'accepted', draft: draft2 });
  assert.deepEqual(cascadeOf(result), {
    name: 'invoices',
    stage: 2,
    model: 'medium',
    role: 'drafter',
    escalated: true,
    response_format: 'text',
    certificate: null,
    trace_id: null,
    stages: [
      lowSmall,
      {
        ...medium,
        outcome: 'accepted',
        reason: null,
        score: -0.1,
        confidence: 0.95,
        wait_ms: { queue: 50, call: 200, hand_off: null },
      },
    ],
    wait_ms: { sequential: 400, total: 600 },
  });
  assert.equal(result.line.part, 'output');
  assert.deepEqual([result.counts.accepted, result.counts.escalated, result.counts['invoices/2/accepted']], [1, 1, 1]);
  assert.equal(result.counts['invoices/1/wastedNanoUsd'], 120_000);
  assert.equal(result.counts['invoices/2/wastedNanoUsd'], undefined);
});

test('three stages: answered in the last, in a document whose trace is kept', () => {
  const sampled = { ...job, sampled: true };
  const result = resultOf(escalated(three, [lowDraft, mediumDraft], sampled), answeredAt(2_000, 2_500));
  assert.deepEqual(cascadeOf(result), {
    name: 'invoices',
    stage: 3,
    model: 'large',
    role: 'expert',
    escalated: true,
    response_format: 'text',
    certificate: null,
    trace_id: new TraceIds(job).root.traceId,
    stages: [
      lowSmall,
      { ...lowSmall, ...medium, wait_ms: { queue: 50, call: 200, hand_off: 50 } },
      { ...large, outcome: 'answered', wait_ms: { queue: 350, call: 500, hand_off: null } },
    ],
    wait_ms: { sequential: 1_000, total: 1_500 },
  });
  const { counts } = result;
  assert.equal(totalOf(counts as Counts, 'wastedNanoUsd'), 120_000 + 340_000);
  assert.equal(totalOf(counts as Counts, 'nanoUsd'), 120_000 + 340_000 + 1_200_000);
  assert.equal(counts.allExpertNanoUsd, 1_200_000);
});

test('three stages: failed in the last', () => {
  const error = { code: 'request_timeout', message: 'late' };
  const why = { type: 'timeout', message: 'no answer within 100 ms' };
  const document = escalated(three, [lowDraft, mediumDraft]);
  const tried = { ...document, job: afterFailure(document.job, 1, { startedAtMs: 1_700, endedAtMs: 1_800 }, why) };
  const result = resultOf(tried, { kind: 'failed', error, why, startedAtMs: 2_000, endedAtMs: 2_500 });
  const { stage, model, role, stages } = cascadeOf(result);
  assert.deepEqual([stage, model, role], [3, 'large', 'expert']);
  assert.deepEqual(stages[2], {
    ...large,
    outcome: 'failed',
    attempts: 2,
    usage: { input_tokens: 0, cached_tokens: 0, output_tokens: 0 },
    wait_ms: { queue: 250, call: 600, hand_off: null },
  });
});

test('three stages: the first is skipped, the second accepts', () => {
  const body = { messages: [{ role: 'user', content: 'x' }], tools: [{ type: 'function' }] };
  const limited = threeStageRules({ limits: [{ tools: false }], acceptAt: [0.95, 0.9] });
  const waiting = skipUnfit({ job: { ...job, body }, rules: limited }, 1_000);
  const attempts = [attemptOf({ sinceMs: 1_000 })];
  const result = resultOf(
    { job: waiting, rules: limited },
    { kind: 'accepted', draft: acceptedDraftOf({ model: 'medium', attempts }) },
  );
  const { stage, escalated: isOver, stages, wait_ms: wait } = cascadeOf(result);
  assert.deepEqual([stage, isOver], [2, true]);
  assert.deepEqual(stages[0], {
    ...small,
    outcome: 'skipped',
    reason: 'needs_tools',
    score: null,
    confidence: null,
    attempts: 0,
    usage: { input_tokens: 0, cached_tokens: 0, output_tokens: 0 },
    wait_ms: { queue: null, call: null, hand_off: null },
  });
  assert.deepEqual(wait, { sequential: 100, total: 300 });
  assert.equal(result.counts['invoices/1/skipped'], 1);
  assert.equal(result.counts['invoices/1/escalated'], undefined);
  assert.deepEqual(readTimes(writeTimes(result)), { cascade: 'invoices', times: result.times });
});

test('three stages: a drafter that failed every attempt', () => {
  const tried = afterFailure(job, 1, { startedAtMs: 1_010, endedAtMs: 1_030 }, FAILURE);
  const attempts = [...tried.attempts, attemptOf({ sinceMs: 1_030, startedAtMs: 1_100, error: FAILURE })];
  const waiting = nextStageJob({ job: withDraft(tried, failedDraftOf({ attempts })), rules: three }, 1_350);
  const result = resultOf(
    { job: waiting, rules: three },
    { kind: 'accepted', draft: acceptedDraftOf({ model: 'medium', attempts: mediumDraft.attempts }) },
  );
  assert.deepEqual(cascadeOf(result).stages[0], {
    ...small,
    outcome: 'failed',
    reason: 'draft_failed',
    score: null,
    confidence: null,
    attempts: 2,
    usage: { input_tokens: 0, cached_tokens: 0, output_tokens: 0 },
    wait_ms: { queue: 80, call: 220, hand_off: 50 },
  });
  assert.deepEqual([result.counts['invoices/1/failed'], result.counts['invoices/1/escalated']], [1, 1]);
  assert.deepEqual([result.counts.completed, result.counts.failed], [1, undefined]);
});

test('three stages: a draft of the second is delivered at the deadline', () => {
  const result = resultOf(escalated(three, [lowDraft, mediumDraft]), { kind: 'deadline_draft', stage: 1 });
  const { stage, model, role, escalated: isOver, stages, wait_ms: wait } = cascadeOf(result);
  assert.deepEqual([stage, model, role, isOver], [2, 'medium', 'drafter', true]);
  assert.deepEqual(
    stages.map(({ outcome, draft: shown }) => [outcome, shown?.text]),
    [
      ['escalated', 'yes'],
      ['deadline_draft', undefined],
    ],
  );
  assert.deepEqual(wait, { sequential: 400, total: 600 });
});

test('a draft is cut between two characters, and no line holds half of one, whatever models and clients bring', () => {
  const content = `${'x'.repeat(3_999)}😀 tail`;
  const cut = {
    ...draft,
    answer: answerOf({ body: { choices: [{ index: 0, message: { role: 'assistant', content } }] } }),
  };
  const waiting = escalated(rulesOf(), [cut]);
  assert.equal(cascadeOf(resultOf(waiting, answeredAt(2_000, 2_500))).stages[0]?.draft?.text, 'x'.repeat(3_999));

  const body = { '\ud83d': ['\ude00', '😀'], choices: [] };
  const odd = { ...waiting, job: { ...waiting.job, customId: 'a\ud83d' } };
  const ending = { kind: 'answered', answer: { ...answerOf(), body }, startedAtMs: 1, endedAtMs: 2 } as const;
  const { text } = resultOf(odd, ending).line;
  assert.doesNotMatch(text, /\\ud/);
  const line = readResultLine(text);
  assert.equal(line?.custom_id, 'a\ufffdd83d');
  assert.deepEqual(line.response?.body, { '\ufffd': ['\ufffd', '😀'], choices: [] });
});

test('the values of a JSON draft, and what every signal says of it in a shadow run', () => {
  const fields = [
    { path: '/total', score: Math.log(0.25) },
    { path: '/date', score: Math.log(0.5) },
  ];
  const evidence = { scores: { '{"name":"sum_logprob"}': -0.5, '{"name":"entropy"}': null }, features: [1, 2] };
  const long = { role: 'assistant', content: 'x'.repeat(5_000) };
  const body = { choices: [{ index: 0, message: long, finish_reason: 'stop' }] };
  const shown = { ...draft, reason: 'shadow_run' as const, fields, evidence, answer: answerOf({ body }) };
  const shadow = rulesOf({ shadow: true });
  const { stages } = cascadeOf(resultOf(escalated(shadow, [shown]), answeredAt(2_000, 2_500)));
  assert.deepEqual(stages[0]?.fields, { '/total': 0.25, '/date': 0.5 });
  const values = { '/total': Math.log(0.25), '/date': Math.log(0.5) };
  assert.deepEqual(stages[0]?.draft, { text: 'x'.repeat(4_000), evidence: { ...evidence, values } });
  assert.equal(stages[0]?.reason, 'shadow_run');
});

/** What of an ended document holds for every one. */
function checkLine(document: CascadeDocument, ending: Ending): void {
  const result = resultOf(document, ending);
  assert.equal(result.line.text.split(/[\n\r\u2028\u2029\u0085]/).length, 1);
  const line = lineOf(result);
  const records = stagesOf(document, ending);
  assert.equal(line.custom_id, writtenId(document.job.customId));
  assert.doesNotMatch(result.line.text, /(?<!\\)(?:\\\\)*\\ud[89a-f]/);
  assert.equal(line.cascade === undefined, !document.rules.annotate);
  assert.equal(line.response !== null && line.response.status_code < 300 ? 'output' : 'error', result.line.part);
  assert.equal(line.error !== null, ending.kind === 'failed');
  if (line.cascade === undefined) return;
  const { stage, stages, model, role, by, escalated: isOver } = line.cascade;
  const last = stages.at(-1);
  const delivering = stages[stage - 1];
  assert.deepEqual([model, role], [delivering?.model, delivering?.role]);
  assert.equal(by === 'verdict', stage < stages.length);
  assert.equal(by === 'verdict', last?.role === 'expert' && last.outcome === 'accepted');
  assert.equal(role === 'expert', stage === document.rules.stages.length);
  assert.equal(isOver, stages.length > 1 || last?.outcome === 'deadline_draft');
  assert.equal(isOver, isEscalated(records));
  for (const [index, one] of stages.entries()) {
    const before = ['escalated', 'failed', 'skipped'];
    const outcomes = index < stages.length - 1 ? before : ['accepted', 'answered', 'failed', 'deadline_draft'];
    assert.ok(outcomes.includes(one.outcome), one.outcome);
    assert.equal(one.attempts === 0, one.outcome === 'skipped');
    assert.equal(one.wait_ms.call === null, one.outcome === 'skipped');
    assert.equal(one.model, document.rules.stages[index]?.model);
  }
}

test('every line of every document is what its schema says, on one line', () => {
  fc.assert(
    fc.property(endedDocuments, ({ document, ending }) => {
      checkLine(document, ending);
      // So it is after a job has been through Redis.
      const stored = JSON.parse(JSON.stringify(document.job)) as typeof document.job;
      checkLine({ ...document, job: stored }, ending);
    }),
    { numRuns: 500 },
  );
});

test('the counts of every document: one end, whole numbers, every token and no more waste than money', () => {
  fc.assert(
    fc.property(endedDocuments, ({ document, ending }) => {
      const counts = resultOf(document, ending).counts as Counts;
      assert.ok(Object.keys(counts).every(isCounter) && countsRecord.safeParse(counts).success);
      assert.equal((counts.completed ?? 0) + (counts.failed ?? 0), 1);
      const records = [...stagesOf(document, ending), ...stagesBeyond(document, ending)];
      for (const name of ['inputTokens', 'cachedTokens', 'outputTokens', 'reasoningTokens'] as const) {
        assert.equal(
          totalOf(counts, name),
          records.reduce((sum, one) => sum + one.usage[name], 0),
        );
      }
      assert.ok(totalOf(counts, 'wastedNanoUsd') <= totalOf(counts, 'nanoUsd'));
      assert.equal(totalOf(counts, 'accepted'), counts.accepted ?? 0);
      const firstStage = `${document.job.cascade}/1` as const;
      const leftFirst = (counts[`${firstStage}/escalated`] ?? 0) + (counts[`${firstStage}/skipped`] ?? 0);
      assert.equal(leftFirst, counts.escalated ?? 0);
      assert.equal(records.length <= document.rules.stages.length, true);
    }),
    { numRuns: 500 },
  );
});

test('a bad line is a line of the error file that says what is wrong and where, and counts as failed', () => {
  const error = { code: 'invalid_url', message: 'm', param: 'url', line: 3 };
  const bad = badLineResult('batch_1', 2, { kind: 'bad', customId: null, error });
  assert.deepEqual([bad.line.part, bad.counts], ['error', { failed: 1, 'error/invalid_url': 1 }]);
  const read = readResultLine(bad.line.text);
  assert.deepEqual([read?.custom_id, read?.response, read?.error], [null, null, error]);
  assert.equal(read?.id, readResultLine(unfinishedLine('batch_1', 2, 'a', { code: 'x', message: 'y' }).text)?.id);
});

test('why documents go on and why they fail is counted, with what the servers said of it', () => {
  const mute = { ...FAILURE, type: 'timeout', message: 'no answer within 5 ms' };
  const unjudged = draftOf({ reason: 'no_label', said: 'Well, maybe' });
  const { said: _, ...older } = draftOf({ model: 'medium', reason: 'no_logprobs', said: '' });
  const at3 = escalated(three, [unjudged, older]);
  const refused = answerOf({ status: 404, body: { error: { message: 'no model' } }, requestId: null });
  const rejected = resultOf(at3, {
    ...answeredAt(2_000, 2_100, refused),
    why: { ...FAILURE, said: 'no model' },
  } as Ending);
  const whys = (result: Result) =>
    Object.entries(result.counts).filter(([name]) => name.startsWith('error/') || name.includes('reason:'));
  assert.deepEqual(whys(rejected), [
    ['error/404', 1],
    ['invoices/1/reason:no_label', 1],
    ['invoices/2/reason:no_logprobs', 1],
  ]);
  assert.deepEqual(rejected.said, { 'invoices/1/reason:no_label': 'Well, maybe', 'error/404': 'no model' });
  const error = { code: 'request_timeout', message: 'no answer' };
  const failed = resultOf(at3, { kind: 'failed', error, why: mute, startedAtMs: 1, endedAtMs: 2 });
  assert.equal(failed.counts['error/request_timeout'], 1);
  assert.equal(failed.said?.['error/request_timeout'], mute.message, 'a server that says nothing');
  const skipped = skipUnfit({ job, rules: rulesOf({ limits: [{ contextTokens: 0 }] }) }, 5);
  const answered = resultOf({ job: skipped, rules }, answeredAt(2_000, 2_100, answer));
  assert.deepEqual(whys(answered), [['invoices/1/reason:too_long', 1]]);
  assert.deepEqual(answered.said, {});
});

test('a request id is the server’s, else one of ours that is the same whoever writes the line', () => {
  const idOf = (requestId: string | null, document: number, status = 200): string | undefined => {
    const given = answerOf({ status, requestId });
    const ending = answeredAt(2_000, 2_100, given);
    return lineOf(resultOf({ job: { ...job, document, stage: 1 }, rules }, ending)).response?.request_id;
  };
  assert.equal(idOf('chatcmpl-7', 1), 'chatcmpl-7');
  for (const none of [null, '']) {
    for (const status of [200, 400]) {
      assert.match(idOf(none, 1, status) ?? '', /^req_[0-9a-f]{24}$/);
      assert.equal(idOf(none, 1, status), idOf(none, 1));
      assert.notEqual(idOf(none, 1, status), idOf(none, 2));
    }
  }
});
