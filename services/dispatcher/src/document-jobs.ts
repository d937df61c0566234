import {
  badLineResult,
  bundleSize,
  byPrefix,
  draftedJob,
  lastStageJob,
  drawnShare,
  isDrawn,
  pageCost,
  skipUnfit,
  stageTier,
  type CascadeDocument,
  type DocumentJob,
  type Draft,
  type Result,
  type UnaskedResult,
  type Usage,
} from '@spillway/core';
import {
  chargePage,
  enqueuePage,
  lostDocuments,
  Settler,
  type Queues,
  type RedisStore,
  type TierLoads,
} from '@spillway/redis';
import { mapConcurrent, type Sampling } from '@spillway/runtime';
import type { BatchPlan, Storage } from '@spillway/storage';
import { readDocuments } from './input.ts';
import type { Known, KnownResults, SomeDocuments } from './known-results.ts';
import { newDocumentJob } from './new-job.ts';

/** What nobody need be asked about is settled by this many at a time. */
const MAX_SETTLES = 64;

/** Where documents go, and which of their traces are kept; `sampling` is null where there is nowhere to send traces. */
export type JobTarget = {
  readonly redis: RedisStore;
  readonly queues: Queues;
  readonly sampling: Sampling | null;
};

/** Who answers documents from an equal one: takes those that are such copies, and says which of the places are left. */
type CopyTaker = {
  take(added: PageDocuments): Promise<readonly number[]>;
  /** Whether a document, by its index in the batch, was taken and waits. */
  isWaiting(batch: string, document: number): boolean;
};

/** Documents of a page; `places` are the indices in the page of those that are enqueued. */
export type PageDocuments = SomeDocuments & {
  /** What says how many documents a job is to have; null: each has one of its own, whose id no other job can have. */
  readonly loads: TierLoads | null;
  /** What was drafted before, by place: those documents go on to the stage behind. Absent: nothing was. */
  readonly drafts?: ReadonlyMap<number, readonly Draft[]>;
  /** Those that begin at the last stage, by place. Absent: none does. */
  readonly lastStage?: ReadonlySet<number>;
  /** What stages took of them that nobody counted, by place and stage. Absent: nothing. */
  readonly spent?: Known['spent'];
};

/** Where documents are answered from that need not be asked about. */
export type AnswerSources = { readonly copier: CopyTaker; readonly known: KnownResults };

/**
 * Has documents of a page answered: those that are copies of another one from that, as soon as that one is, the others by
 * being asked about. Bad lines and what is known already have nothing to wait for: they are settled at once.
 */
export async function addDocuments(target: JobTarget & AnswerSources, added: PageDocuments): Promise<void> {
  await settleBadLines(target, added);
  const { results, ...begun } = await target.known.of(added);
  await settleAll(target, added, [...results]);
  const unknown = added.places.filter((place) => !results.has(place));
  const places = await target.copier.take({ ...added, places: unknown });
  await chargeDrafts(
    target,
    added,
    places.flatMap((place) => begun.drafts.get(place) ?? []),
  );
  await askDocuments(target, { ...added, ...begun, places });
}

/** Known drafts stand in Redis with the jobs, as those do that are handed off. */
async function chargeDrafts(
  { redis }: JobTarget,
  { plan, page }: SomeDocuments,
  drafts: readonly Draft[],
): Promise<void> {
  if (drafts.length === 0) return;
  const bytes = drafts.reduce((sum, draft) => sum + Buffer.byteLength(JSON.stringify(draft)), 0);
  await chargePage(redis, plan.manifest.id, page, bytes);
}

/**
 * Enqueues again what of an enqueued page has neither a result nor a job, nor waits as a copy for that of another; answers
 * how many documents that were. Each has a job of its own: jobs of several are not put together as they were before.
 */
