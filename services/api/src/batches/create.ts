import type { BatchObject } from '@spillway/core';
import type { Caller } from '../auth.ts';
import { storeRequests } from './inline.ts';
import { digestOf, readOrder } from './order.ts';
import { placeBatch, type BatchPlaces } from './place.ts';

/** Makes the batch that a client orders. */
export async function createBatch(
  places: BatchPlaces,
  caller: Caller,
  { body, idempotencyKey }: { readonly body: unknown; readonly idempotencyKey: string | null },
): Promise<BatchObject> {
  const { input, ...order } = readOrder(body);
  const requestDigest = digestOf({ input, ...order });
  const inputOf = async (id: string): Promise<string> =>
    'fileId' in input ? input.fileId : await storeRequests(places, input.requests, { id, caller, requestDigest });
  return placeBatch(places, caller, { order, input: inputOf, idempotencyKey, requestDigest });
}
