import { batchIdOfKey, LIMITS, type BatchObject } from '@spillway/core';
import type { Caller } from '../auth.ts';
import { badRequest } from '../errors.ts';
import { documentsOf } from '../quota/documents.ts';
import { storeRequests } from './inline.ts';
import { digestOf, readOrder } from './order.ts';
import { placeBatch, type BatchPlaces, type BatchSeed } from './place.ts';

/** Makes the batch that a client orders. */
export async function createBatch(
  places: BatchPlaces,
  caller: Caller,
  { body, idempotencyKey }: { readonly body: unknown; readonly idempotencyKey: string | null },
): Promise<BatchObject> {
  const { input, ...order } = readOrder(body);
  const requestDigest = digestOf({ input, ...order });
  const inputOf: BatchSeed['input'] = async (id) => ({
    fileId:
      'fileId' in input ? input.fileId : await storeRequests(places, input.requests, { id, caller, requestDigest }),
  });
  const documents = async (): Promise<number> =>
    'fileId' in input ? documentsOf(places.records, caller.tenant, input.fileId) : input.requests.length;
  const derivedId = idempotencyKey === null ? null : batchIdOfKey(caller.tenant, readKey(idempotencyKey));
  return placeBatch(places, caller, { order, input: inputOf, documents, derivedId, requestDigest });
}

function readKey(idempotencyKey: string): string {
  if (idempotencyKey.length <= LIMITS.idempotencyKeyCharacters) return idempotencyKey;
  const message = `Invalid 'Idempotency-Key': at most ${LIMITS.idempotencyKeyCharacters} characters are allowed.`;
  throw badRequest(message, { param: 'Idempotency-Key', code: 'string_above_max_length' });
}
