import {
  afterFailure,
  attemptsWith,
  deadlineStage,
  ESCALATION_REASONS,
  isLastStage,
  nextStageJob,
  skipUnfit,
  withDraft,
  type CascadeDocument,
  type CascadeRules,
  type DocumentJob,
  type Ending,
} from '@spillway/core';
import fc from 'fast-check';
import { answerOf, FAILURE, jobOf, rulesOf } from './jobs.ts';

/** A document that has come to its end, in whichever stage, however often it failed on the way. */
export type EndedDocument = {
  readonly document: CascadeDocument;
  readonly ending: Ending;
  readonly settledAtMs: number;
};

const moment = fc.double({ min: 0, max: 100_000, noNaN: true });
const call = fc.record({ startedAtMs: moment, endedAtMs: moment });
const count = fc.nat(10_000);
const usage = fc.record({ inputTokens: count, cachedTokens: count, outputTokens: count, reasoningTokens: count });
const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('a\u2028b', '\u2029', '\u0085\n', '\ud800', ''));
const price = fc.option(
  fc.record({ input: fc.nat(50), cached_input: fc.nat(50), output: fc.nat(50) }, { requiredKeys: ['input', 'output'] }),
);

const extra = fc.record({
  purpose: fc.constantFrom('self_assessment' as const, 'sample' as const),
  startedAtMs: moment,
  endedAtMs: moment,
  error: fc.constantFrom(null, FAILURE),
  inputTokens: count,
  outputTokens: count,
});

const evidence = fc.record({
  scores: fc.dictionary(fc.string(), fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }))),
  features: fc.option(fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { maxLength: 4 })),
});

const instead = fc.record({ inputTokens: count, outputTokens: count, ms: fc.option(moment) });

const stage = fc.record({
  tools: fc.boolean(),
  price,
  failures: fc.array(call, { maxLength: 3 }),
  call,
  extra: fc.array(extra, { maxLength: 3 }),
  handedOffAtMs: moment,
  outcome: fc.constantFrom('answer' as const, 'answer' as const, 'rejected' as const, 'none' as const),
  usage,
  text,
  reason: fc.constantFrom(...ESCALATION_REASONS.map((one) => one.reason)),
  score: fc.option(fc.double()),
  confidence: fc.double({ min: 0, max: 1, noNaN: true }),
  fields: fc.option(fc.array(fc.record({ path: fc.string(), score: fc.double({ max: 0 }) }), { maxLength: 4 })),
  evidence: fc.option(evidence),
});
type StagePlan = typeof stage extends fc.Arbitrary<infer Value> ? Value : never;

const plan = fc.record({
  stages: fc.array(stage, { minLength: 2, maxLength: 8 }),
  /** The first stage whose draft may be final, or delivered at the deadline. */
  endsFrom: fc.nat(7),
  endsAtDeadline: fc.boolean(),
  /** The last stage is asked for a verdict on the latest draft that is text; null: it is not. */
  verdict: fc.option(fc.record({ isRight: fc.boolean(), score: fc.double({ min: 0, max: 1, noNaN: true }), instead })),
  isHandedOff: fc.boolean(),
  cascade: fc.constantFrom('invoices', 'contracts'),
  needsTools: fc.boolean(),
  sampled: fc.boolean(),
  annotate: fc.boolean(),
  enqueuedAtMs: moment,
  settledAtMs: moment,
  customId: text,
});
type Plan = typeof plan extends fc.Arbitrary<infer Value> ? Value : never;

function answerTo({ text: content, usage: own, outcome }: StagePlan) {
  if (outcome === 'none') return null;
  const error = { error: { message: 'no' } };
  const message = { role: 'assistant', content };
  const body = { id: 'c', model: 'm', choices: [{ index: 0, message, finish_reason: 'stop' }] };
  return outcome === 'answer'
    ? answerOf({ body, usage: own })
    : answerOf({ status: 400, body: error, requestId: null });
}

