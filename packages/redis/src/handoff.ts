import {
  draftToHandOff,
  isUnjudged,
  LIMITS,
  nextStageJob,
  reasonCounter,
  stageKey,
  stageTier,
  type CascadeDocument,
  type Warning,
} from '@spillway/core';
import { pageMember } from './keys.ts';
import type { Queues } from './queues.ts';
import { Script } from './script.ts';
import type { RedisStore } from './store.ts';
import { readWarning } from './words.ts';

/** What became of a hand-off. */
export type HandedOff = 'GO' | 'ALREADY' | 'CLOSED' | 'RECOVERING';

const script = new Script('handoff', 'move_down', 'fair', 'said', 'drafts');

/**
 * ★ The only way from one stage to the next. The draft was written onto the stage's job before, so whoever gets that job
 * again hands the same draft off; the next job has a deterministic id; settle decides should two run after all. The
 * function that is returned may be called again until it succeeds: the draft is charged and its start tag taken once.
 *
 * The draft is also counted among the first ones of its stage in this batch. Where it is the last of those and none of
 * them could be judged, `onUnjudged` is called: once for a batch and a tier, whichever process gets there.
 */
export function prepareHandOff(
  redis: RedisStore,
  queues: Queues,
  document: CascadeDocument,
  onUnjudged: (warning: Warning) => void = () => undefined,
): () => Promise<HandedOff> {
  const { keys, client } = redis;
  const { job, rules } = document;
  const next = nextStageJob(document, Date.now());
  const tier = stageTier(rules, next.stage);
  const draft = draftToHandOff(job);
  const bytes = Buffer.byteLength(JSON.stringify(draft));
  const told = [stageKey(job.cascade, job.stage), stageTier(rules, job.stage), ...draftWords(document)];
  const all = [
    keys.epoch,
    keys.batch(job.batch),
    keys.sealed(job.batch),
    keys.page(job.batch, job.page),
    keys.inFlight,
    ...keys.tagInputs(tier),
  ];
  const member = pageMember(job.batch, job.page);
  let taken: number | null = null;
  return async () => {
    const [state, tag, isTold] = (await script.run(client, all, [
      job.page,
      job.place,
      job.batch,
      LIMITS.queuePriority,
      keys.jobs(tier),
      member,
      bytes,
      taken ?? '',
      ...told,
    ])) as [HandedOff, number, number?];
    if (state !== 'GO') return state;
    taken = tag;
    if (isTold === 1) {
      const warning = await readWarning(redis, job.batch, job);
      if (warning !== null) onUnjudged(warning);
    }
    await queues.add(tier, [next], () => tag);
    return 'GO';
  };
}

/** What the script is to count of a draft and keep of what its server said. */
function draftWords({ job }: CascadeDocument): (string | number)[] {
  const { reason = '', said = '', refusal = '', attempts = [] } = draftToHandOff(job) ?? {};
  const error = attempts.at(-1)?.error ?? null;
  // Only what an error over HTTP said is fit for a log: anything else may be an answer, which is content.
  const words = error !== null && /^\d{3}$/.test(error.type) ? (error.said ?? '') : refusal;
  const unjudged = reason !== '' && isUnjudged(reason) ? reason : '';
  const { firstDrafts, firstDraftsMin, saidTexts } = LIMITS;
  return [unjudged, words, firstDrafts, firstDraftsMin, reasonCounter(job.cascade, job.stage, reason), said, saidTexts];
}
