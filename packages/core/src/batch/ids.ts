import { digest } from '../text/digest.ts';

const MAX_TIME_MS = 8_640_000_000_000_000;

/** `batch_…` from 16 random bytes. */
export function batchIdOf(random: Uint8Array): string {
  return `batch_${Buffer.from(random).toString('hex')}`;
}

/** The same Idempotency-Key of the same tenant always names the same batch. */
export function batchIdOfKey(tenant: string, idempotencyKey: string): string {
  return `batch_${digest('batch', tenant, idempotencyKey)}`;
}

/** The only retry of a batch: whoever asks for it, and however often, names the same one. */
export function retryIdOf(tenant: string, batch: string): string {
  return `batch_${digest('retry', tenant, batch)}`;
}

/** The batch that another one is decided anew as by some thresholds, as they are written down. */
export function redecidedIdOf(tenant: string, batch: string, thresholds: string): string {
  return `batch_${digest('redecide', tenant, batch, thresholds)}`;
}

/** The id of a retry's input, so that those who make it at the same time make one file. */
export function retryFileId(retry: string): string {
  return `file-${digest('retry input', retry)}`;
}

/** The batch that samples another one's documents: there is one. */
export function sampleIdOf(batch: string): string {
  return `batch_${digest('sample', batch)}`;
}

/** The id of a sample's input. */
export const sampleFileId = (sample: string): string => `file-${digest('sample input', sample)}`;

/** `file-…` from 16 random bytes. */
export function fileIdOf(random: Uint8Array): string {
  return `file-${Buffer.from(random).toString('hex')}`;
}

/** The id of an input that came with the create itself; a request that is sent again names the same file. */
export function inlineFileId(batch: string, requestDigest: string): string {
  return `file-${digest('inline', batch, requestDigest)}`;
}

/** The id of a batch's output or error file, so that whoever ends a batch derives the same one. */
export function resultFileId(batch: string, part: 'output' | 'error'): string {
  return `file-${digest(part, batch)}`;
}

/** `batch_req_…`, the id of a result line. */
export function resultLineId(batch: string, document: number): string {
  return `batch_req_${digest('line', batch, String(document)).slice(0, 24)}`;
}

/**
 * `req_…`, the request id of an answer whose server gave it none: a client reads a text there. Whoever writes the line
 * again writes the same one.
 */
export function requestIdOf(batch: string, document: number): string {
  return `req_${digest('request', batch, String(document)).slice(0, 24)}`;
}

/** The id of a document's job in its queue. */
export function jobIdOf(batch: string, document: number): string {
  return `${batch}-${document}`;
}

/** The id of the job by which the expert is asked about a document whose draft was accepted. */
export const auditJobIdOf = (batch: string, document: number): string => `${jobIdOf(batch, document)}a`;

/** The id of a bundle of documents of a page in its queue, by its first one. */
export const bundleIdOf = (batch: string, first: number): string => `${jobIdOf(batch, first)}b`;

/** `direct_…` from 16 random bytes, in a batch's place for what is answered at once. */
export const directIdOf = (random: Uint8Array): string => `direct_${Buffer.from(random).toString('hex')}`;

export const isDirectId = (text: string): boolean => text.startsWith('direct_');

export const isBatchId = (text: string): boolean => /^batch_[0-9a-f]{32}$/.test(text);
export const isFileId = (text: string): boolean => /^file-[0-9a-f]{32}$/.test(text);

/** A key segment that sorts the newest first. */
export function newestFirst(createdAtMs: number, id: string): string {
  return `${String(MAX_TIME_MS - createdAtMs).padStart(16, '0')}.${id}`;
}

/** What a segment of `newestFirst` says: when, and of what. */
export function readNewestFirst(segment: string): { readonly createdAtMs: number; readonly id: string } {
  const dot = segment.indexOf('.');
  return { createdAtMs: MAX_TIME_MS - Number(segment.slice(0, dot)), id: segment.slice(dot + 1) };
}
