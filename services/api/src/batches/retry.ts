import { randomBytes } from 'node:crypto';
import {
  digest,
  fileIdOf,
  isJsonObject,
  KEYS,
  LineSplitter,
  RETRY_OF_KEY,
  windowMs,
  writtenId,
  type BatchObject,
  type FinalRecord,
  type Manifest,
  type Validated,
} from '@spillway/core';
import type { Storage } from '@spillway/storage';
import { z } from 'zod';
import type { Caller } from '../auth.ts';
import { conflict } from '../errors.ts';
import { beginFile, placeFile } from '../files/place.ts';
import { ownBatch } from '../ownership.ts';
import { completionWindow } from '../schemas/parts.ts';
import { read } from '../schemas/read.ts';
import type { Tenants } from '../tenants.ts';
import { linesOf, sealedPage, type SealedPage } from './pages.ts';
import { placeBatch, type BatchPlaces } from './place.ts';
import { describeBatch } from './show.ts';

const fields = z.object({
  completion_window: completionWindow.nullish(),
});

export const retryBody = fields.nullish().meta({
  id: 'RetryBatch',
  description: 'The new batch has the completion window of the old one unless another is asked for.',
});

/** The keys that a retry's body may have. */
export const RETRY_KEYS: readonly string[] = Object.keys(fields.shape);

/** Makes a new batch of the requests that ended in a batch's error file. */
export async function retryBatch(
  places: BatchPlaces,
  caller: Caller,
  { id, body, idempotencyKey }: { id: string; body: unknown; idempotencyKey: string | null },
): Promise<BatchObject> {
  const { records } = places;
  const window = read(retryBody, body)?.completion_window ?? null;
  const manifest = await ownBatch(records, caller.tenant, id);
  const [final, validated] = await Promise.all([records.final(id), records.validated(id)]);
  if (final === null) {
    const { status } = await describeBatch(places, manifest);
    throw conflict(`Cannot retry a batch with status '${status}'.`);
  }
  if (validated === null || !final.pages.some(([, errorBytes]) => errorBytes > 0)) {
    throw conflict(`The batch '${id}' has no failed requests.`);
  }
  const { endpoint, metadata, outputExpiresAfterSeconds } = manifest;
  const order = {
    endpoint,
    completionWindow: window ?? manifest.completionWindow,
    windowMs: windowMs(window ?? manifest.completionWindow) ?? manifest.expiresAtMs - manifest.createdAtMs,
    metadata: { ...metadata, [RETRY_OF_KEY]: id },
    outputExpiresAfterSeconds,
  };
  const input = async (): Promise<string> => await storeFailed(places, manifest, { final, validated });
  const requestDigest = digest('retry', id, order.completionWindow);
  return placeBatch(places, caller, { order, input, idempotencyKey, requestDigest });
}

/** What is known of an ended batch. */
type Ended = { readonly final: FinalRecord; readonly validated: Validated };

/** Copies the request lines of the failed documents, byte by byte, into a new file; its id. */
async function storeFailed(
  { storage, tenants }: { readonly storage: Storage; readonly tenants: Tenants },
  manifest: Manifest,
  ended: Ended,
): Promise<string> {
  const key = KEYS.fileBytes(manifest.inputFileId);
  if ((await storage.size(key)) === null) throw inputGone(manifest);
  const unfinished = await beginFile({ storage, tenants }, manifest.tenant, fileIdOf(randomBytes(16)));
  const bytes = await storage.upload(KEYS.fileBytes(unfinished.id), failedLines(storage, manifest, ended));
  await placeFile(storage, unfinished, { name: `${manifest.id}_retry.jsonl`, bytes, expiresAfterSeconds: null });
  return unfinished.id;
}

const inputGone = (manifest: Manifest): Error =>
  conflict(`The input file '${manifest.inputFileId}' of this batch is gone.`, 'input_gone');

async function* failedLines(
  storage: Storage,
  manifest: Manifest,
  { final, validated }: Ended,
): AsyncGenerator<Uint8Array> {
  for (const [page, { offset, bytes }] of validated.pages.entries()) {
    const errorBytes = final.pages[page]?.[1] ?? 0;
    if (errorBytes === 0) continue;
    const sealed = await sealedPage(storage, manifest.id, validated.pages, page);
    if (sealed === null) throw conflict('The results of this batch are gone.', 'results_gone');
    const wanted = await failedIds(storage, sealed);
    const input = await storage.read(KEYS.fileBytes(manifest.inputFileId), { start: offset, end: offset + bytes });
    if (input === null) throw inputGone(manifest);
    const splitter = new LineSplitter(bytes);
    for (const line of [...splitter.push(input), ...splitter.end()]) {
      if (wanted.has(customIdOf(line.bytes))) yield Buffer.concat([line.bytes, Buffer.from('\n')]);
    }
  }
}

async function failedIds(storage: Storage, page: SealedPage): Promise<Set<string | null>> {
  const ids = new Set<string | null>();
  for await (const { part, bytes } of linesOf(storage, page)) if (part === 'error') ids.add(customIdOf(bytes));
  ids.delete(null);
  return ids;
}

function customIdOf(line: Buffer): string | null {
  try {
    const value: unknown = JSON.parse(line.toString('utf8'));
    return isJsonObject(value) && typeof value['custom_id'] === 'string' ? writtenId(value['custom_id']) : null;
  } catch {
    return null;
  }
}
