import {
  addCounts,
  addSaid,
  badLineResult,
  errorCounter,
  MAX_USD_REACHED,
  unfinishedLine,
  type Counts,
  type EndingRecord,
  type NoAnswer,
  type PageFooter,
  type PageLine,
  type PagePlan,
  type Result,
  type UnaskedResult,
} from '@spillway/core';
import { dropPage, fullPages, markSealed, readPage, type Queues, type RedisStore } from '@spillway/redis';
import { mapConcurrent, type Log, type Meters, type Spans } from '@spillway/runtime';
import { readFooterOf, type BatchPlan, type Records, type Storage } from '@spillway/storage';
import type { Copier } from './copy.ts';
import type { KnownSource } from './document-jobs.ts';
import { readDocuments } from './input.ts';
import type { LiveBatches } from './live-batches.ts';
import { OneByOne } from './one-by-one.ts';
import { countLines, deadlineDrafts, writeOrAdoptPage } from './page-results.ts';
import { runStep, type StepFailures } from './step-failures.ts';
import { unfinishedTraces } from './unfinished-traces.ts';

/** Pages are sealed by this many at a time; of those with more input than this only one is held. */
const MAX_CONCURRENT = 8;
export const LARGE_PAGE_BYTES = 256 * 1024;

/** What sealing a page reads and writes. */
export type SealOptions = {
  readonly redis: RedisStore;
  readonly storage: Storage;
  readonly meters: Meters;
  readonly log: Log;
};

/** Seals every page whose documents are all settled; true when there was one. */
export async function sealFullPages(
  options: SealOptions & {
    readonly records: Records;
    readonly failures: StepFailures;
    readonly live: Pick<LiveBatches, 'noteChange'>;
  },
): Promise<boolean> {
  const { redis, records, failures, live } = options;
  const large = new OneByOne();
  const sealed = await mapConcurrent(await fullPages(redis), MAX_CONCURRENT, ({ batch, page }) =>
    runStep(failures, { batch, step: 'seal' }, async () => {
      const plan = await records.plan(batch);
      const seal = async (): Promise<boolean> => {
        if (plan !== null) return await sealFullPage(options, plan, page);
        await dropPage(redis, batch, page);
        return true;
      };
      const done = await ((plan?.pages[page]?.bytes ?? 0) > LARGE_PAGE_BYTES ? large.run(seal) : seal());
      live.noteChange(batch);
      return done;
    }),
  );
  return sealed.some((done) => done === true);
}

/** Redis' counters are for progress. */
const MISCOUNTED = 'a page was counted wrong: its lines say how many documents have an answer';

/** False: the page is not full after all. */
async function sealFullPage(options: SealOptions, plan: BatchPlan, page: number): Promise<boolean> {
  const { redis, storage, log } = options;
  const batch = plan.manifest.id;
  const at = plan.pages[page];
  if (at === undefined) {
    await dropPage(redis, batch, page);
    return true;
  }
  const results = await readPage(redis, batch, page);
  const lines = linesInOrder(at, results.lines);
  const countsOf = (all: readonly PageLine[]): Counts => {
    const { counts, counted } = countLines(all, results.counts);
    if (counted !== null) log.error({ batch, page, counted, lines: counts.completed }, MISCOUNTED);
    return counts;
  };
  const footer =
    lines === null
      ? await readFooterOf(storage, batch, page)
      : await writeOrAdoptPage(options, batch, page, {
          ...results,
          lines,
          counts: countsOf(lines),
          hasLineBytes: hasSingleReaders(plan),
        });
  if (footer === null) return false;
  if ((await markSealed(redis, batch, footer)) === 'GONE') await dropPage(redis, batch, page);
  return true;
}

/** Whether somebody reads single lines of a batch's pages: for copies, or for the batch whose sample it is. */
const hasSingleReaders = ({ copies, manifest }: BatchPlan): boolean =>
  copies !== null || manifest.sampleOf !== undefined;

/** The lines of a page in input order; null when some are missing. */
function linesInOrder(at: PagePlan, lines: ReadonlyMap<number, PageLine>): PageLine[] | null {
  const ordered = Array.from({ length: at.documents }, (_, place) => lines.get(place));
  return ordered.every((line) => line !== undefined) ? ordered : null;
}

