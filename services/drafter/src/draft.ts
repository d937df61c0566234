import {
  afterFailure,
  attemptsWith,
  judge,
  resultOf,
  route,
  SIGNALS,
  type AcceptedDraft,
  type Decision,
  type DocumentJob,
  type Draft,
  type Ending,
  type EscalationReason,
  type TryError,
} from '@spillway/core';
import type { Asked, ModelTier } from '@spillway/models';
import { handOff, settle, untilAnswered, type Attempt, type TierDesk, type Verdict } from '@spillway/redis';

/** What a drafter works with. */
export type DraftDesk = TierDesk & { readonly tier: ModelTier };

/** Handles one document: ask, score, route, then settle or hand off. */
export async function draft(desk: DraftDesk, job: DocumentJob, attempt: Attempt): Promise<Verdict> {
  // A drafter before this one got as far as writing the draft down: only the hand-off is left.
  if (job.draft !== null) return await escalate(desk, job, job.draft, attempt);
  const { topLogprobs } = SIGNALS[job.rules.signal];
  const asked = await desk.tier.ask(job, { signal: attempt.signal, topLogprobs, stalls: attempt.stalls });
  switch (asked.kind) {
    case 'gate':
      return asked;
    case 'stopped':
      return asked.reason === 'shutdown' ? { kind: 'put_back' } : { kind: 'again', afterMs: 1_000 };
    case 'again': {
      const changed = afterFailure(job, asked.tries, asked, asked.why);
      return { kind: 'again', afterMs: asked.afterMs, job: changed };
    }
    case 'rejected':
      return await escalate(desk, job, unjudged(job, asked, 'drafter_rejected', asked.why), attempt);
    case 'exhausted':
      return await escalate(desk, job, unjudged(job, asked, 'draft_failed', asked.why), attempt);
    case 'answered': {
      const decision = decide(job, asked);
      if (decision.kind === 'accept') return await accept(desk, job, decision, asked, attempt);
      const { confidence, score, reason } = decision;
      return await escalate(
        desk,
        job,
        { ...unjudged(job, asked, reason, null), answer: asked.answer, confidence, score },
        attempt,
      );
    }
  }
}

type Answered = Extract<Asked, { kind: 'answered' }>;

function decide(job: DocumentJob, asked: Answered): Decision {
  const { rules, endpoint, body } = job;
  return route(judge(asked.completion, { signal: rules.signal, endpoint, request: body }), rules);
}

type Span = { readonly startedAtMs: number; readonly endedAtMs: number };

function unjudged(job: DocumentJob, span: Span, reason: EscalationReason, error: TryError | null): Draft {
  const { startedAtMs, endedAtMs } = span;
  const attempts = attemptsWith(job, span, error);
  const none = { answer: null, score: null, confidence: null };
  return { model: job.rules.drafter, ...none, reason, attempts, startedAtMs, endedAtMs };
}

async function accept(
  desk: DraftDesk,
  job: DocumentJob,
  decision: Extract<Decision, { kind: 'accept' }>,
  asked: Answered,
  attempt: Attempt,
): Promise<Verdict> {
  const { startedAtMs, endedAtMs, answer } = asked;
  const { score, confidence } = decision;
  const attempts = attemptsWith(job, asked, null);
  const model = job.rules.drafter;
  const accepted: AcceptedDraft = { model, answer, score, confidence, attempts, startedAtMs, endedAtMs };
  const ending: Ending = { kind: 'accepted', draft: accepted };
  const result = resultOf(job, ending);
  const settled = await untilAnswered(() => settle(desk.board, job, result), attempt.stopping);
  if (settled === 'WROTE') desk.witness.settled({ job, ending, result });
  return settled === 'STOPPED' ? { kind: 'put_back' } : { kind: 'done' };
}

/** Writes the draft onto the job, so that it is not asked for twice, then hands the document over. */
async function escalate(desk: DraftDesk, job: DocumentJob, written: Draft, attempt: Attempt): Promise<Verdict> {
  if (job.draft === null) {
    const save = () => attempt.save({ ...job, draft: written }).then(() => 'SAVED' as const);
    if ((await untilAnswered(save, attempt.stopping)) === 'STOPPED') return { kind: 'put_back' };
  }
  const handed = await untilAnswered(() => handOff(desk.board, desk.queues, job, written), attempt.stopping);
  return handed === 'STOPPED' ? { kind: 'put_back' } : { kind: 'done' };
}
