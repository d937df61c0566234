import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerOf, draftOf, failedDraftOf, jobOf } from '../../../../test/support/jobs.ts';
import type { EscalationReason } from '../confidence/index.ts';
import { ESCALATION_REASONS } from '../confidence/reasons.ts';
import type { DocumentJob, Draft } from '../document/job.ts';
import type { Completion, Usage } from '../endpoints/index.ts';
import type { JsonObject } from '../text/json.ts';
import type { JudgeRule } from './rules.ts';
import { insteadOfAnswer, isConfirmed, planVerdict, readVerdict, type VerdictPlan } from './verdict.ts';

const BODY: JsonObject = { model: 'm', messages: [{ role: 'user', content: 'How much?' }] };
const saying = (content: string, given: Partial<Draft> = {}): Draft =>
  draftOf({ answer: answerOf({ body: { choices: [{ message: { content }, finish_reason: 'stop' }] } }), ...given });

type Given = Partial<Pick<DocumentJob, 'drafts' | 'endpoint' | 'body' | 'attempts' | 'unproven' | 'breaks'>>;

function planOf(given: Given = {}, findings: Parameters<typeof planVerdict>[0]['findings'] = null): VerdictPlan {
  const drafts = given.drafts ?? [saying('It is 12.')];
  const job = jobOf({ body: BODY, ...given, drafts, stage: drafts.length });
  return planVerdict({ job, prepared: job.body, findings });
}

const reasonOf = (...given: Parameters<typeof planOf>): string | null => {
  const plan = planOf(...given);
  return plan.kind === 'answer' ? plan.reason : null;
};

test('the question follows the draft, in one token, whatever of the server is known', () => {
  const plan = planOf();
  assert.ok(plan.kind === 'verdict');
  assert.equal(plan.stage, 0);
  const { messages, max_tokens: limit, temperature } = plan.request.body as { messages: JsonObject[] } & JsonObject;
  assert.deepEqual(messages.slice(0, 2), [
    { role: 'user', content: 'How much?' },
    { role: 'assistant', content: 'It is 12.' },
  ]);
  assert.match(JSON.stringify(messages[2]), /right and complete/);
  assert.deepEqual([limit, temperature], [1, 0]);
  assert.equal(reasonOf({}, { log_probs: true }), null);
});

test('a verdict is on the latest draft that is text', () => {
  const drafts = [saying('first'), failedDraftOf({ model: 'medium' })];
  const plan = planOf({ drafts });
  assert.deepEqual(plan.kind === 'verdict' && [plan.stage, drafts.length], [0, 2]);
  const second = planOf({ drafts: [saying('first'), saying('second')] });
  assert.equal(second.kind === 'verdict' && second.stage, 1);
  assert.equal(reasonOf({ drafts: [failedDraftOf()] }), 'no_draft');
});

test('only a draft that is whole and of the form that is asked for can be final by a verdict', () => {
  const fit = new Set<EscalationReason>([
    'low_confidence',
    'no_logprobs',
    'partial_logprobs',
    'zero_logprobs',
    'no_alternatives',
    'no_assessment',
    'no_samples',
    'shadow_run',
    'sampled',
  ]);
  for (const { reason } of ESCALATION_REASONS) {
    const found = reasonOf({ drafts: [saying('x', { reason })] });
    assert.equal(found === null, fit.has(reason), `${reason}: ${found}`);
  }
  for (const reason of ['truncated', 'invalid_json', 'too_large', 'no_label'] as const) {
    assert.equal(reasonOf({ drafts: [saying('x', { reason })] }), 'draft_unfit', reason);
  }
  const stopped = { scoreAtMost: -2, isEstimated: false };
  assert.equal(reasonOf({ drafts: [saying('It is', { score: null, confidence: null, stopped })] }), 'draft_unfit');
  // What a later stage could not finish is no reason to look at an earlier draft.
  assert.equal(reasonOf({ drafts: [saying('first'), saying('sec', { reason: 'truncated' })] }), 'draft_unfit');
});