/** The end of the last stage, which has these drafts before it. */
function lastEnding(own: StagePlan, verdict: Plan['verdict'], { drafts }: DocumentJob): Ending {
  const answer = answerTo(own);
  const about = drafts.findLastIndex((draft) => draft.answer?.status === 200);
  if (verdict !== null && about !== -1 && own.outcome === 'answer') {
    const { isRight, score, instead: spared } = verdict;
    const how = { kind: 'verdict', stage: about, score, confidence: score, instead: spared } as const;
    const asked = { ...own.call, purpose: 'verdict', error: null, inputTokens: 5, outputTokens: 1 } as const;
    return isRight || answer === null
      ? { kind: 'confirmed', how, usage: own.usage, extra: [asked], ...own.call }
      : { kind: 'answered', answer, how, extra: [asked, { ...asked, purpose: 'whole_answer' }], ...own.call };
  }
  const why = { type: 'timeout', message: 'no answer' };
  return answer === null
    ? { kind: 'failed', error: { code: 'request_timeout', message: own.text }, why, ...own.call }
    : { kind: 'answered', answer, ...own.call, ...(own.outcome === 'rejected' ? { why: FAILURE } : {}) };
}

function draftedBy(job: DocumentJob, model: string, own: StagePlan) {
  const answer = answerTo(own);
  const isAnswered = own.outcome === 'answer';
  return {
    model,
    ask: 'answer' as const,
    answer,
    score: isAnswered ? own.score : null,
    confidence: own.confidence,
    fields: isAnswered ? own.fields : null,
    attempts: attemptsWith(job, { ...own.call, extra: isAnswered ? own.extra : [] }, isAnswered ? null : FAILURE),
  };
}

/** The rules of a cascade whose last stage is asked for verdicts, if it is. */
function askingFor(verdict: Plan['verdict'], rules: CascadeRules): CascadeRules {
  const last = rules.stages.at(-1);
  if (verdict === null || last === undefined) return rules;
  const confidence = { signal: { name: 'self_assessment' }, calibration: null } as const;
  const asked = { ...last, ask: 'verdict', verdict: { confidence, acceptAt: 0.5 } } as const;
  return { ...rules, stages: [...rules.stages.slice(0, -1), asked] };
}

/** Goes through the stages as a worker does, by the functions that it uses. */
function ended(given: Plan): EndedDocument {
  const { stages, settledAtMs, enqueuedAtMs, annotate, cascade, sampled, customId } = given;
  const models = stages.map((_, at) => `model-${at}`);
  const limits = stages.map(({ tools }) => ({ tools }));
  const rules = askingFor(given.verdict, rulesOf({ models, limits, prices: stages.map((one) => one.price), annotate }));
  const tools = given.needsTools ? { tools: [{ type: 'function' }] } : {};
  const body = { model: cascade, messages: [{ role: 'user', content: 'x' }], ...tools };
  const enqueued = jobOf({ cascade, sampled, customId, body, enqueuedAtMs, document: 7 });
  for (let job = skipUnfit({ job: enqueued, rules }, enqueuedAtMs); ;) {
    const own = stages[job.stage] as StagePlan;
    for (const failed of own.failures) job = afterFailure(job, job.usedAttempts + 1, failed, FAILURE);
    if (isLastStage(rules, job.stage))
      return { document: { job, rules }, ending: lastEnding(own, given.verdict, job), settledAtMs };
    const draft = draftedBy(job, models[job.stage] as string, own);
    const mayEnd = job.stage >= given.endsFrom;
    if (mayEnd && !given.endsAtDeadline && draft.answer !== null && own.outcome === 'answer') {
      const ending = { kind: 'accepted', draft: { ...draft, answer: draft.answer } } as const;
      return { document: { job, rules }, ending, settledAtMs };
    }
    const reason = own.outcome === 'answer' ? own.reason : 'draft_failed';
    const drafted = withDraft(job, { ...draft, reason, evidence: own.evidence, handedOffAtMs: null });
    const next = nextStageJob({ job: drafted, rules }, own.handedOffAtMs);
    const waiting = given.isHandedOff ? next : drafted;
    const atDeadline = mayEnd && given.endsAtDeadline ? deadlineStage(waiting) : null;
    if (atDeadline !== null) {
      return { document: { job: waiting, rules }, ending: { kind: 'deadline_draft', stage: atDeadline }, settledAtMs };
    }
    job = next;
  }
}

/** Ended documents of cascades of two to eight stages, by clocks that agree on nothing. */
export const endedDocuments: fc.Arbitrary<EndedDocument> = plan.map(ended);
