import {
  addCounts,
  addSaid,
  badLineResult,
  errorCounter,
  MAX_USD_REACHED,
  spentCounts,
  unfinishedLine,
  type Counts,
  type EndingRecord,
  type NoAnswer,
  type PageFooter,
  type PageLine,
  type PagePlan,
  type DocumentRequest,
  type Usage,
} from '@spillway/core';
import {
  bytesInFlight,
  dropPage,
  fullPages,
  markSealed,
  readPage,
  type PageResults,
  type Queues,
  type RedisStore,
} from '@spillway/redis';
import { mapConcurrent, type Log, type Meters, type Spans } from '@spillway/runtime';
import { readFooterOf, type BatchPlan, type Records, type Storage } from '@spillway/storage';
import type { Copier } from './copy.ts';
import { readDocuments } from './input.ts';
import type { KnownResults } from './known-results.ts';
import type { LiveBatches } from './live-batches.ts';
import { OneByOne } from './one-by-one.ts';
import { deadlineDrafts, writeOrAdoptPage } from './page-results.ts';
import { runStep, type StepFailures } from './step-failures.ts';
import { unfinishedTraces } from './unfinished-traces.ts';

/** Pages are sealed by this many at a time; of those that hold more than this only one is held. */
const MAX_CONCURRENT = 8;
export const LARGE_PAGE_BYTES = 256 * 1024;
/** Of input, drafts and results together; their lines and drafts are in memory three times while they are written. */
const LARGE_RESULTS_BYTES = 4 * 1024 * 1024;

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
  const full = await fullPages(redis);
  const bytes = await bytesInFlight(redis, full);
  const sealed = await mapConcurrent(full.entries(), MAX_CONCURRENT, ([at, { batch, page }]) =>
    runStep(failures, { batch, step: 'seal' }, async () => {
      const plan = await records.plan(batch);
      const seal = async (): Promise<boolean> => {
        if (plan !== null) return await sealFullPage(options, plan, page);
        await dropPage(redis, batch, page);
        return true;
      };
      const isLarge = (plan?.pages[page]?.bytes ?? 0) > LARGE_PAGE_BYTES || (bytes[at] ?? 0) > LARGE_RESULTS_BYTES;
      const done = await (isLarge ? large.run(seal) : seal());
      live.noteChange(batch);
      return done;
    }),
  );
  return sealed.some((done) => done === true);
}

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
  if (lines !== null) tellMiscounted(log, { batch, page, ...results });
  const footer =
    lines === null
      ? await readFooterOf(storage, batch, page)
      : await writeOrAdoptPage(options, batch, page, { ...results, lines, hasLineBytes: hasSingleReaders(plan) });
  if (footer === null) return false;
  if ((await markSealed(redis, batch, footer)) === 'GONE') await dropPage(redis, batch, page);
  return true;
}

const MISCOUNTED = 'a page was counted wrong in Redis: what its results say of themselves holds';

function tellMiscounted(
  log: Log,
  { batch, page, miscounted }: Pick<PageResults, 'miscounted'> & { readonly batch: string; readonly page: number },
): void {
  if (miscounted !== null) log.error({ batch, page, ...miscounted }, MISCOUNTED);
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
 * whose time ran out gets what is known, and for its copies too: nobody need be asked for that.
 */
export async function sealUnfinished(
  options: SealOptions & {
    readonly queues: Queues;
    readonly spans: Spans | null;
    readonly copier: Pick<Copier, 'answered'>;
    readonly known: KnownResults;
  },
  { plan, page, ending }: UnfinishedPage,
): Promise<PageFooter> {
  const { redis, storage, queues, spans, copier, known, log } = options;
  const batch = plan.manifest.id;
  const at = plan.pages[page];
  if (at === undefined) throw new Error(`${batch} has no page ${page}`);
  const stored = await readFooterOf(storage, batch, page);
  if (stored !== null) {
    await markSealed(redis, batch, stored);
    return stored;
  }
  const { lines: settled, kept: settledKept, miscounted, ...sums } = await readPage(redis, batch, page);
  tellMiscounted(log, { batch, page, miscounted });
  const { waits } = sums;
  const documents = await readDocuments(storage, plan, at);
  const unfinished = documents
    .keys()
    .filter((place) => !settled.has(place))
    .toArray();
  // What is known is there, whoever ends the batch when.
  const { results: answers, spent } = await known.of({ plan, page, documents, places: unfinished });
  const results = new Map(answers);
  if (ending.outcome === 'expired') {
    const left = unfinished.filter((place) => !results.has(place));
    const copied = await copier.answered({ plan, page, documents, places: left });
    const drafts = await deadlineDrafts(queues, plan, at, left);
    for (const [place, result] of [...copied, ...drafts]) results.set(place, result);
  }
  const error = unfinishedError(ending);
  const places = unfinished.filter((place) => !results.has(place));
  const sampling = spans?.settings.sampling ?? null;
  const traces = await unfinishedTraces({ queues, sampling }, { plan, at, places, error, ...ending });
  let counts = traces.length === 0 ? sums.counts : addCounts(sums.counts, { traced: traces.length });
  let { said } = sums;
  const kept = new Map(settledKept);
  for (const [place, result] of results) {
    if ('times' in result) waits.add(result);
    counts = addCounts(counts, result.counts);
    said = addSaid(said, result.said ?? {});
    if (result.kept !== undefined) kept.set(place, result.kept);
  }
  const lines = documents.map((document, place): PageLine => {
    const line = settled.get(place) ?? results.get(place)?.line;
    if (line !== undefined) return line;
    if (document.kind === 'request') {
      counts = addCounts(counts, unfinishedCounts(plan, document.request, { error, spent: spent.get(place) ?? [] }));
      return unfinishedLine(batch, at.first + place, document.request.customId, error);
    }
    // A bad line says the same whenever its batch ends.
    const bad = badLineResult(batch, at.first + place, document);
    counts = addCounts(counts, bad.counts);
    return bad.line;
  });
  const hasLineBytes = hasSingleReaders(plan);
  const footer = await writeOrAdoptPage(options, batch, page, { lines, kept, counts, said, waits, hasLineBytes });
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

/** What a document counts that is not finished: what its sample took was paid, and nobody else counts it. */
function unfinishedCounts(
  { cascades }: BatchPlan,
  { cascade }: DocumentRequest,
  { error, spent }: { readonly error: NoAnswer; readonly spent: readonly Usage[] },
): Partial<Counts> {
  const rules = cascades[cascade];
  return {
    [errorCounter(error.code)]: 1,
    ...(rules === undefined ? {} : spentCounts(cascade, rules, spent)),
  };
}

/** The error of every line that an ending leaves unfinished. */
function unfinishedError({ outcome, errors }: EndingRecord): NoAnswer {
  return errors.some(({ code }) => code === MAX_USD_REACHED) ? CAPPED : UNFINISHED[outcome];
}
