import {
  addUsage,
  attemptsWith,
  evidenceOf,
  ASSESSMENT_TOP,
  assessmentRequest,
  judge,
  leastSure,
  majorityOf,
  NO_USAGE,
  route,
  scoreDraft,
  SIGNALS,
  TOLD_SIGNALS,
  type AcceptedDraft,
  type Answer,
  type Completion,
  type Decision,
  type DocumentJob,
  type Draft,
  type DraftEvidence,
  type Evidence,
  type ExtraCall,
} from '@spillway/core';
import type { Asked, AskOptions, ModelTier, SaidBeside } from './tier.ts';

type Answered = Extract<Asked, { kind: 'answered' }>;

/** A draft that was asked for, and what was decided about it. Its times run to the end of the last call for it. */
export type Drafted =
  | Exclude<Asked, Answered>
  | {
      readonly kind: 'drafted';
      readonly answer: Answer;
      readonly decision: Decision;
      /** What every signal says, where both tiers run. */
      readonly evidence: DraftEvidence | null;
      readonly startedAtMs: number;
      readonly endedAtMs: number;
      /** What was asked beside. */
      readonly extra: readonly ExtraCall[];
    };

/** Alternatives for all signals over tokens. */
const TOP_OF_ALL = Math.max(...TOLD_SIGNALS.map(({ name }) => SIGNALS[name].topLogprobs), SIGNALS.head.topLogprobs);

/** Asks a drafter about a document, then whatever its confidence needs beside, and decides. */
export async function askDraft(
  tier: ModelTier,
  job: DocumentJob,
  options: Omit<AskOptions, 'topLogprobs'>,
): Promise<Drafted> {
  const { confidence } = job.rules;
  const { both } = job.rules;
  const topLogprobs = Math.max(SIGNALS[confidence.signal.name].topLogprobs, both ? TOP_OF_ALL : 0);
  const asked = await tier.ask(job, { ...options, topLogprobs });
  if (asked.kind !== 'answered') return asked;
  const evidence: Evidence = { completion: asked.completion, endpoint: job.endpoint, request: job.body };
  const gathered = await gather(tier, job, { asked, evidence, options });
  if (gathered.kind !== 'gathered') return gathered;
  const { answer, extra } = gathered;
  const decision = route(judge(gathered.evidence, confidence), job.rules);
  const endedAtMs = Math.max(asked.endedAtMs, ...extra.map((call) => call.endedAtMs));
  const told = both ? evidenceOf(gathered.evidence) : null;
  return { kind: 'drafted', answer, decision, evidence: told, startedAtMs: asked.startedAtMs, endedAtMs, extra };
}

type Gathered = {
  readonly kind: 'gathered';
  readonly evidence: Evidence;
  readonly answer: Answer;
  readonly extra: readonly ExtraCall[];
};

type Asking = {
  readonly asked: Answered;
  readonly evidence: Evidence;
  readonly options: Omit<AskOptions, 'topLogprobs'>;
};

/** What a draft is judged by. What cannot be judged anyhow, such as a draft that was cut short, costs no further call. */
async function gather(
  tier: ModelTier,
  job: DocumentJob,
  { asked, evidence, options }: Asking,
): Promise<Gathered | Extract<Asked, { kind: 'gate' | 'stopped' }>> {
  const { signal } = job.rules.confidence;
  const { answer, completion } = asked;
  const nothing: Gathered = { kind: 'gathered', evidence, answer, extra: [] };
  const { needs } = SIGNALS[signal.name];
  const lacking = scoreDraft(evidence, job.rules.confidence);
  const isLacking = lacking.kind === 'no_evidence' && ['no_assessment', 'no_samples'].includes(lacking.reason);
  if (needs === 'nothing' || !isLacking) return nothing;
  if (signal.name === 'agreement') {
    const bodies = Array.from({ length: signal.samples - 1 }, (_, index) => ({
      ...job.body,
      temperature: signal.temperature,
      // Responses know no seed.
      ...(job.endpoint === '/v1/responses' ? {} : { seed: index + 1 }),
    }));
    const said = await Promise.all(
      bodies.map((body, extra) =>
        tier.askBeside(job, { ...options, topLogprobs: 0 }, { body, purpose: 'sample', extra }),
      ),
    );
    const stop = stopOf(said);
    return stop ?? agreed({ asked, evidence }, said);
  }
  const body = assessmentRequest(job.endpoint, job.body, completion.text ?? '');
  if (body === null) return nothing;
  const beside = { body, purpose: 'self_assessment', extra: 0 } as const;
  const said = await tier.askBeside(job, { ...options, topLogprobs: ASSESSMENT_TOP }, beside);
  const stop = stopOf([said]);
  if (stop !== null) return stop;
  const assessment = said.kind === 'said' ? said.completion : null;
  return { kind: 'gathered', evidence: { ...evidence, assessment }, ...paid(answer, [said]) };
}

