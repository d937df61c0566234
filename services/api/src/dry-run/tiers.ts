import {
  stageTier,
  tierEstimate,
  tiersTime,
  type CascadeRules,
  type Expected,
  type PilotDocument,
  type Population,
  type TierWork,
  type TimeExpected,
} from '@spillway/core';
import { isRecovering, readTier, type Queues, type RedisStore, type TierState } from '@spillway/redis';
import { within, type Log } from '@spillway/runtime';

export type TierSources = { readonly redis: RedisStore; readonly queues: Queues; readonly log: Log };

/** A tier as it is now. */
type Seen = { readonly tier: string; readonly state: TierState; readonly waiting: number };

/** What a batch has for its tiers to do. */
export type TiersAsked = {
  /** With how many documents of each are asked about. */
  readonly cascades: readonly { readonly rules: CascadeRules; readonly documents: number }[];
  readonly pilot: {
    readonly documents: readonly PilotDocument[];
    readonly population: Population;
    /** The share of all documents that comes to each stage of the only cascade; null: as many as of the pilot. */
    readonly reach: readonly Expected[] | null;
  } | null;
};

/** How long a batch takes; null: nobody can say, and the notes say why. */
export type TimeAnswer = { readonly time: TimeExpected | null; readonly notes: readonly string[] };

/** It is a figure among others, and nobody waits for it longer. */
const MAX_READ_MS = 2_000;

/** Seconds that a worker measured vary about so much by the documents of other batches. */
const MEASURED_SPREAD = 0.5;
/** As many answers as what a worker measured is worth. */
const MEASURED_ANSWERS = 20;

/** How long a batch takes if it has its tiers to itself, by the workers that are there now. */
export async function timeOf(sources: TierSources, asked: TiersAsked): Promise<TimeAnswer> {
  const tiers = [
    ...new Set(asked.cascades.flatMap(({ rules }) => rules.stages.map((_, stage) => stageTier(rules, stage)))),
  ];
  const seen = await readTiers(sources, tiers);
  if (seen === null) return { time: null, notes: ['seconds: the workers cannot be looked at just now.'] };
  const works: TierWork[] = [];
  for (const one of seen) {
    const work = workOf(one, asked);
    if (typeof work === 'string') return { time: null, notes: [`seconds: ${work}`] };
    works.push(work);
  }
  const ahead = seen.filter(({ waiting }) => waiting > 0);
  const notes = ahead.map(
    ({ tier, waiting }) => `seconds: ${waiting} documents wait in ${tier} now; they come on top.`,
  );
  return { time: tiersTime(works), notes };
}

async function readTiers(
  { redis, queues, log }: TierSources,
  tiers: readonly string[],
): Promise<readonly Seen[] | null> {
  const reading = async (): Promise<readonly Seen[] | null> => {
    const seen = await Promise.all(
      tiers.map(async (tier) => {
        const [state, { waiting }] = await Promise.all([readTier(redis, tier), queues.depth(tier)]);
        return { tier, state, waiting };
      }),
    );
    return (await isRecovering(redis)) ? null : seen;
  };
  try {
    return await within(MAX_READ_MS, reading());
  } catch (error) {
    log.debug({ err: error }, 'a dry run says nothing of time: Redis does not answer');
    return null;
  }
}

/** What a tier has to do, or why nobody can say how long it takes. */
function workOf({ tier, state }: Seen, { cascades, pilot }: TiersAsked): TierWork | string {
  const { replicas, concurrency, secondsPerDocument, paused } = state;
  if (concurrency === null || replicas === 0) return `no worker of ${tier} is there.`;
  if (paused !== null) return `the workers of ${tier} pause: ${paused}`;
  const slots = Math.max(1, replicas * concurrency);
  const estimate = pilot === null ? null : tierEstimate(pilot.documents, pilot.population, tier);
  const documents = reachingOf(tier, { cascades, pilot }) ?? estimate?.documents ?? documentsOf(tier, cascades);
  const known = secondsPerDocument === null || secondsPerDocument <= 0 ? null : secondsPerDocument;
  if (known !== null) {
    const [low, high] = [known / (1 + MEASURED_SPREAD), known * (1 + MEASURED_SPREAD)];
    return { documents, secondsEach: { low, likely: known, high }, answers: MEASURED_ANSWERS, slots };
  }
  if (estimate === null) return `nobody has measured yet how long ${tier} takes for a document; a pilot would.`;
  const { secondsEach, answers } = estimate;
  if (secondsEach === null) return `no document of the pilot came to ${tier}, whose time nobody has measured yet.`;
  return { documents, secondsEach, answers, slots };
}

/** The documents that come to a tier, where their share is known otherwise than from how many of the pilot did; else null. */
function reachingOf(tier: string, { cascades, pilot }: TiersAsked): TierWork['documents'] | null {
  const [only] = cascades;
  const stage = only?.rules.stages.findIndex((_, at) => stageTier(only.rules, at) === tier) ?? -1;
  const share = pilot?.reach?.[stage];
  if (only === undefined || share === undefined) return null;
  const { documents } = only;
  return { low: documents * share.low, likely: documents * share.likely, high: documents * share.high };
}

/** Without a pilot: all documents come to a first stage, and nobody knows how many to a later one. */
function documentsOf(tier: string, cascades: TiersAsked['cascades']): TierWork['documents'] {
  let [low, high] = [0, 0];
  for (const { rules, documents } of cascades) {
    const stage = rules.stages.findIndex((_, at) => stageTier(rules, at) === tier);
    if (stage === -1) continue;
    high += documents;
    if (stage === 0 || rules.shadow) low += documents;
  }
  return { low, likely: low === high ? low : null, high };
}