test('what cannot be asked about is asked for whole, with the reason', () => {
  assert.equal(reasonOf({}, { log_probs: true, reasons: true }), 'model_reasons');
  assert.equal(reasonOf({ body: { ...BODY, reasoning_effort: 'high' } }), 'model_reasons');
  assert.equal(reasonOf({}, { log_probs: false }), 'no_log_probs');
  assert.equal(reasonOf({ breaks: 1 }), 'failed_before');
  const attempt = { sinceMs: 0, startedAtMs: 1, endedAtMs: 2, error: { type: '500', message: 'x' } };
  assert.equal(reasonOf({ attempts: [attempt] }), 'failed_before');
  const text = answerOf({ body: { choices: [{ text: 'yes', finish_reason: 'stop' }] } });
  const completions = { endpoint: '/v1/completions', drafts: [draftOf({ answer: text })] } as const;
  assert.equal(reasonOf({ ...completions, body: { model: 'm', prompt: 'How much? ' } }), null);
  assert.equal(reasonOf({ ...completions, body: { model: 'm', prompt: [1, 2, 3] } }), 'request_unsuited');
});

const RULE: JudgeRule = { confidence: { signal: { name: 'self_assessment' }, calibration: null }, acceptAt: 0.9 };
const token = (text: string, p: number, others: readonly (readonly [string, number])[] = []): Completion => ({
  text,
  tokens: [
    {
      token: text,
      bytes: null,
      logprob: Math.log(p),
      top: others.map(([one, q]) => ({ token: one, logprob: Math.log(q), bytes: null })),
    },
  ],
  finishReason: 'length',
  refusal: null,
  toolCall: false,
  choices: 1,
  model: null,
  id: null,
  usage: USAGE,
});
const USAGE: Usage = { inputTokens: 100, cachedTokens: 0, outputTokens: 1, reasoningTokens: 0 };

test('one token becomes a score, and by a calibration the confidence; what says neither yes nor no is none', () => {
  const sure = readVerdict(token('Y', 0.9, [['N', 0.05]]), RULE, 0);
  assert.ok(sure !== null && Math.abs(sure.score - 0.9 / 0.95) < 1e-9);
  assert.equal(sure.confidence, sure.score);
  const no = readVerdict(token('N', 0.8, [['Y', 0.2]]), RULE, 1);
  assert.ok(no !== null && Math.abs(no.score - 0.2) < 1e-9);
  assert.equal(no.stage, 1);
  const calibration = { method: 'isotonic' as const, curve: { scores: [0, 1], values: [0.1, 0.3] } };
  const humble = readVerdict(token('Y', 1), { ...RULE, confidence: { ...RULE.confidence, calibration } }, 0);
  assert.deepEqual(humble, { stage: 0, score: 1, confidence: 0.3 });
  assert.equal(readVerdict(token('Well', 0.9), RULE, 0), null);
  assert.equal(readVerdict({ ...token('Y', 0.9), tokens: null }, RULE, 0), null);
});

test('a draft is final from accept_at on, and in a shadow run never', () => {
  const said = (confidence: number) => ({ stage: 0, score: confidence, confidence });
  assert.deepEqual(
    [0.89, 0.9, 1, 1.1, Number.NaN].map((confidence) => isConfirmed(said(confidence), RULE, { shadow: false })),
    [false, true, true, false, false],
  );
  assert.equal(isConfirmed(said(1), RULE, { shadow: true }), false);
});

test('what was spared is estimated: the request’s share of what was read, and the draft without its thoughts', () => {
  const usage = { prompt_tokens: 40, completion_tokens: 9, completion_tokens_details: { reasoning_tokens: 4 } };
  const body = { choices: [{ message: { content: 'It is 12.' }, finish_reason: 'stop' }], usage };
  const job = jobOf({ body: BODY, drafts: [draftOf({ answer: answerOf({ body }) })], stage: 1 });
  const plan = planVerdict({ job, prepared: job.body, findings: null });
  assert.ok(plan.kind === 'verdict');
  const verdict = { stage: 0, score: 1, confidence: 1 };
  const spared = insteadOfAnswer(job, verdict, { request: plan.request, usage: USAGE });
  const share = JSON.stringify(BODY['messages']).length / JSON.stringify(plan.request.body['messages']).length;
  assert.deepEqual(spared, { inputTokens: Math.round(100 * share), outputTokens: 5 });
});
