import {
  addUsage,
  ASSESSMENT_TOP,
  assessmentRequest,
  ENDPOINTS,
  majorityOf,
  NO_USAGE,
  scoreDraft,
  SIGNALS,
  type Answer,
  type CascadeDocument,
  type Completion,
  type ConfidenceRule,
  type Evidence,
  type ExtraCall,
} from '@spillway/core';
import { runSliced } from '@spillway/runtime';
import type { Asked, AttemptOptions, ExtraAnswer, ExtraRequest } from './asked.ts';
import { withSpent } from './spent.ts';
import type { StageModel } from './stage-model.ts';

type Answered = Extract<Asked, { kind: 'answered' }>;

/** What a draft is judged by, the answer that it is, with the tokens of all calls, and the calls beside its own. */
export type Gathered = {
  readonly kind: 'gathered';
  readonly evidence: Evidence;
  readonly answer: Answer;
  readonly extra: readonly ExtraCall[];
};

/** An extra call whose failure may not be its own: the whole document is asked about again later. */
export type Interrupted = Extract<Asked, { kind: 'hold' | 'stopped' | 'unproven' }>;

/**
 * Gathers what a draft is judged by. What cannot be judged anyhow, such as a draft that was cut short, costs no further
 * call.
 */
export async function gatherEvidence(
  model: StageModel,
  document: CascadeDocument,
  drafted: { readonly asked: Answered; readonly confidence: ConfidenceRule; readonly options: AttemptOptions },
): Promise<Gathered | Interrupted> {
  const { asked, confidence, options } = drafted;
  const { job } = document;
  const evidence: Evidence = { completion: asked.completion, endpoint: job.endpoint, request: job.body };
  const nothing: Gathered = { kind: 'gathered', evidence, answer: asked.answer, extra: [] };
  const { signal } = confidence;
  if (SIGNALS[signal.name].needs === 'nothing') return nothing;
  const scored = await runSliced(scoreDraft(evidence, confidence));
  const isLacking = scored.kind === 'no_evidence' && ['no_assessment', 'no_samples'].includes(scored.reason);
  if (!isLacking) return nothing;
  const requests = signal.name === 'agreement' ? sampleRequests(document, signal) : assessmentOf(document, evidence);
  if (requests.length === 0) return nothing;
  const topLogprobs = signal.name === 'agreement' ? 0 : ASSESSMENT_TOP;
  const answers = await Promise.all(
    requests.map((request) => model.askExtra(job, { ...options, topLogprobs }, request)),
  );
  const interrupted = answers.find((one) => one.kind === 'hold' || one.kind === 'stopped' || one.kind === 'unproven');
  if (interrupted !== undefined) return withSpent(interrupted, withUsage(asked.answer, answers).answer.usage);
  if (signal.name === 'agreement') return await withSamples({ asked, evidence }, answers);
  const [first] = answers;
  const assessment = first?.kind === 'answered' ? first.completion : null;
  return { kind: 'gathered', evidence: { ...evidence, assessment }, ...withUsage(asked.answer, answers) };
}

/** Further answers to the same request, each drawn anew. */
function sampleRequests(
  { job }: CascadeDocument,
  { samples, temperature }: { readonly samples: number; readonly temperature: number },
): ExtraRequest[] {
  const { takesSeed } = ENDPOINTS[job.endpoint];
  return Array.from({ length: samples - 1 }, (_, index) => ({
    body: { ...job.body, temperature, ...(takesSeed ? { seed: index + 1 } : {}) },
    own: ['temperature', 'seed'],
    purpose: 'sample',
    index,
  }));
}

/** The question whether the draft is right; none where the request has no place for it. */
function assessmentOf({ job }: CascadeDocument, { completion }: Evidence): ExtraRequest[] {
  const body = assessmentRequest(job.endpoint, job.body, completion.text ?? '');
  const own = ['max_tokens', 'max_completion_tokens', 'max_output_tokens', 'temperature'];
  return body === null ? [] : [{ body, own, purpose: 'self_assessment', index: 0 }];
}

/** The answer is what most samples say: the first of them that says it. */
async function withSamples(
  { asked, evidence }: { readonly asked: Answered; readonly evidence: Evidence },
  answers: readonly ExtraAnswer[],
): Promise<Gathered> {
  const samples = answers.filter((one) => one.kind === 'answered');
  const { answer, extra } = withUsage(asked.answer, answers);
  if (samples.length < answers.length) {
    return { kind: 'gathered', evidence: { ...evidence, samples: null }, answer, extra };
  }
  const all: Completion[] = [asked.completion, ...samples.map(({ completion }) => completion)];
  const first = await runSliced(majorityOf(all.map(({ text }) => text)));
  const completion = all[first] ?? asked.completion;
  const others = all.filter((_, index) => index !== first);
  const body = samples[first - 1]?.body ?? answer.body;
  return {
    kind: 'gathered',
    evidence: { ...evidence, completion, samples: others },
    answer: { ...answer, body },
    extra,
  };
}

/** The answer with the tokens of all calls: they are paid for. */
function withUsage(
  answer: Answer,
  answers: readonly ExtraAnswer[],
): { readonly answer: Answer; readonly extra: readonly ExtraCall[] } {
  const extra = answers.flatMap((one) => ('call' in one ? [one.call] : []));
  const usage = answers.reduce(
    (sum, one) => addUsage(sum, one.kind === 'answered' ? one.completion.usage : NO_USAGE),
    answer.usage,
  );
  return { answer: { ...answer, usage }, extra };
}
