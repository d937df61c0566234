import { batchIdOfKey, LIMITS, type BatchObject } from '@spillway/core';
import { runSliced } from '@spillway/runtime';
import type { Caller } from '../auth.ts';
import { badRequest } from '../errors.ts';
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
  const inputOf: BatchSeed['input'] = async (id) => ({
    fileId: input === 'requests' ? await storeRequests(places, requests, { id, caller, requestDigest }) : input.fileId,
  });
  const documents = async (): Promise<number> =>
    input === 'requests' ? requests.length : documentsOf(places.records, caller.tenant, input.fileId);
  const derivedId = idempotencyKey === null ? null : batchIdOfKey(caller.tenant, readKey(idempotencyKey));
  return placeBatch(places, caller, { order: asked, input: inputOf, documents, derivedId, requestDigest });
}

function readKey(idempotencyKey: string): string {
  if (idempotencyKey.length <= LIMITS.idempotencyKeyCharacters) return idempotencyKey;
  const message = `Invalid 'Idempotency-Key': at most ${LIMITS.idempotencyKeyCharacters} characters are allowed.`;
  throw badRequest(message, { param: 'Idempotency-Key', code: 'string_above_max_length' });
}
