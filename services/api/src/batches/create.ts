import { batchIdOfKey, isFileId, LABELS_KEY, labelsFileOf, LIMITS, type BatchObject } from '@spillway/core';
import { runSliced } from '@spillway/runtime';
import type { Caller } from '../auth.ts';
import { badRequest, invalidValue } from '../errors.ts';
import { documentsOf } from '../quota/documents.ts';
import { writingRequests, type CreateBody } from './create-body.ts';
import { storeRequests } from './inline.ts';
import { digestingOrder, readOrder } from './order.ts';
import { placeBatch, type BatchPlaces, type BatchSeed } from './place.ts';

/** Makes the batch that a client orders. */
export async function createBatch(
  places: BatchPlaces,
  caller: Caller,
  { given, idempotencyKey }: { readonly given: CreateBody; readonly idempotencyKey: string | null },
): Promise<BatchObject> {
  const order = readOrder(given.body);
  const { input, ...asked } = order;
  const requests = given.requests === null ? [] : await runSliced(writingRequests(given.requests));
  const requestDigest = await runSliced(digestingOrder(order, requests));
  const inputOf: BatchSeed['input'] = async (id) => {
    // Not of one that stands already: its labels may be gone since.
    await checkLabels(places, caller, asked.metadata);
    const own = { id, caller, requestDigest };
    return { fileId: input === 'requests' ? await storeRequests(places, requests, own) : input.fileId };
  };
  const documents = async (): Promise<number> =>
    input === 'requests' ? requests.length : documentsOf(places.records, caller.tenant, input.fileId);
  const derivedId = idempotencyKey === null ? null : batchIdOfKey(caller.tenant, readKey(idempotencyKey));
  return placeBatch(places, caller, { order: asked, input: inputOf, documents, derivedId, requestDigest });
}

/** Labels are a file of the caller's, as the input is; without it nothing could be promised. */
export async function checkLabels(
  { records }: Pick<BatchPlaces, 'records'>,
  { tenant }: Caller,
  metadata: BatchSeed['order']['metadata'],
): Promise<void> {
  const file = labelsFileOf(metadata);
  const record = file === null || !isFileId(file) ? null : await records.standingFile(file, Date.now());
  if (file === null) return;
  if (record?.tenant === tenant && record.purpose === 'batch') {
    if (record.bytes <= LIMITS.labelsFileBytes) return;
    const message = `Invalid 'metadata.${LABELS_KEY}': the file has ${record.bytes} bytes, and labels at most ${LIMITS.labelsFileBytes}.`;
    throw badRequest(message, { param: `metadata.${LABELS_KEY}`, code: 'invalid_value' });
  }
  throw invalidValue(`metadata.${LABELS_KEY}`, file, 'ids of uploaded files of purpose batch');
}

function readKey(idempotencyKey: string): string {
  if (idempotencyKey.length <= LIMITS.idempotencyKeyCharacters) return idempotencyKey;
  const message = `Invalid 'Idempotency-Key': at most ${LIMITS.idempotencyKeyCharacters} characters are allowed.`;
  throw badRequest(message, { param: 'Idempotency-Key', code: 'string_above_max_length' });
}
