import {
  JOB_VERSION,
  type AcceptedDraft,
  type Answer,
  type Attempt,
  type AttemptError,
  type CascadeRules,
  type DocumentJob,
  type Draft,
  type Ending,
  type ModelLimits,
  type Price,
  type SignalSpec,
  type StageRules,
} from '@spillway/core';

/** A document as it is enqueued, with what a test says of it. */
export function jobOf(given: Partial<DocumentJob> = {}): DocumentJob {
  const { document = 0, enqueuedAtMs = 0 } = given;
  return {
    v: JOB_VERSION,
    batch: `batch_${'0'.repeat(32)}`,
    document,
    page: 0,
    place: document,
    customId: `doc-${document}`,
    cascade: 'test',
    endpoint: '/v1/chat/completions',
    body: { model: 'test', messages: [{ role: 'user', content: 'x' }] },
    sampled: false,
    enqueuedAtMs,
    deadlineMs: Number.MAX_SAFE_INTEGER,
    stage: 0,
    usedAttempts: 0,
    waitingSinceMs: enqueuedAtMs,
    attempts: [],
    drafts: [],
    ...given,
  };
}

/** What a test says of a cascade's rules; lists go by stage, and what they lack is as usual. */
export type GivenRules = Partial<CascadeRules> & {
  readonly models?: readonly string[];
  readonly prices?: readonly (Price | null)[];
  readonly acceptAt?: readonly number[];
  readonly limits?: readonly Partial<ModelLimits>[];
  readonly signal?: SignalSpec;
};

/** The rules of a cascade of two stages, `small` and `large`, or of as many as there are `models`. */
export function rulesOf(given: GivenRules = {}): CascadeRules {
  const { models = ['small', 'large'], prices = [], acceptAt = [], limits = [], ...own } = given;
  const { signal = { name: 'mean_logprob' }, ...rules } = own;
  const stages = models.map((model, stage): StageRules => {
    const judge = { confidence: { signal, calibration: null }, acceptAt: acceptAt[stage] ?? 0.8 };
    return {
      model,
      ask: 'answer',
      judge: stage === models.length - 1 ? null : judge,
      limits: { contextTokens: null, images: true, tools: true, ...limits[stage] },
      price: prices[stage] ?? null,
    };
  });
  return { stages, shadow: false, onDeadline: 'error', annotate: true, ...rules };
}

/** The rules of a cascade of three stages: `small`, `medium`, `large`. */
export const threeStageRules = (given: GivenRules = {}): CascadeRules =>
  rulesOf({ models: ['small', 'medium', 'large'], ...given });

/** An attempt that waited 100 ms and took 200 ms, unless a test says otherwise. */
export function attemptOf(given: Partial<Attempt> = {}): Attempt {
  const { sinceMs = 0 } = given;
  const { startedAtMs = sinceMs + 100 } = given;
  return { sinceMs, startedAtMs, endedAtMs: startedAtMs + 200, error: null, ...given };
}

export const FAILURE: AttemptError = { type: '500', message: 'status 500' };

/** A model's whole answer: a chat completion of one word. */
export function answerOf(given: Partial<Answer> = {}): Answer {
  const message = { role: 'assistant', content: 'yes' };
  const body = { id: 'chatcmpl-1', model: 'm-1', choices: [{ index: 0, message, finish_reason: 'stop' }] };
  const usage = { inputTokens: 100, cachedTokens: 0, outputTokens: 10, reasoningTokens: 0 };
  return { status: 200, requestId: 'req_1', body, usage, ...given };
}

/** A draft that is not final. */
export function draftOf(given: Partial<Draft> = {}): Draft {
  return {
    model: 'small',
    ask: 'answer',
    answer: answerOf(),
    score: -0.5,
    confidence: 0.6,
    fields: null,
    attempts: [attemptOf()],
    reason: 'low_confidence',
    evidence: null,
    handedOffAtMs: null,
    ...given,
  };
}

/** The draft of a stage whose every attempt failed, without an answer. */
export const failedDraftOf = (given: Partial<Draft> = {}): Draft =>
  draftOf({
    answer: null,
    score: null,
    confidence: null,
    reason: 'draft_failed',
    attempts: [attemptOf({ error: FAILURE })],
    ...given,
  });

/** A draft that is final. */
export function acceptedDraftOf(given: Partial<AcceptedDraft> = {}): AcceptedDraft {
  return {
    model: 'small',
    ask: 'answer',
    answer: answerOf(),
    score: -0.1,
    confidence: 0.95,
    fields: null,
    attempts: [attemptOf()],
    ...given,
  };
}

/** The last stage's answer. */
export const answeredAt = (startedAtMs: number, endedAtMs: number, answer: Answer = answerOf()): Ending => ({
  kind: 'answered',
  answer,
  startedAtMs,
  endedAtMs,
});
