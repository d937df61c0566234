import { inlineFileId, jsonLine, KEYS, LIMITS, writtenId } from '@spillway/core';
import type { Caller } from '../auth.ts';
import { ApiError } from '../errors.ts';
import { beginFile, placeFile } from '../files/place.ts';
import { StoredBytes, type ByteSources } from '../quota/stored-bytes.ts';
import type { Tenants } from '../tenants.ts';

/** Stores the requests that came with a create as an input file; its id. Sent again, they are found there already. */
export async function storeRequests(
  sources: ByteSources & { readonly tenants: Tenants },
  requests: readonly object[],
  own: { readonly id: string; readonly caller: Caller; readonly requestDigest: string },
): Promise<string> {
  const { storage } = sources;
  const bytes = Buffer.from(requests.map((request) => `${lineOf(request)}\n`).join(''));
  if (bytes.length > LIMITS.inlineRequestsBytes) {
    const message = `The requests take more than ${LIMITS.inlineRequestsBytes} bytes: upload them as a file.`;
    throw new ApiError(413, message, { param: 'requests', code: 'request_too_large' });
  }
  const name = `${own.id}_input.jsonl`;
  const id = inlineFileId(own.id, own.requestDigest);
  await using stored = new StoredBytes(sources, own.caller, { id, name: () => name, mostBytes: bytes.length });
  await stored.takeWhole(bytes.length);
  const unfinished = await beginFile(sources, own.caller.tenant, id);
  await storage.create(KEYS.fileBytes(id), bytes);
  const lines = requests.length;
  await placeFile(storage, unfinished, { name, bytes: bytes.length, lines, expiresAfterSeconds: null });
  stored.stands();
  return id;
}

/** A request as a line of a file. What is no text of UTF-8 is lost in that, so its id is written as results have it. */
function lineOf(request: object): string {
  const { custom_id: id } = request as { readonly custom_id?: unknown };
  return jsonLine(typeof id === 'string' ? { ...request, custom_id: writtenId(id) } : request);
}
