import {
  addCounts,
  deadlineStage,
  KEYS,
  keptText,
  NO_COUNTS,
  resultOf,
  verifyPage,
  withKept,
  writePage,
  type CascadeDocument,
  type Counts,
  type DocumentJob,
  type PageFooter,
  type PageLine,
  type PagePlan,
  type Result,
  type Said,
  type Waits,
} from '@spillway/core';
import type { Queues } from '@spillway/redis';
import type { Meters } from '@spillway/runtime';
import type { BatchPlan, Storage } from '@spillway/storage';

/** Everything that a page object holds. */
export type PageContent = {
  readonly lines: readonly PageLine[];
  readonly counts: Counts;
  /** What the servers said first, by those of the counters that say why. */
  readonly said: Said;
  readonly waits: Waits;
  /** Single lines of it will be read. */
  readonly hasLineBytes: boolean;
  /** What the stages made of the documents, by place. */
  readonly kept: ReadonlyMap<number, string>;
};

/** Writes a page, or adopts the one that stands. */
export async function writeOrAdoptPage(
  { storage, meters }: { readonly storage: Storage; readonly meters: Meters },
  batch: string,
  page: number,
  { lines, counts, said, waits, hasLineBytes, kept }: PageContent,
): Promise<PageFooter> {
  const key = KEYS.page(batch, page);
  const written = writePage(page, lines, {
    counts: addCounts(NO_COUNTS, counts),
    said,
    hasLineBytes,
    drafts: lines.map((_, place) => kept.get(place) ?? null),
    ...waits.write(),
  });
  if ((await storage.create(key, written.bytes)) === 'created') {
    meters.count('cascade.pages.sealed', 1);
    return written.footer;
  }
  const object = await storage.read(key);
  const footer = object === null ? null : verifyPage(object);
  if (footer === null) throw new Error(`The page ${key} in storage is damaged: its checksum does not hold`);
  return footer;
}

/**
 * The results, by place, of those unfinished documents of a page whose latest whole draft is delivered at the deadline:
 * their cascades say so, and they wait in a queue with that draft.
 */
export async function deadlineDrafts(
  queues: Queues,
  plan: BatchPlan,
  at: PagePlan,
  unfinished: readonly number[],
): Promise<Map<number, Result>> {
  const found = new Map<number, CascadeDocument>();
  if (!Object.values(plan.cascades).some((rules) => rules.onDeadline === 'draft')) return new Map();
  const ofPage = { batch: plan.manifest.id, first: at.first, documents: at.documents };
  for (const tier of plan.tiers) {
    for (const job of await queues.find(tier, ofPage, unfinished)) {
      const rules = plan.cascades[job.cascade];
      if (rules?.onDeadline !== 'draft') continue;
      // During a hand-off a document has a job in each of two queues: what the later stage's one says is all that was.
      const known = found.get(job.place)?.job;
      if (known === undefined || isFurther(job, known)) found.set(job.place, { job, rules });
    }
  }
  const results = [...found].flatMap(([place, document]): [number, Result][] => {
    const stage = deadlineStage(document.job);
    if (stage === null) return [];
    const ending = { kind: 'deadline_draft', stage } as const;
    return [[place, withKept(resultOf(document, ending), keptText(document, ending))]];
  });
  return new Map(results);
}

const isFurther = (job: DocumentJob, than: DocumentJob): boolean =>
  job.drafts.length === than.drafts.length ? job.stage > than.stage : job.drafts.length > than.drafts.length;
