import { pageOfDocument } from '@spillway/core';
import { readResults } from '@spillway/redis';
import type { Storage } from '@spillway/storage';
import type { Link } from '../batches/chain.ts';
import { linesOfDocuments } from '../batches/by-id.ts';
import { joinedLines } from '../batches/joined-lines.ts';
import { askRedis, readLive, type LoggedRedis } from '../batches/live.ts';

export type LineSources = LoggedRedis & { readonly storage: Storage };

/** A document, and the line of its result; null while it has none. */
export type KnownLine = { readonly document: number; readonly bytes: Buffer | null };

/** Results of an open page are read by this many at a time: an answer may be large. */
const OPEN_AT_A_TIME = 16;

/**
 * What is known of a batch's documents from one on, in input order: of sealed pages from storage, of open ones from
 * Redis. It ends where nothing is enqueued yet.
 */
export async function* knownLines(sources: LineSources, link: Link, from: number): AsyncGenerator<KnownLine> {
  const begun = await begunDocuments(sources, link);
  let open: number[] = [];
  for await (const { document, line } of joinedLines(sources.storage, link, from)) {
    if (line === null && document < begun) open.push(document);
    const isDue = line !== null || document >= begun || open.length === OPEN_AT_A_TIME;
    if (!isDue) continue;
    yield* openLines(sources, link, open);
    open = [];
    if (line !== null) yield { document, bytes: line.bytes };
    else if (document >= begun) return;
  }
  yield* openLines(sources, link, open);
}

/** The results of some documents of open pages. One that was sealed a moment ago has none here any more. */
async function* openLines(
  sources: LoggedRedis,
  { id, validated }: Link,
  documents: readonly number[],
): AsyncGenerator<KnownLine> {
  const { pages } = validated ?? { pages: [] };
  for (const [page, some] of Map.groupBy(documents, (document) => pageOfDocument(pages, document))) {
    const first = page === null ? 0 : (pages[page]?.first ?? 0);
    const places = some.map((document) => document - first);
    const results = page === null ? null : await askRedis(sources, (redis) => readResults(redis, id, page, places));
    for (const document of some) {
      const result = results?.get(document - first);
      yield { document, bytes: result === undefined ? null : Buffer.from(result.text) };
    }
  }
}

/** The line of one document; null while it has none. */
export async function lineOf(sources: LineSources, link: Link, document: number): Promise<Buffer | null> {
  for await (const { line } of linesOfDocuments(sources.storage, link, [document])) {
    if (line !== null) return line.bytes;
  }
  for await (const { bytes } of openLines(sources, link, [document])) return bytes;
  return null;
}

/** Documents that have been enqueued; all of them where nobody knows. */
async function begunDocuments(sources: LoggedRedis, { id, hasEnded }: Link): Promise<number> {
  if (hasEnded) return Number.POSITIVE_INFINITY;
  const live = await readLive(sources, id);
  return live.kind === 'live' && !live.state.isRestored ? live.state.enqueued : Number.POSITIVE_INFINITY;
}
