import {
  digest,
  LIMITS,
  readThresholdSettings,
  RETRY_OF_KEY,
  rulesInForce,
  retryIdOf,
  windowMs,
  type BatchObject,
  type Manifest,
} from '@spillway/core';
import { z } from 'zod';
import type { Caller } from '../auth.ts';
import { conflict } from '../errors.ts';
import { ownBatch } from '../ownership.ts';
import { completionWindow } from '../schemas/parts.ts';
import { read } from '../schemas/read.ts';
import { placeBatch, type BatchPlaces } from './place.ts';
import { countFailed, inputGone, storeFailed } from './retry-input.ts';
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
  const failed = await failedOf(places, manifest, caller);
  const depth = (manifest.retry?.depth ?? 0) + 1;
  if (depth > LIMITS.retryDepth)
    throw conflict(`The batch '${id}' is the last of ${LIMITS.retryDepth} retries in a row.`);
  if (failed.taken.every((documents) => documents === 0)) {
    throw conflict(
      `The batch '${id}' has no failed requests that can be sent again: its error file holds bad lines only.`,
    );
  }
  const { endpoint, metadata, outputExpiresAfterSeconds } = manifest;
  const thresholds = readThresholdSettings(metadata);
  // What stands in a manifest was read before.
  if (thresholds.kind === 'problem') throw new Error(`${id} has metadata that cannot be read`);
  // Its documents are of that batch: what was found and promised for that one holds for them.
  const calibration = await records.calibration(id);
  const before = rulesInForce(manifest.cascades, calibration?.cascades ?? {});
  const order = {
    endpoint,
    completionWindow: window ?? manifest.completionWindow,
    windowMs: windowMs(window ?? manifest.completionWindow) ?? manifest.expiresAtMs - manifest.createdAtMs,
    metadata: { ...metadata, [RETRY_OF_KEY]: id },
    thresholds,
    outputExpiresAfterSeconds,
  };
  const input = async (retry: string) => ({
    fileId: await failed.store(retry),
    retry: { of: id, depth, taken: failed.taken },
  });
  const documents = async (): Promise<number> => sumOf(failed.taken);
  return placeBatch(places, caller, { order, input, documents, derivedId, before, requestDigest: digest('retry', id) });
}

const sumOf = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);

/** The failed requests of an ended batch. */
type Failed = {
  /** How many there are in each page; of a retry that came to nothing, of the batch that it was of. */
  readonly taken: number[];
  /** Has a file hold them for the batch of an id; the file's own id. */
  readonly store: (retry: string) => Promise<string>;
};

/** What failed in a batch that has ended; refuses any other. All of a retry that was never validated has failed. */
async function failedOf(places: BatchPlaces, manifest: Manifest, caller: Caller): Promise<Failed> {
  const { storage, records } = places;
  const { id, inputFileId, retry } = manifest;
  const [final, validated] = await Promise.all([records.final(id), records.validated(id)]);
  if (final === null) {
    const { status } = await describeBatch(places, manifest);
    throw conflict(`Cannot retry a batch with status '${status}'.`);
  }
  if (validated === null && retry !== undefined) {
    const store = async (derived: string): Promise<string> => {
      if ((await records.standingFile(inputFileId, Date.now())) !== null) return inputFileId;
      const before = await records.manifest(retry.of);
      if (before === null) throw inputGone(manifest);
      return (await failedOf(places, before, caller)).store(derived);
    };
    return { taken: retry.taken, store };
  }
  if (validated === null || !final.pages.some(([, errorBytes]) => errorBytes > 0)) {
    throw conflict(`The batch '${id}' has no failed requests.`);
  }
  const source = { manifest, final, validated };
  const taken = await countFailed(storage, source);
  const store = (derived: string): Promise<string> =>
    storeFailed(places, caller, { retry: derived, source, lines: sumOf(taken) });
  return { taken, store };
}
