import {
  keptResult,
  pageOfDocument,
  readingDelivered,
  readingKept,
  redecide,
  type Draft,
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
    const { redecided } = plan.manifest;
    if (redecided === undefined) return NOTHING_KNOWN;
    const before = await this.#options.records.plan(redecided.from);
    // Both read the same file by the same rules; where the batch before is gone nothing is known.
    if (before === null || before.total !== plan.total) return this.#tell(plan, 'its plan');
    const first = plan.pages[page]?.first ?? 0;
    const results = new Map<number, UnaskedResult>();
    const drafts = new Map<number, readonly Draft[]>();
    for (const [pageBefore, own] of Map.groupBy(places, (place) => pageOfDocument(before.pages, first + place))) {
      const at = before.pages[pageBefore ?? -1];
      if (pageBefore === null || at === undefined) continue;
      const read = await readKeptPage(this.#options.storage, {
        batch: redecided.from,
        page: pageBefore,
        first: at.first,
      });
      if (read.kind === 'gone' || read.kind === 'damaged') this.#tell(plan, `page ${pageBefore} (${read.kind})`);
      if (read.kind !== 'kept') continue;
      for (const place of own) {
        const kept = read.documents.get(first + place - at.first);
        if (kept !== undefined) await decide({ ...some, before, place, kept }, { results, drafts });
      }
    }
    return { ...NOTHING_KNOWN, results, drafts };
  }

  #tell(plan: BatchPlan, what: string): Known {
    const { id: batch, redecided } = plan.manifest;
    if (!this.#told.has(batch)) {
      const fields = { batch, from: redecided?.from, what };
      this.#options.log.error(fields, 'what the batch before keeps cannot be read: its documents are asked about');
    }
    this.#told.add(batch);
    return NOTHING_KNOWN;
  }
}

type Deciding = SomeDocuments & { readonly before: BatchPlan; readonly place: number; readonly kept: KeptPlace };

type Decided = { readonly results: Map<number, UnaskedResult>; readonly drafts: Map<number, readonly Draft[]> };

/** Decides one document anew, as far as it is known. */
async function decide(
  { plan, page, documents, before, place, kept: { kept: text, line } }: Deciding,
  decided: Decided,
) {
  const document = documents[place];
  if (document?.kind !== 'request') return;
  const { request } = document;
  const rules = plan.cascades[request.cascade];
  if (rules === undefined) return;
  const delivered = line === null ? null : await runSliced(readingDelivered(line));
  const kept = await runSliced(readingKept(text, delivered));
  // Of another document it says nothing, should the two batches have read the file differently.
  if (kept === null || kept.customId !== request.customId || kept.cascade !== request.cascade) return;
  const { endpoint } = plan.manifest;
  const made = await runSliced(redecide({ kept, rules, endpoint, body: request.body }));
  if (made.kind === 'asked') {
    if (made.drafts.length > 0) decided.drafts.set(place, made.drafts);
    return;
  }
  const job = newDocumentJob({ plan, page, place, request, sampled: false, now: Date.now() });
  const result = keptResult({ document: { job, rules }, kept, decided: made, from: before.manifest.id });
  decided.results.set(place, result);
}
