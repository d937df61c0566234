import { randomBytes } from 'node:crypto';
import {
  fileIdOf,
  isBadLine,
  KEYS,
  retryFileId,
  type FinalRecord,
  type Manifest,
  type Validated,
} from '@spillway/core';
import { readDocumentLines, uploadOnce, type Storage } from '@spillway/storage';
import type { Caller } from '../auth.ts';
import { conflict } from '../errors.ts';
import { beginFile, placeFile } from '../files/place.ts';
import { StoredBytes, type ByteSources } from '../quota/stored-bytes.ts';
import type { Tenants } from '../tenants.ts';
import { linesOf, sealedPage } from './pages.ts';

/** An ended batch whose failed requests are sent again. */
export type RetrySource = { readonly manifest: Manifest; readonly final: FinalRecord; readonly validated: Validated };

/** How many documents of each page of a batch failed and may be sent again: bad lines would only be bad again. */
export async function countFailed(storage: Storage, source: RetrySource): Promise<number[]> {
  const taken: number[] = [];
  for (const page of source.validated.pages.keys()) taken.push((await failedIn(storage, source, page)).size);
  return taken;
}

/**
 * Copies the request lines of the failed documents, byte by byte, into a new file; its id. What is copied never changes,
 * so whoever comes second, at once or after a crash, adopts what stands.
 */
export async function storeFailed(
  sources: ByteSources & { readonly tenants: Tenants },
  caller: Caller,
  { retry, source, lines }: { readonly retry: string; readonly source: RetrySource; readonly lines: number },
): Promise<string> {
  const { storage, records } = sources;
  const { manifest } = source;
  const derived = retryFileId(retry);
  if ((await records.standingFile(derived, Date.now())) !== null) return derived;
  // A create that was given up long ago left a file that was deleted or has expired since.
  const id = (await records.file(derived)) === null ? derived : fileIdOf(randomBytes(16));
  if ((await storage.size(KEYS.fileBytes(manifest.inputFileId))) === null) throw inputGone(manifest);
  const name = `${manifest.id}_retry.jsonl`;
  await using stored = new StoredBytes(sources, caller, { id, name: () => name, mostBytes: Infinity });
  const unfinished = await beginFile(sources, manifest.tenant, id);
  // What is refused leaves its index key behind, as the bytes may be those of somebody who stores the same ones.
  const copied = counted(failedLines(storage, source), (bytes) => stored.take(bytes));
  const bytes = await uploadOnce(storage, KEYS.fileBytes(id), copied);
  await stored.takeWhole(bytes);
  await placeFile(storage, unfinished, { name, bytes, lines, expiresAfterSeconds: null });
  stored.stands();
  return id;
}

/** The same bytes; `take` is told of each chunk, before it passes, how many there are by then. */
async function* counted(
  chunks: AsyncIterable<Uint8Array>,
  take: (bytes: number) => Promise<void>,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.byteLength;
    await take(bytes);
    yield chunk;
  }
}

export const inputGone = (manifest: Manifest): Error =>
  conflict(`The input file '${manifest.inputFileId}' of this batch is gone.`, 'input_gone');

async function* failedLines(storage: Storage, source: RetrySource): AsyncGenerator<Uint8Array> {
  const { manifest, validated } = source;
  for (const [page, plan] of validated.pages.entries()) {
    const failed = await failedIn(storage, source, page);
    if (failed.size === 0) continue;
    const lines = await readDocumentLines(storage, { manifest, badLines: validated.badLines ?? null }, plan);
    if (lines === null) throw inputGone(manifest);
    let copied = 0;
    for (const [document, line] of lines) {
      if (!failed.has(document)) continue;
      yield Buffer.concat([line.bytes, NEWLINE]);
      copied += 1;
    }
    if (copied !== failed.size) throw new Error(`page ${page} of ${manifest.id} has other lines than when it was read`);
  }
}

const NEWLINE = Buffer.from('\n');

/** The documents of a page, by their indices in the batch, that failed and may be sent again. */
async function failedIn(
  storage: Storage,
  { manifest, final, validated }: RetrySource,
  page: number,
): Promise<ReadonlySet<number>> {
  const failed = new Set<number>();
  const errorBytes = final.pages[page]?.[1] ?? 0;
  if (errorBytes === 0) return failed;
  const sealed = await sealedPage(storage, manifest.id, validated.pages, page);
  if (sealed === null) throw conflict('The results of this batch are gone.', 'results_gone');
  const errorsOnly = { ...sealed, output: { ...sealed.output, end: sealed.output.start } };
  for await (const { document } of linesOf(storage, errorsOnly)) {
    if (!isBadLine(validated.badLines ?? null, document)) failed.add(document);
  }
  return failed;
}
