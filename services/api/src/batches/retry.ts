import { randomBytes } from 'node:crypto';
import {
  digest,
  fileIdOf,
  isJsonObject,
  KEYS,
  LineSplitter,
  windowMs,
  type BatchObject,
  type FinalRecord,
  type Manifest,
  type Validated,
} from '@spillway/core';
import { z } from 'zod';
import type { Api } from '../api.ts';
import type { Caller } from '../auth.ts';
import { conflict } from '../errors.ts';
import { beginFile, placeFile } from '../files/place.ts';
import { completionWindow } from '../schemas/parts.ts';
import { read } from '../schemas/read.ts';
import { linesOf, sealedPage, type SealedPage } from './pages.ts';
import { placeBatch } from './place.ts';
import { describeBatch } from './show.ts';

export const retryBody = z.object({ completion_window: completionWindow.nullish() }).nullish().meta({
  id: 'RetryBatch',
  description: 'The new batch has the completion window of the old one unless told otherwise.',
});

/** The key of a batch's metadata that names the batch whose failed requests it holds. */
const RETRY_OF = 'spillway.retry_of';

/** Makes a new batch of the requests that ended in a batch's error file. */
export async function retryBatch(
  api: Api,
  caller: Caller,
  { id, body, idempotencyKey }: { id: string; body: unknown; idempotencyKey: string | null },
): Promise<BatchObject> {
  const window = read(retryBody, body)?.completion_window ?? null;
  const manifest = await api.records.ownBatch(caller.tenant, id);
  const [final, plan] = await Promise.all([api.records.final(id), api.records.validated(id)]);
  if (final === null) {
    const { status } = await describeBatch(api, manifest);
    throw conflict(`Cannot retry a batch with status '${status}'.`);
  }
  if (plan === null || !final.pages.some(([, errorBytes]) => errorBytes > 0)) {
    throw conflict(`The batch '${id}' has no failed requests.`);
  }
  const { endpoint, metadata, outputExpiresAfterSeconds } = manifest;
  const order = {
    endpoint,
    completionWindow: window ?? manifest.completionWindow,
    windowMs: windowMs(window ?? manifest.completionWindow) ?? manifest.expiresAtMs - manifest.createdAtMs,
    metadata: { ...metadata, [RETRY_OF]: id },
    outputExpiresAfterSeconds,
  };
  const input = async (): Promise<string> => await storeFailed(api, manifest, { final, plan });
  const requestDigest = digest('retry', id, order.completionWindow);
  return placeBatch(api, caller, { order, input, idempotencyKey, requestDigest });
}

/** What is known of an ended batch. */
type Ended = { readonly final: FinalRecord; readonly plan: Validated };

/** Copies the request lines of the failed documents, byte by byte, into a new file; its id. */
async function storeFailed(api: Api, manifest: Manifest, ended: Ended): Promise<string> {
  const key = KEYS.fileBytes(manifest.inputFileId);
  if ((await api.storage.size(key)) === null) throw inputGone(manifest);
  const begun = await beginFile(api, manifest.tenant, fileIdOf(randomBytes(16)));
  const bytes = await api.storage.upload(KEYS.fileBytes(begun.id), failedLines(api, manifest, ended));
  await placeFile(api, begun, { name: `${manifest.id}_retry.jsonl`, bytes, expiresAfterSeconds: null });
  return begun.id;
}

const inputGone = (manifest: Manifest): Error =>
  conflict(`The input file '${manifest.inputFileId}' of this batch is gone.`, 'input_gone');

async function* failedLines(api: Api, manifest: Manifest, { final, plan }: Ended): AsyncGenerator<Uint8Array> {
  for (const [page, [, , offset, bytes]] of plan.pages.entries()) {
    const errorBytes = final.pages[page]?.[1] ?? 0;
    if (errorBytes === 0) continue;
    const sealed = await sealedPage(api, manifest.id, plan, page);
    if (sealed === null) throw conflict('The results of this batch are gone.', 'results_gone');
    const wanted = await failedIds(api, sealed);
    const input = await api.storage.read(KEYS.fileBytes(manifest.inputFileId), { start: offset, end: offset + bytes });
    if (input === null) throw inputGone(manifest);
    const splitter = new LineSplitter(bytes);
    for (const line of [...splitter.push(input), ...splitter.end()]) {
      if (wanted.has(customIdOf(line.bytes))) yield Buffer.concat([line.bytes, Buffer.from('\n')]);
    }
  }
}

async function failedIds(api: Api, page: SealedPage): Promise<Set<string | null>> {
  const ids = new Set<string | null>();
  for await (const { part, bytes } of linesOf(api, page)) if (part === 'error') ids.add(customIdOf(bytes));
  ids.delete(null);
  return ids;
}

function customIdOf(line: Buffer): string | null {
  try {
    const value: unknown = JSON.parse(line.toString('utf8'));
    return isJsonObject(value) && typeof value['custom_id'] === 'string' ? value['custom_id'] : null;
  } catch {
    return null;
  }
}
