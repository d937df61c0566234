import { copyResult, pageOfDocument, type CopiedAnswer, type CopyPlace, type UnaskedResult } from '@spillway/core';
import { fullPages, Settler } from '@spillway/redis';
import { mapConcurrent, type Log, type Meters } from '@spillway/runtime';
import { readPageCopies, type BatchPlan, type Records, type Storage } from '@spillway/storage';
import { askDocuments, type JobTarget, type PageDocuments } from './document-jobs.ts';
import { FirstAnswers } from './first-answers.ts';
import { readDocuments } from './input.ts';
import type { LiveBatch, LiveBatches } from './live-batches.ts';
import { runStep, type StepFailures } from './step-failures.ts';

/** Pages of firsts that are looked at, and results that are recorded, at a time. */
const MAX_LOOKS = 8;
const MAX_SETTLES = 256;

/**
 * What is copied in one pass, and pages of a batch that wait to be sealed while none is: copies come quicker than pages go
 * to storage, and stand in Redis until then.
 */
const PASS_BYTES = 8 * 1024 * 1024;
const MAX_FULL_PAGES = 16;
/** What a line takes beside its answer, about. */
const LINE_BYTES = 1024;

/** Looking for what is not there yet takes this part of the time at most, however many pages are in flight. */
const LOOKING_SHARE = 0.1;

export type CopierOptions = JobTarget & {
  readonly storage: Storage;
  readonly records: Records;
  readonly failures: StepFailures;
  readonly live: Pick<LiveBatches, 'get'>;
  readonly meters: Meters;
  readonly log: Log;
};

/** A document that waits for the answer of an earlier one with the same body, its first. */
type Copy = {
  readonly document: number;
  readonly page: number;
  readonly customId: string;
  readonly cascade: string;
  readonly first: number;
  readonly sinceMs: number;
};

/** Copies whose firsts are in one page. */
type Group = {
  readonly batch: string;
  /** Of the firsts. */
  readonly page: number;
  readonly copies: Map<number, Copy>;
  /** How many documents of that page were settled when it was looked at last; null: look anew. */
  settled: number | null;
  /** How often some were taken. */
  takes: number;
};

/** What waits of a batch: by the page of the firsts, and by document. */
type Waiting = { readonly groups: Map<number, Group>; readonly byDocument: Map<number, Group> };

/** Some documents of a page. */
type SomeOfPage = Omit<PageDocuments, 'loads'>;

/**
 * Answers copies: a document with the same body as an earlier one of its batch, its first, gets that one's answer without
 * a call, and is asked about itself where that one failed. A first is no copy, and is enqueued before its copies or with
 * them, so that nothing waits for what waits for something else. Which documents wait is written down nowhere: they are
 * those copies that are enqueued and have neither a result nor a job, and whoever comes to lead finds them by the sweep.
 */
export class Copier {
  readonly #options: CopierOptions;
  readonly #settler: Settler;
  readonly #answers: FirstAnswers;
  readonly #batches = new Map<string, Waiting>();
  /** Batches of which was told that nobody can read which documents are copies. */
  readonly #told = new Set<string>();
  #dueMs = 0;
  /** Which group is looked at first, so that no other one always is. */
  #turn = 0;
  /** Of this pass. */
  #leftBytes = 0;

  constructor(options: CopierOptions) {
    this.#options = options;
    this.#settler = new Settler(options.redis);
    this.#answers = new FirstAnswers(options);
  }

  note(id: string, batch: LiveBatch | null): void {
    if (batch?.phase === 'open') return;
    this.#batches.delete(id);
    this.#told.delete(id);
  }

  /** Whether a document waits for the answer of another. */
  isWaiting(batch: string, document: number): boolean {
    return this.#batches.get(batch)?.byDocument.has(document) ?? false;
  }

