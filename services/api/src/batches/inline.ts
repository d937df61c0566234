import { inlineFileId, KEYS, LIMITS, lineOfJson, SLICE_CHARACTERS, type Sliced } from '@spillway/core';
import { runSliced } from '@spillway/runtime';
import type { Caller } from '../auth.ts';
import { beginFile, placeFile } from '../files/place.ts';
import { StoredBytes, type ByteSources } from '../quota/stored-bytes.ts';
import type { Tenants } from '../tenants.ts';
import { requestsTooLarge } from './create-body.ts';

/** Stores the requests that came with a create as an input file; its id. Sent again, they are found there already. */
export async function storeRequests(
  sources: ByteSources & { readonly tenants: Tenants },
  requests: readonly string[],
  own: { readonly id: string; readonly caller: Caller; readonly requestDigest: string },
): Promise<string> {
  const { storage } = sources;
  const bytes = await runSliced(writingLines(requests));
  if (bytes.length > LIMITS.inlineRequestsBytes) throw requestsTooLarge();
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

/** The file of these requests. */
export function* writingLines(requests: readonly string[]): Sliced<Buffer> {
  const chunks: Buffer[] = [];
  let [lines, characters] = [[] as string[], 0];
  for (const request of requests) {
    lines.push(`${lineOfJson(request)}\n`);
    characters += request.length;
    if (characters < SLICE_CHARACTERS) continue;
    chunks.push(Buffer.from(lines.join('')));
    [lines, characters] = [[], 0];
    yield;
  }
  return Buffer.concat([...chunks, Buffer.from(lines.join(''))]);
}
