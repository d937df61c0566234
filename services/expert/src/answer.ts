import { afterFailure, resultOf, type DocumentJob, type Ending } from '@spillway/core';
import type { ModelTier } from '@spillway/models';
import { settle, untilAnswered, type Attempt, type TierDesk, type Verdict } from '@spillway/redis';

/** What an expert works with. */
export type ExpertDesk = Omit<TierDesk, 'queues'> & { readonly tier: ModelTier };

/** Handles one escalated document: ask, settle. */
export async function answer(desk: ExpertDesk, job: DocumentJob, attempt: Attempt): Promise<Verdict> {
  const asked = await desk.tier.ask(job, { ...attempt, topLogprobs: 0 });
  switch (asked.kind) {
    case 'gate':
      return asked;
    case 'stopped':
      return asked.reason === 'shutdown' ? { kind: 'put_back' } : { kind: 'again', afterMs: 1_000 };
    case 'again': {
      const changed = afterFailure(job, asked.tries, asked, asked.why);
      return { kind: 'again', afterMs: asked.afterMs, job: changed };
    }
    case 'answered':
    case 'rejected':
      return await finish(desk, job, { ...asked, kind: 'expert' }, attempt);
    case 'exhausted': {
      const { answer: last, error, why, startedAtMs, endedAtMs } = asked;
      const span = { why, startedAtMs, endedAtMs };
      const ending: Ending =
        last === null ? { kind: 'failed', error, ...span } : { kind: 'expert', answer: last, ...span };
      return await finish(desk, job, ending, attempt);
    }
  }
}

async function finish(desk: ExpertDesk, job: DocumentJob, ending: Ending, attempt: Attempt): Promise<Verdict> {
  const result = resultOf(job, ending);
  const settled = await untilAnswered(() => settle(desk.board, job, result), attempt.stopping);
  if (settled === 'WROTE') desk.witness.settled({ job, ending, result });
  return settled === 'STOPPED' ? { kind: 'put_back' } : { kind: 'done' };
}