  /** Takes those documents of a page that are copies; answers the places of the others. */
  async take(added: PageDocuments): Promise<readonly number[]> {
    const { plan, page, places } = added;
    const copies = await this.#copiesIn(added);
    if (copies.size === 0) return places;
    const { id } = plan.manifest;
    const waiting = this.#batches.get(id) ?? { groups: new Map<number, Group>(), byDocument: new Map<number, Group>() };
    this.#batches.set(id, waiting);
    for (const copy of copies.values()) {
      const pageOfFirst = pageOfDocument(plan.pages, copy.first) ?? page;
      const group = waiting.groups.get(pageOfFirst) ?? newGroup(id, pageOfFirst);
      waiting.groups.set(pageOfFirst, group);
      waiting.byDocument.set(copy.document, group);
      group.copies.set(copy.document, copy);
      group.settled = null;
      group.takes += 1;
    }
    const cascades = new Set(copies.values().map(({ cascade }) => cascade));
    this.#options.meters.begin(
      'cascade.documents.copied',
      [...cascades].map((cascade) => ({ cascade })),
    );
    this.#dueMs = 0;
    return places.filter((place) => !copies.has(place));
  }

  /** Answers those copies whose firsts are answered; true when there were some. */
  async copySome(): Promise<boolean> {
    const beganMs = performance.now();
    if (this.#batches.size === 0 || beganMs < this.#dueMs) return false;
    const full = Map.groupBy(await fullPages(this.#options.redis), ({ batch }) => batch);
    const groups = [...this.#batches]
      .filter(([id]) => (full.get(id)?.length ?? 0) <= MAX_FULL_PAGES)
      .flatMap(([, waiting]) => [...waiting.groups.values()]);
    this.#leftBytes = PASS_BYTES;
    this.#turn = (this.#turn + 1) % Math.max(1, groups.length);
    const inTurn = [...groups.slice(this.#turn), ...groups.slice(0, this.#turn)];
    const done = await mapConcurrent(inTurn, MAX_LOOKS, async (group) => {
      if (this.#leftBytes <= 0) return false;
      return await runStep(this.#options.failures, { batch: group.batch, step: 'copy' }, () => this.#look(group));
    });
    if (done.includes(true)) return true;
    const endedMs = performance.now();
    this.#dueMs = endedMs + (endedMs - beganMs) * (1 / LOOKING_SHARE - 1);
    return false;
  }

  /** The results of those documents of a page that are copies of answered ones: of a batch that takes none any more. */
  async answered(some: SomeOfPage): Promise<Map<number, UnaskedResult>> {
    const { plan } = some;
    const copies = await this.#copiesIn(some);
    const byPage = Map.groupBy(copies, ([, { first }]) => pageOfDocument(plan.pages, first) ?? 0);
    const results = new Map<number, UnaskedResult>();
    await mapConcurrent(byPage, MAX_LOOKS, async ([page, own]) => {
      const cascades = new Map(own.map(([, { first, cascade }]) => [first, cascade]));
      const { answers } = await this.#answers.of({ plan, page, cascades });
      for (const [place, copy] of own) {
        const answer = answers.get(copy.first) ?? null;
        if (answer !== null) results.set(place, copyResult(answer, placeOf(plan.manifest.id, copy)));
      }
    });
    return results;
  }

  /** Those of some documents that are copies, by place. Where that cannot be read all of them are asked about. */
  async #copiesIn({ plan, page, documents, places }: SomeOfPage): Promise<Map<number, Copy>> {
    const { id } = plan.manifest;
    const copies = await readPageCopies(this.#options.storage, plan, page);
    if (copies.kind === 'damaged') {
      if (!this.#told.has(id)) {
        const { key } = copies;
        this.#options.log.error({ batch: id, key }, 'which documents are copies cannot be read: all are asked about');
      }
      this.#told.add(id);
      return new Map();
    }
    const sinceMs = Date.now();
    return new Map(
      places.flatMap((place): [number, Copy][] => {
        const document = documents[place];
        const first = copies.firsts.get(place);
        if (first === undefined || document?.kind !== 'request') return [];
        const { customId, cascade } = document.request;
        const own = { document: (plan.pages[page]?.first ?? 0) + place, page, customId, cascade };
        return [[place, { ...own, first, sinceMs }]];
      }),
    );
  }

  async #look(group: Group): Promise<boolean> {
    const { batch, page, settled, takes } = group;
    const { records, live } = this.#options;
    const plan = await records.plan(batch);
    // It may have ended since they were taken.
    if (plan === null || live.get(batch)?.phase !== 'open') {
      this.#batches.delete(batch);
      return false;
    }
    const copies = [...group.copies.values()];
    const cascades = new Map(copies.map(({ first, cascade }) => [first, cascade]));
    const { answers, settled: now } = await this.#answers.of({ plan, page, cascades }, settled);
    const failed = copies.filter(({ first }) => answers.get(first) === null);
    for (const [pageOfCopies, some] of Map.groupBy(failed, (copy) => copy.page)) {
      await this.#ask(plan, pageOfCopies, some);
      for (const copy of some) this.#drop(group, copy);
    }
    const answered = copies.flatMap((copy) => {
      const answer = answers.get(copy.first) ?? null;
      return answer === null ? [] : [{ copy, answer }];
    });
    const recorded = await mapConcurrent(answered, MAX_SETTLES, async ({ copy, answer }) => {
      if (this.#leftBytes <= 0) return false;
      this.#leftBytes -= LINE_BYTES + answer.answer.length;
      return await this.#settle(plan, copy, answer);
    });
    for (const [at, { copy }] of answered.entries()) if (recorded[at] === true) this.#drop(group, copy);
    // What was taken meanwhile, or could not be recorded in this pass, is to be looked at anew.
    if (group.takes === takes && !recorded.includes(false)) group.settled = now;
    return failed.length > 0 || recorded.includes(true);
  }

  /** False: keep it and settle it again. */
  async #settle(plan: BatchPlan, copy: Copy, answer: CopiedAnswer): Promise<boolean> {
    const { document, page, cascade } = copy;
    const { id: batch } = plan.manifest;
    const where = { batch, page, place: document - (plan.pages[page]?.first ?? 0) };
    const settled = await this.#settler.settle(where, copyResult(answer, placeOf(batch, copy)));
    if (settled === 'WROTE') this.#options.meters.count('cascade.documents.copied', 1, { cascade });
    return settled !== 'RECOVERING';
  }

  /** Has copies of one page asked about, each by itself. */
  async #ask(plan: BatchPlan, page: number, copies: readonly Copy[]): Promise<void> {
    const at = plan.pages[page];
    if (at === undefined) return;
    const documents = await readDocuments(this.#options.storage, plan, at);
    const places = copies.map(({ document }) => document - at.first);
    await askDocuments(this.#options, { plan, page, documents, places, loads: null });
  }

  #drop({ batch, page, copies }: Group, { document }: Copy): void {
    const waiting = this.#batches.get(batch);
    copies.delete(document);
    waiting?.byDocument.delete(document);
    if (copies.size === 0) waiting?.groups.delete(page);
    if (waiting?.groups.size === 0) this.#batches.delete(batch);
  }
}

const newGroup = (batch: string, page: number): Group => ({ batch, page, copies: new Map(), settled: null, takes: 0 });

const placeOf = (batch: string, { document, customId, sinceMs }: Copy): CopyPlace => ({
  batch,
  document,
  customId,
  waitedMs: Date.now() - sinceMs,
});
