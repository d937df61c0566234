import {
  acceptingNothing,
  drawnDocuments,
  keptResult,
  keptSample,
  pageOfDocument,
  readingDelivered,
  readingKept,
  redecide,
  rulesAnew,
  selectionOf,
  type Draft,
  type Selection,
  type UnaskedResult,
} from '@spillway/core';
import { runSliced, type Log } from '@spillway/runtime';
import { readKeptPage, type BatchPlan, type KeptPlace, type Records, type Storage } from '@spillway/storage';
import { NOTHING_KNOWN, type Known, type KnownResults, type SomeDocuments } from './known-results.ts';
import { newDocumentJob } from './new-job.ts';

/** Knows of batches that were decided anew from another one what is known of their documents from that one's pages. */
export class RedecidedResults implements KnownResults {
  readonly #options: { readonly storage: Storage; readonly records: Records; readonly log: Log };
  /** Batches of which was told that a page of the batch before cannot be read. */
  readonly #told = new Set<string>();

  constructor(options: { readonly storage: Storage; readonly records: Records; readonly log: Log }) {
    this.#options = options;
  }

  async of(some: SomeDocuments): Promise<Known> {
    const { plan, page, places } = some;
    const source = await this.#sourceOf(plan);
    if (source === null) return NOTHING_KNOWN;
    const { before, documentOf } = source;
    const first = plan.pages[page]?.first ?? 0;
    const { redecided } = plan.manifest;
    const selection = redecided === undefined ? null : selectionOf(redecided);
    const results = new Map<number, UnaskedResult>();
    const drafts = new Map<number, readonly Draft[]>();
    const pageOf = (place: number): number | null => pageOfDocument(before.pages, documentOf(first + place));
    for (const [pageBefore, own] of Map.groupBy(places, pageOf)) {
      const at = before.pages[pageBefore ?? -1];
      if (pageBefore === null || at === undefined) continue;
      const { id: batch } = before.manifest;
      const read = await readKeptPage(this.#options.storage, { batch, page: pageBefore, first: at.first });
      if (read.kind === 'gone' || read.kind === 'damaged') this.#tell(plan, `page ${pageBefore} (${read.kind})`);
      if (read.kind !== 'kept') continue;
      for (const place of own) {
        const kept = read.documents.get(documentOf(first + place) - at.first);
        if (kept !== undefined) await decide({ ...some, before, place, selection, kept }, { results, drafts });
      }
    }
    return { ...NOTHING_KNOWN, results, drafts };
  }

  /** Null: nothing is known from another batch. */
  async #sourceOf(plan: BatchPlan): Promise<Source | null> {
    const { records } = this.#options;
    const { redecided, sampleOf } = plan.manifest;
    const sampled = sampleOf === undefined ? null : await records.plan(sampleOf);
    const from = redecided?.from ?? sampled?.manifest.redecided?.from;
    if (from === undefined) return null;
    const before = await records.plan(from);
    // Both read the same file by the same rules; where the batch before is gone nothing is known.
    if (before === null || before.total !== (sampled ?? plan).total) return this.#tell(plan, 'its plan');
    if (sampled === null) return { before, documentOf: (document) => document };
    const drawn = drawnDocuments(sampled.draws ?? {});
    return { before, documentOf: (document) => drawn[document] ?? before.total };
  }

  #tell(plan: BatchPlan, what: string): null {
    const { id: batch } = plan.manifest;
    if (!this.#told.has(batch)) {
      const fields = { batch, what };
      this.#options.log.error(fields, 'what the batch before keeps cannot be read: its documents are asked about');
    }
    this.#told.add(batch);
    return null;
  }
}

/** The batch that another one's documents were answered in before, and which of its documents is which there. */
type Source = { readonly before: BatchPlan; readonly documentOf: (document: number) => number };

type Deciding = SomeDocuments & {
  readonly before: BatchPlan;
  readonly place: number;
  readonly selection: Selection | null;
  readonly kept: KeptPlace;
};

type Decided = { readonly results: Map<number, UnaskedResult>; readonly drafts: Map<number, readonly Draft[]> };

/** Decides one document anew, as far as it is known. */
async function decide(
  { plan, page, documents, before, place, selection, kept: { kept: text, line } }: Deciding,
  decided: Decided,
) {
  const asked = documents[place];
  if (asked?.kind !== 'request') return;
  const { request } = asked;
  const rules = plan.cascades[request.cascade];
  if (rules === undefined) return;
  const delivered = line === null ? null : await runSliced(readingDelivered(line));
  const kept = await runSliced(readingKept(text, delivered));
  // Of another document it says nothing, should the two batches have read the file differently.
  if (kept === null || kept.customId !== request.customId || kept.cascade !== request.cascade) return;
  const job = newDocumentJob({ plan, page, place, request, sampled: false, now: Date.now() });
  const document = { job, rules };
  const from = before.manifest.id;
  if (rules.sample !== undefined) {
    // A budget's sample is drafted only: whether its drafts are those of then makes no difference to what it says.
    if (rules.sample !== 'promise') return;
    const known = keptSample({ document, kept, from });
    if (known.kind === 'settled') decided.results.set(place, known.result);
    else if (known.drafts.length > 0) decided.drafts.set(place, known.drafts);
    return;
  }
  const { endpoint } = plan.manifest;
  const redeciding = { kept, endpoint, body: request.body };
  const own = await runSliced(rulesAnew(rules, selection, line));
  if (own === null) return;
  // Where a threshold was looked for by itself, an answer of the last stage that was paid for is better than a draft.
  const isAimed = plan.manifest.cascades[request.cascade]?.aim !== undefined;
  const known = isAimed ? await runSliced(redecide({ ...redeciding, rules: acceptingNothing(rules) })) : null;
  const made = known?.kind === 'settled' ? known : await runSliced(redecide({ ...redeciding, rules: own }));
  if (made.kind === 'asked') {
    if (made.drafts.length > 0) decided.drafts.set(place, made.drafts);
    return;
  }
  decided.results.set(place, keptResult({ document, kept, decided: made, from }));
}
