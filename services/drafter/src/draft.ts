import { afterFailure, resultOf, type DocumentJob, type Draft, type Ending } from '@spillway/core';
import { askDraft, draftOf, type ModelTier } from '@spillway/models';
import { handOff, settle, untilAnswered, type Attempt, type TierDesk, type Verdict } from '@spillway/redis';

/** What a drafter works with. */
export type DraftDesk = TierDesk & { readonly tier: ModelTier };

/** Handles one document: ask, score, route, then settle or hand off. */
export async function draft(desk: DraftDesk, job: DocumentJob, attempt: Attempt): Promise<Verdict> {
  // A drafter before this one got as far as writing the draft down: only the hand-off is left.
  if (job.draft !== null) return await escalate(desk, job, job.draft, attempt);
  const asked = await askDraft(desk.tier, job, attempt);
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
    case 'exhausted':
    case 'drafted': {
      const drawn = draftOf(job, asked);
      if (drawn.kind === 'escalated') return await escalate(desk, job, drawn.draft, attempt);
      return await accept(desk, job, drawn, attempt);
    }
  }
}

async function accept(
  desk: DraftDesk,
  job: DocumentJob,
  ending: Extract<Ending, { kind: 'accepted' }>,
  attempt: Attempt,
): Promise<Verdict> {
  const result = resultOf(job, ending);
  const settled = await untilAnswered(() => settle(desk.board, job, result), attempt.stopping);
  if (settled === 'WROTE') desk.witness.settled({ job, ending, result });
  return settled === 'STOPPED' ? { kind: 'put_back' } : { kind: 'done' };
}

/** Writes the draft onto the job, so that it is not asked for twice, then hands the document over. */
async function escalate(desk: DraftDesk, job: DocumentJob, written: Draft, attempt: Attempt): Promise<Verdict> {
  if (job.draft === null) {
    // Without a job to write it on the draft is handed over all the same: that says whether it is still wanted.
    const save = () => attempt.save({ ...job, draft: written });
    if ((await untilAnswered(save, attempt.stopping)) === 'STOPPED') return { kind: 'put_back' };
  }
  const handed = await untilAnswered(() => handOff(desk.board, desk.queues, job, written), attempt.stopping);
  return handed === 'STOPPED' ? { kind: 'put_back' } : { kind: 'done' };
}