/** A call that did not fail by itself: the whole document is asked about again later. */
const stopOf = (said: readonly SaidBeside[]): Extract<Asked, { kind: 'gate' | 'stopped' }> | null =>
  said.find((one) => one.kind === 'gate' || one.kind === 'stopped') ?? null;

/** The answer is what most samples say: the first of them that says it. */
function agreed({ asked, evidence }: Pick<Asking, 'asked' | 'evidence'>, said: readonly SaidBeside[]): Gathered {
  const samples = said.flatMap((one) => (one.kind === 'said' ? [one] : []));
  const { answer, extra } = paid(asked.answer, said);
  if (samples.length < said.length)
    return { kind: 'gathered', evidence: { ...evidence, samples: null }, answer, extra };
  const all: Completion[] = [asked.completion, ...samples.map(({ completion }) => completion)];
  const first = majorityOf(all.map(({ text }) => text));
  const completion = all[first] ?? asked.completion;
  const body = samples[first - 1]?.body ?? answer.body;
  const others = all.filter((_, index) => index !== first);
  return {
    kind: 'gathered',
    evidence: { ...evidence, completion, samples: others },
    answer: { ...answer, body },
    extra,
  };
}

/** The answer with the tokens of all calls: they are paid for. */
function paid(answer: Answer, said: readonly SaidBeside[]): { answer: Answer; extra: ExtraCall[] } {
  const extra = said.flatMap((one) => ('call' in one ? [one.call] : []));
  const usage = said.reduce(
    (sum, one) => addUsage(sum, one.kind === 'said' ? one.completion.usage : NO_USAGE),
    answer.usage,
  );
  return { answer: { ...answer, usage }, extra };
}

/** What came of a drafter's last word about a document. */
export type Drawn =
  | { readonly kind: 'accepted'; readonly draft: AcceptedDraft }
  | { readonly kind: 'escalated'; readonly draft: Draft };

/** A draft as it is written down: accepted, or escalated with its reason. */
export function draftOf(
  job: DocumentJob,
  drafted: Extract<Drafted, { kind: 'drafted' | 'rejected' | 'exhausted' }>,
): Drawn {
  const { startedAtMs, endedAtMs } = drafted;
  const model = job.rules.drafter;
  if (drafted.kind !== 'drafted') {
    const reason = drafted.kind === 'rejected' ? 'drafter_rejected' : 'draft_failed';
    const none = { answer: null, score: null, confidence: null, fields: null, evidence: null };
    const attempts = attemptsWith(job, drafted, drafted.why);
    return { kind: 'escalated', draft: { model, ...none, reason, attempts, startedAtMs, endedAtMs } };
  }
  const { answer, decision } = drafted;
  const attempts = attemptsWith(job, drafted, null);
  const made = {
    model,
    answer,
    score: decision.score,
    fields: leastSure(decision.fields),
    attempts,
    startedAtMs,
    endedAtMs,
  };
  return decision.kind === 'accept'
    ? { kind: 'accepted', draft: { ...made, confidence: decision.confidence } }
    : {
        kind: 'escalated',
        draft: { ...made, evidence: drafted.evidence, confidence: decision.confidence, reason: decision.reason },
      };
}
