import { inlineFileId, jsonLine, KEYS, LIMITS } from '@spillway/core';
import type { Api } from '../api.ts';
import type { Caller } from '../auth.ts';
import { ApiError } from '../errors.ts';
import { beginFile, placeFile } from '../files/place.ts';
import { overBytes, roomForBytes } from '../quota.ts';

/** Stores the requests that came with a create as an input file; its id. Sent again, they are found there already. */
export async function storeRequests(
  api: Api,
  requests: readonly object[],
  own: { readonly id: string; readonly caller: Caller; readonly requestDigest: string },
): Promise<string> {
  const bytes = Buffer.from(requests.map((request) => `${jsonLine(request)}\n`).join(''));
  if (bytes.length > LIMITS.inlineRequestsBytes) {
    const message = `The requests take more than ${LIMITS.inlineRequestsBytes} bytes: upload them as a file.`;
    throw new ApiError(413, message, { param: 'requests', code: 'request_too_large' });
  }
  const room = await roomForBytes(api, own.caller);
  if (room !== null && bytes.length > room) throw overBytes();
  const id = inlineFileId(own.id, own.requestDigest);
  const begun = await beginFile(api, own.caller.tenant, id);
  await api.storage.create(KEYS.fileBytes(id), bytes);
  await placeFile(api, begun, { name: `${own.id}_input.jsonl`, bytes: bytes.length, expiresAfterSeconds: null });
  return id;
}
