import { JOB_VERSION, type DocumentJob } from './job.ts';

/** The version of a bundle's shape. A document by itself is a job of its own, whose data is the document: see `JOB_VERSION`. */
export const BUNDLE_VERSION = 4;

/**
 * A job of 16 costs a tenth of 16 jobs. What more documents gain is at the next stage: those that a job escalates come to it
 * together, so the more it has, the fuller are the jobs there.
 */
export const MAX_BUNDLE = 64;

/** So many are a job also where a worker has fewer calls at a time: the rest has a call soon, where they are quick. */
const SMALL_BUNDLE = 16;

/** A job of more bytes takes Redis and a worker's loop so long that it gains nothing. */
const MAX_BUNDLE_BYTES = 64 * 1024;

/** A worker holds a document for which it has no call to spare no longer than this; then it gives it back. */
export const MAX_HELD_MS = 250;

/** What a call is taken to last while nobody has measured one. Where it lasts longer, what finds no call goes back. */
const UNMEASURED_S = 1;

/** Documents of one page that wait for one tier, as one job. None of them has had a call in this tier yet. */
export type Bundle = { readonly v: number; readonly documents: readonly DocumentJob[] };

/** The data of a job: one document, or several. */
export type JobData = DocumentJob | Bundle;

/** What a job holds as far as this version can read it: `newer` and `older` ones are somebody else's. */
export type JobContent =
  | { readonly kind: 'document' | 'bundle'; readonly documents: readonly DocumentJob[] }
  | { readonly kind: 'newer' }
  | { readonly kind: 'older' };

/** Reads a job's data. Of a Redis that lost its data nothing is left, which counts as an older version's. */
export function readJob(data: Partial<JobData>): JobContent {
  const { v = 0 } = data;
  if (v === BUNDLE_VERSION && 'documents' in data) return { kind: 'bundle', documents: data.documents ?? [] };
  if (v === JOB_VERSION) return { kind: 'document', documents: [data as DocumentJob] };
  return { kind: v > BUNDLE_VERSION ? 'newer' : 'older' };
}

/** The data of a job for documents of one page, one or several. */
export function jobDataOf(documents: readonly DocumentJob[]): JobData {
  const [only, ...more] = documents;
  if (only === undefined) throw new Error('a job without a document');
  return more.length === 0 ? only : { v: BUNDLE_VERSION, documents };
}

/** The same as JSON, of documents that are given so. */
export function jobTextOf(documents: readonly string[]): string {
  const [only = '', ...more] = documents;
  return more.length === 0 ? only : `{"v":${BUNDLE_VERSION},"documents":[${documents.join(',')}]}`;
}

/** What the size of bundles depends on. */
export type BundleLoad = {
  /** Documents that wait in the tier's queue, are about to be added, or come right behind those. */
  readonly waiting: number;
  /** Calls at a time of one worker, and of all; 0: there is no worker. */
  readonly slotsPerWorker: number;
  readonly slots: number;
  /** What a document takes of a call at a time; null: nobody has measured it. */
  readonly secondsPerDocument: number | null;
  /** Of a document of those that are about to be added. */
  readonly bytesPerDocument: number;
};

/**
 * How many documents a job of a tier is to have. With more than there are slots for, one worker would hold what another
 * could have begun: at the end of the work each job has one. With more than a worker's slots take up within a moment, the
 * rest would go back and forth; and with more than it begins at once, whoever comes next in line would wait for the rest.
 */
export function bundleSize({
  waiting,
  slotsPerWorker,
  slots,
  secondsPerDocument,
  bytesPerDocument,
}: BundleLoad): number {
  if (slots === 0) return 1;
  const shared = Math.floor(waiting / slots);
  const seconds = Math.max(1e-6, secondsPerDocument ?? UNMEASURED_S);
  const taken = Math.floor((slotsPerWorker * MAX_HELD_MS) / (1_000 * seconds));
  const begun = Math.max(SMALL_BUNDLE, slotsPerWorker);
  const small = Math.floor(MAX_BUNDLE_BYTES / Math.max(1, bytesPerDocument));
  return Math.max(1, Math.min(MAX_BUNDLE, shared, taken, begun, small));
}