export async function addLostDocuments(
  target: JobTarget & AnswerSources & { readonly storage: Storage },
  plan: BatchPlan,
  page: number,
): Promise<number> {
  const { redis, storage, copier } = target;
  const batch = plan.manifest.id;
  const at = plan.pages[page];
  if (at === undefined) return 0;
  const where = { first: at.first, enqueuedDocuments: at.documents, tiers: plan.tiers };
  const found = await lostDocuments(redis, batch, page, where);
  if (found.length === 0) return 0;
  const answer = await enqueuePage(redis, batch, page, at, pageCost(at));
  if (answer !== 'ENQUEUED' && answer !== 'AGAIN') return 0;
  const isLost = (place: number): boolean => !copier.isWaiting(batch, at.first + place);
  // In a page that Redis lost nothing waits any more.
  const places = answer === 'AGAIN' ? found.filter(isLost) : found;
  if (places.length === 0) return 0;
  const documents = await readDocuments(storage, plan, at);
  await addDocuments(target, { plan, page, documents, places, loads: null });
  // What is taken as a copy has no job, and whoever comes to lead finds it here.
  return places.filter(isLost).length;
}

/** What Redis does not take now, as it recovers or was lost, is found by the sweep: it has neither a result nor a job. */
async function settleBadLines(target: JobTarget, added: PageDocuments): Promise<void> {
  const { plan, page, documents, places } = added;
  const { id: batch } = plan.manifest;
  const first = plan.pages[page]?.first ?? 0;
  const bad = places.flatMap((place): [number, UnaskedResult][] => {
    const document = documents[place];
    return document?.kind === 'bad' ? [[place, badLineResult(batch, first + place, document)]] : [];
  });
  await settleAll(target, added, bad);
}

async function settleAll(
  { redis }: JobTarget,
  { plan, page }: PageDocuments,
  results: readonly (readonly [number, Result | UnaskedResult])[],
): Promise<void> {
  const { id: batch } = plan.manifest;
  const settler = new Settler(redis);
  await mapConcurrent(results, MAX_SETTLES, ([place, result]) => settler.settle({ batch, page, place }, result));
}

/**
 * Puts documents of a page into the queues of their first stages. A document that a first model is known not to take
 * begins at the first stage that can take it.
 */
export async function askDocuments(
  { queues, sampling }: JobTarget,
  { plan, page, documents, places, loads, drafts, lastStage, spent }: PageDocuments,
): Promise<void> {
  const { id: batch, tenant } = plan.manifest;
  const { first = 0, bytes = 0, documents: all = 1 } = plan.pages[page] ?? {};
  const behind = Math.max(0, plan.total - first - all);
  const share = tracedShare(sampling, plan.total);
  const now = Date.now();
  const byTier = new Map<string, DocumentJob[]>();
  const requests = places.flatMap((place) => {
    const document = documents[place];
    return document?.kind === 'request' ? [{ place, request: document.request }] : [];
  });
  for (const { place, request } of byPrefix(requests)) {
    const rules = plan.cascades[request.cascade];
    if (rules === undefined) continue;
    const sampled = isDrawn({ batch, document: first + place }, share);
    const asked = newDocumentJob({ plan, page, place, request, sampled, now });
    const job = beginning(
      { job: asked, rules },
      { drafts: drafts?.get(place), isLastStage: lastStage?.has(place), spent: spent?.get(place), nowMs: now },
    );
    const tier = stageTier(rules, job.stage);
    const jobs = byTier.get(tier);
    if (jobs === undefined) byTier.set(tier, [job]);
    else jobs.push(job);
  }
  for (const [tier, jobs] of byTier) {
    const part = jobs.length / all;
    const adding = { documents: jobs.length, bytes: bytes * part, behind: Math.floor(behind * part) };
    const size = loads === null ? 1 : bundleSize(await loads.of(tier, adding));
    await queues.add(tier, jobs, await queues.takeTags(tier, { tenant, batch, documents: jobs.length }), { size });
  }
}

type Begun = {
  readonly drafts: readonly Draft[] | undefined;
  readonly isLastStage: boolean | undefined;
  readonly spent: readonly Usage[] | undefined;
  readonly nowMs: number;
};

/** The job by which a document begins: with the drafts that there are, at the last stage, or at the first that can take it. */
function beginning(document: CascadeDocument, { drafts, isLastStage = false, spent, nowMs }: Begun): DocumentJob {
  if (drafts !== undefined) return draftedJob(document, drafts, { spent, nowMs });
  return isLastStage ? lastStageJob(document, { reason: 'sampled', nowMs, spent }) : skipUnfit(document, nowMs);
}

/** The share of a batch's documents whose traces are kept whatever comes of them. */
export function tracedShare(sampling: Sampling | null, documents: number): number {
  if (sampling === null) return 0;
  return sampling.kind === 'share' ? sampling.share : drawnShare(sampling.perBatch, documents);
}