/** A page of a batch that ends before all is done. */
export type UnfinishedPage = {
  readonly plan: BatchPlan;
  readonly page: number;
  /** It must stand in storage: from then on nothing can change what the page says. */
  readonly ending: EndingRecord;
};

/**
 * Seals a page of a batch that ends early: what is settled stays, the other documents get the line of the ending. A batch
 * whose time ran out gets for its copies what is known: nobody need be asked for that.
 */
export async function sealUnfinished(
  options: SealOptions & {
    readonly queues: Queues;
    readonly spans: Spans | null;
    readonly copier: Pick<Copier, 'answered'>;
    readonly known: KnownSource;
  },
  { plan, page, ending }: UnfinishedPage,
): Promise<PageFooter> {
  const { redis, storage, queues, spans, copier, known } = options;
  const batch = plan.manifest.id;
  const at = plan.pages[page];
  if (at === undefined) throw new Error(`${batch} has no page ${page}`);
  const stored = await readFooterOf(storage, batch, page);
  if (stored !== null) {
    await markSealed(redis, batch, stored);
    return stored;
  }
  const { lines: settled, counts: settledCounts, said: settledSaid, waits } = await readPage(redis, batch, page);
  const documents = await readDocuments(storage, plan, at);
  const unfinished = documents
    .keys()
    .filter((place) => !settled.has(place))
    .toArray();
  // What the sample answered is there, whoever ends the batch when.
  const { results } = await known.of(plan, page, unfinished);
  const drafts =
    ending.outcome === 'expired' ? await deadlineDrafts(queues, plan, at, unfinished) : new Map<number, Result>();
  for (const [place, result] of results) drafts.set(place, result);
  const error = unfinishedError(ending);
  const copied =
    ending.outcome === 'expired'
      ? await copier.answered({ plan, page, documents, places: unfinished })
      : new Map<number, UnaskedResult>();
  const places = unfinished.filter((place) => !drafts.has(place) && !copied.has(place));
  const sampling = spans?.settings.sampling ?? null;
  const traces = await unfinishedTraces({ queues, sampling }, { plan, at, places, error, ...ending });
  let counts = traces.length === 0 ? settledCounts : addCounts(settledCounts, { traced: traces.length });
  let said = settledSaid;
  for (const result of drafts.values()) {
    counts = addCounts(counts, result.counts);
    said = addSaid(said, result.said ?? {});
    waits.add(result);
  }
  for (const result of copied.values()) counts = addCounts(counts, result.counts);
  const lines = documents.map((document, place): PageLine => {
    const line = settled.get(place) ?? drafts.get(place)?.line ?? copied.get(place)?.line;
    if (line !== undefined) return line;
    if (document.kind === 'request') {
      counts = addCounts(counts, { [errorCounter(error.code)]: 1 });
      return unfinishedLine(batch, at.first + place, document.request.customId, error);
    }
    // A bad line says the same whenever its batch ends.
    const bad = badLineResult(batch, at.first + place, document);
    counts = addCounts(counts, bad.counts);
    return bad.line;
  });
  const hasLineBytes = hasSingleReaders(plan);
  const footer = await writeOrAdoptPage(options, batch, page, { lines, counts, said, waits, hasLineBytes });
  spans?.emit(traces.flat());
  await markSealed(redis, batch, footer);
  const ofPage = { batch, first: at.first, documents: at.documents };
  for (const tier of plan.tiers) await queues.drop(tier, ofPage, unfinished);
  return footer;
}

const UNFINISHED = {
  cancelled: { code: 'batch_cancelled', message: 'This request was not finished before its batch was cancelled.' },
  expired: {
    code: 'batch_expired',
    message: 'This request could not be executed before the completion window expired.',
  },
  completed: { code: 'server_error', message: 'This request has no result.' },
  failed: { code: 'server_error', message: 'This request was not executed.' },
} as const;

const CAPPED = {
  code: MAX_USD_REACHED,
  message: 'This request was not finished before its batch had cost what it may.',
};

/** The error of every line that an ending leaves unfinished. */
function unfinishedError({ outcome, errors }: EndingRecord): NoAnswer {
  return errors.some(({ code }) => code === MAX_USD_REACHED) ? CAPPED : UNFINISHED[outcome];
}
