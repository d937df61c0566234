import { Readable } from 'node:stream';
import { pageOfDocument } from '@spillway/core';
import type { Records, Storage } from '@spillway/storage';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { ApiError, invalidValue } from '../errors.ts';
import { ownBatch } from '../ownership.ts';
import { after, limit, withRetries } from '../schemas/parts.ts';
import { chainOf, isWhole, linkOf, type Link } from './chain.ts';
import { joinedLines } from './joined-lines.ts';
import { sealedPage } from './pages.ts';

export const resultsQuery = z.object({
  limit: limit({ least: 1, most: 10_000, fallback: 1_000 }),
  after,
  with: withRetries,
});

/** A cursor is the number of documents that lie before it: it never skips a document and never repeats one. */
const CURSOR = /^r_(\d{1,9})$/;
const cursorOf = (documents: number): string => `r_${documents}`;

/**
 * Streams the settled lines behind a cursor, in input order, as far as pages are sealed without a gap; while the batch
 * is in work the same cursor brings more later. With retries, a request that failed and succeeded since has that line.
 */
export async function sendResults(
  { storage, records }: { readonly storage: Storage; readonly records: Records },
  tenant: string,
  { id, query, reply }: { id: string; query: z.output<typeof resultsQuery>; reply: FastifyReply },
): Promise<Readable> {
  await ownBatch(records, tenant, id);
  const link = query.with === undefined ? await linkOf(records, id) : await chainOf(records, tenant, id);
  const total = totalOf(link);
  const document = readCursor(query.after, total);
  if (link.hasEnded && document < total && !(await isSealed(storage, link, document))) {
    throw new ApiError(404, 'The results of this batch are gone: their files were deleted or have expired.', {
      code: 'results_gone',
    });
  }
  reply.type('application/json');
  return Readable.from(textOf(storage, link, { document, limit: query.limit }), { objectMode: false });
}

const totalOf = ({ validated }: Link): number => validated?.total ?? 0;

function readCursor(text: string | undefined, total: number): number {
  if (text === undefined) return 0;
  const document = Number(CURSOR.exec(text)?.[1] ?? Number.NaN);
  if (document <= total) return document;
  throw invalidValue('after', text, "a 'cursor' of an earlier answer");
}

/** Whether the page that a document lies in is sealed. */
async function isSealed(storage: Storage, { id, validated }: Link, document: number): Promise<boolean> {
  const pages = validated?.pages ?? [];
  const page = pageOfDocument(pages, document);
  return page !== null && (await sealedPage(storage, id, pages, page)) !== null;
}

async function* textOf(
  storage: Storage,
  link: Link,
  { document: from, limit: most }: { readonly document: number; readonly limit: number },
): AsyncGenerator<Uint8Array | string> {
  let document = from;
  let sent = 0;
  yield '{"object":"list","data":[';
  for await (const { line } of joinedLines(storage, link, from)) {
    if (line === null) break;
    if (sent > 0) yield ',';
    yield line.bytes;
    sent += 1;
    document += 1;
    if (sent === most) break;
  }
  const hasMore = await isSealed(storage, link, document);
  const complete = document >= totalOf(link) && isWhole(link);
  yield `],"cursor":"${cursorOf(document)}","has_more":${hasMore},"complete":${complete}}`;
}
