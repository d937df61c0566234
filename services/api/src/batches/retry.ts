import { digest, LIMITS, RETRY_OF_KEY, retryIdOf, windowMs, type BatchObject, type Manifest } from '@spillway/core';
import { z } from 'zod';
import type { Caller } from '../auth.ts';
import { conflict } from '../errors.ts';
import { ownBatch } from '../ownership.ts';
import { completionWindow } from '../schemas/parts.ts';
import { read } from '../schemas/read.ts';
import { placeBatch, type BatchPlaces } from './place.ts';
import { countFailed, storeFailed, type RetrySource } from './retry-input.ts';
import { describeBatch } from './show.ts';

const fields = z.object({
  completion_window: completionWindow.nullish(),
});

export const retryBody = fields.nullish().meta({
  id: 'RetryBatch',
  description:
    'The new batch has the completion window of the old one unless another is asked for. A batch has one retry: ' +
    'whoever asks again gets that one as it is.',
});

/** The keys that a retry's body may have. */
export const RETRY_KEYS: readonly string[] = Object.keys(fields.shape);

/**
 * Makes the batch of the requests that failed in an ended one. Its id is derived from that one's, so that there is one
 * retry for ever, however often and by whatever process it is asked for; what fails again is a retry of the retry.
 */
export async function retryBatch(
  places: BatchPlaces,
  caller: Caller,
  { id, body }: { id: string; body: unknown },
): Promise<BatchObject> {
  const { records } = places;
  const window = read(retryBody, body)?.completion_window ?? null;
  const manifest = await ownBatch(records, caller.tenant, id);
  const derivedId = retryIdOf(caller.tenant, id);
  const standing = await records.manifest(derivedId);
  if (standing !== null) return describeBatch(places, standing);
  const ended = await endedBatch(places, manifest);
  const depth = (manifest.retry?.depth ?? 0) + 1;
  if (depth > LIMITS.retryDepth)
    throw conflict(`The batch '${id}' is the last of ${LIMITS.retryDepth} retries in a row.`);
  const taken = await countFailed(places.storage, ended);
  if (taken.every((documents) => documents === 0)) {
    throw conflict(
      `The batch '${id}' has no failed requests that can be sent again: its error file holds bad lines only.`,
    );
  }
  const { endpoint, metadata, outputExpiresAfterSeconds } = manifest;
  const order = {
    endpoint,
    completionWindow: window ?? manifest.completionWindow,
    windowMs: windowMs(window ?? manifest.completionWindow) ?? manifest.expiresAtMs - manifest.createdAtMs,
    metadata: { ...metadata, [RETRY_OF_KEY]: id },
    outputExpiresAfterSeconds,
  };
  const input = async (retry: string) => ({
    fileId: await storeFailed(places, retry, ended),
    retry: { of: id, depth, taken },
  });
  return placeBatch(places, caller, { order, input, derivedId, requestDigest: digest('retry', id) });
}

/** A batch that has ended with failed requests; refuses any other. */
async function endedBatch(places: BatchPlaces, manifest: Manifest): Promise<RetrySource> {
  const { records } = places;
  const { id } = manifest;
  const [final, validated] = await Promise.all([records.final(id), records.validated(id)]);
  if (final === null) {
    const { status } = await describeBatch(places, manifest);
    throw conflict(`Cannot retry a batch with status '${status}'.`);
  }
  if (validated === null || !final.pages.some(([, errorBytes]) => errorBytes > 0)) {
    throw conflict(`The batch '${id}' has no failed requests.`);
  }
  return { manifest, final, validated };
}
