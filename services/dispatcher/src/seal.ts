import {
  addCounts,
  KEYS,
  LIMITS,
  MAX_USD_REACHED,
  NO_COUNTS,
  readFooter,
  uncertifiedDraft,
  unfinishedLine,
  verifyPage,
  writePage,
  type Counts,
  type DocumentJob,
  type EndingRecord,
  type NoAnswer,
  type PageFooter,
  type PageLine,
  type PagePlan,
  type Waits,
} from '@spillway/core';
import { dropPage, fullPages, jobIds, markSealed, readPage } from '@spillway/redis';
import { apart, type BatchPlan, type Desk } from './desk.ts';
import { readDocuments } from './input.ts';

/** The end of a page object that surely holds its footer. */
const FOOTER_BYTES = LIMITS.footerBytes;

/** Seals every page whose documents are all settled; true when there was one. */
export async function sealFullPages(desk: Desk): Promise<boolean> {
  const pages = await fullPages(desk.board);
  let sealed = false;
  for (const { batch, page } of pages) {
    const done = await apart(desk, batch, 'seal', async () => {
      const plan = await desk.records.plan(batch);
      if (plan !== null) return await sealFull(desk, plan, page);
      await dropPage(desk.board, batch, page);
      return true;
    });
    sealed ||= done === true;
  }
  return sealed;
}

/** False: the page is not full after all. */
async function sealFull(desk: Desk, plan: BatchPlan, page: number): Promise<boolean> {
  const at = plan.pages[page];
  const batch = plan.manifest.id;
  if (at === undefined) {
    await dropPage(desk.board, batch, page);
    return true;
  }
  const results = await readPage(desk.board, batch, page);
  const lines = at.documents === results.lines.size ? inOrder(at, results.lines) : null;
  const footer =
    lines === null ? await storedFooter(desk, batch, page) : await write(desk, batch, page, { ...results, lines });
  if (footer === null) return false;
  if ((await markSealed(desk.board, batch, footer)) === 'GONE') await dropPage(desk.board, batch, page);
  return true;
}

function inOrder(at: PagePlan, lines: ReadonlyMap<number, PageLine>): PageLine[] | null {
  const ordered = Array.from({ length: at.documents }, (_, place) => lines.get(place));
  return ordered.every((line) => line !== undefined) ? ordered : null;
}

/**
 * Seals a page of a batch that ends before all is done: what is settled stays, the others get the line of the ending.
 * Only after the ending record stands may this be called: it makes the page's content final.
 */
export async function sealUnfinished(
  desk: Desk,
  plan: BatchPlan,
  page: number,
  ending: EndingRecord,
): Promise<PageFooter> {
  const at = plan.pages[page];
  const batch = plan.manifest.id;
  if (at === undefined) throw new Error(`${batch} has no page ${page}`);
  const stored = await storedFooter(desk, batch, page);
  if (stored !== null) {
    await markSealed(desk.board, batch, stored);
    return stored;
  }
  const results = await readPage(desk.board, batch, page);
  const documents = await readDocuments(desk, plan, at);
  const missing = documents
    .keys()
    .toArray()
    .filter((place) => !results.lines.has(place));
  const drafts =
    ending.outcome === 'expired' ? await waitingDrafts(desk, plan, at, missing) : new Map<number, DocumentJob>();
  let { counts } = results;
  const { waits } = results;
  const lines = documents.map((document, place): PageLine => {
    const settled = results.lines.get(place);
    if (settled !== undefined) return settled;
    const job = drafts.get(place);
    if (job?.draft?.answer) {
      const result = uncertifiedDraft(job, job.draft, job.draft.answer);
      counts = addCounts(counts, result.counts);
      waits.add(result.times);
      return result.line;
    }
    return unfinishedLine(batch, at.first + place, document.customId, unfinishedOf(ending));
  });
  const footer = await write(desk, batch, page, { lines, counts, waits });
  await markSealed(desk.board, batch, footer);
  const ids = jobIds(batch, at.first, missing);
  for (const tier of plan.tiers) await desk.queues.drop(tier, ids);
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
function unfinishedOf({ outcome, errors }: EndingRecord): NoAnswer {
  return errors.some(({ code }) => code === MAX_USD_REACHED) ? CAPPED : UNFINISHED[outcome];
}

/** Escalated documents that wait for the expert and whose cascade takes the draft at the deadline. */
async function waitingDrafts(
  desk: Desk,
  plan: BatchPlan,
  at: PagePlan,
  missing: readonly number[],
): Promise<Map<number, DocumentJob>> {
  const wanted = Object.values(plan.cascades).some((rules) => rules.onDeadline === 'draft');
  if (!wanted) return new Map();
  const found = new Map<number, DocumentJob>();
  for (const tier of plan.tiers) {
    for (const job of await desk.queues.find(tier, jobIds(plan.manifest.id, at.first, missing))) {
      const answered = job.draft?.answer != null && job.draft.answer.status < 300;
      if (answered && job.rules.onDeadline === 'draft') found.set(job.place, job);
    }
  }
  return found;
}

/** Writes a page, or adopts the one that stands. */
async function write(
  desk: Desk,
  batch: string,
  page: number,
  { lines, counts, waits }: { lines: readonly PageLine[]; counts: Counts; waits: Waits },
): Promise<PageFooter> {
  const key = KEYS.page(batch, page);
  const written = writePage(page, lines, { counts: addCounts(NO_COUNTS, counts), waits: waits.write() });
  if ((await desk.storage.create(key, written.bytes)) === 'created') {
    desk.telemetry.meters.count('cascade.pages.sealed', 1);
    return written.footer;
  }
  const object = await desk.storage.read(key);
  const footer = object === null ? null : verifyPage(object);
  if (footer === null) throw new Error(`The page ${key} in storage is damaged: its checksum does not hold`);
  return footer;
}

/** The footer of a page that stands in storage, or null. */
async function storedFooter(desk: Desk, batch: string, page: number): Promise<PageFooter | null> {
  const key = KEYS.page(batch, page);
  const size = await desk.storage.size(key);
  if (size === null) return null;
  const end = await desk.storage.read(key, { start: Math.max(0, size - FOOTER_BYTES), end: size });
  const footer = end === null ? null : readFooter(end);
  if (footer === null) throw new Error(`The page ${key} in storage has no footer`);
  return footer;
}

/** Footers read at once. */
const READ_AT_ONCE = 16;

/** The footers of a batch's pages; null where a page does not stand in storage. */
export async function readFooters(desk: Desk, plan: BatchPlan): Promise<(PageFooter | null)[]> {
  const footers: (PageFooter | null)[] = [];
  for (let from = 0; from < plan.pages.length; from += READ_AT_ONCE) {
    const some = plan.pages.slice(from, from + READ_AT_ONCE);
    footers.push(...(await Promise.all(some.map((_, index) => storedFooter(desk, plan.manifest.id, from + index)))));
  }
  return footers;
}
