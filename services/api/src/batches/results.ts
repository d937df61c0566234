import { Readable } from 'node:stream';
import { pageOfDocument } from '@spillway/core';
import type { Log } from '@spillway/runtime';
import type { Records, Storage } from '@spillway/storage';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { ApiError, invalidValue } from '../errors.ts';
import { ownBatch } from '../ownership.ts';
import { after, customId, joined, limit } from '../schemas/parts.ts';
import { customIdOf, documentsById, linesOfDocuments } from './by-id.ts';
import { Reviews } from '../documents/reviews.ts';
import { chainOf, isWhole, linkOf, type Link } from './chain.ts';
import { joinedLines, type JoinedLine } from './joined-lines.ts';
import { sealedPage } from './pages.ts';

export const resultsQuery = z.object({
  limit: limit({ least: 1, most: 10_000, fallback: 1_000 }),
  after,
  with: joined,
  custom_id: customId,
});

/** Without an index, an answer looks through so many documents, as many as it may list; its cursor goes on from there. */
const MAX_LOOKED_THROUGH = 10_000;

/** A cursor is the number of documents that lie before it: it never skips a document and never repeats one. */
const CURSOR = /^r_(\d{1,9})$/;
const cursorOf = (documents: number): string => `r_${documents}`;

/** What a result is read from. */
type Sources = { readonly storage: Storage; readonly records: Records; readonly log: Log };

/**
 * Streams the settled lines behind a cursor, in input order, as far as pages are sealed without a gap; while the batch
 * is in work the same cursor brings more later. With retries, a request that failed and succeeded since has that line.
 * With a `custom_id` only that one's lines are sent.
 */
export async function sendResults(
  { storage, records, log }: Sources,
  tenant: string,
  { id, query, reply }: { id: string; query: z.output<typeof resultsQuery>; reply: FastifyReply },
): Promise<Readable> {
  await ownBatch(records, tenant, id);
  const link = query.with.has('retries') ? await chainOf(records, tenant, id) : await linkOf(records, id);
  const total = totalOf(link);
  const document = readCursor(query.after, total);
  if (link.hasEnded && document < total && !(await isSealed(storage, link, document))) {
    throw new ApiError(404, 'The results of this batch are gone: their files were deleted or have expired.', {
      code: 'results_gone',
    });
  }
  const reading = await readingOf({ storage, log }, link, { ...query, document });
  reply.type('application/json');
  const reviews = query.with.has('reviews') ? await Reviews.of(storage, id, document) : null;
  return Readable.from(textOf({ storage, reviews }, link, reading), { objectMode: false });
}

/** Lines to be looked at, one after the other. */
type Reading = {
  readonly lines: AsyncGenerator<JoinedLine>;
  /** The document that is looked at first, and whichever follows another one; the batch's end when there is no more. */
  readonly first: number;
  readonly behind: (document: number) => number;
  /** Documents that are looked at, at most, and lines that are sent. */
  readonly mostLooked: number;
  readonly most: number;
  readonly isWanted: (line: Buffer) => boolean;
  /** Nothing else can be wanted, ever. */
  readonly isAll: boolean;
};

async function readingOf(
  sources: Pick<Sources, 'storage' | 'log'>,
  link: Link,
  { document, limit: most, custom_id: id }: z.output<typeof resultsQuery> & { readonly document: number },
): Promise<Reading> {
  const { storage } = sources;
  const lines = joinedLines(storage, link, document);
  const each = { lines, first: document, behind: next, mostLooked: most, most, isAll: false };
  if (id === undefined) return { ...each, isWanted: () => true };
  const isWanted = (line: Buffer): boolean => customIdOf(line) === id;
  const documents = await documentsById(sources, link, { customId: id, from: document, most: most + 1 });
  if (documents === null) return { ...each, mostLooked: MAX_LOOKED_THROUGH, isWanted };
  const total = totalOf(link);
  const places = new Map(documents.map((one, at) => [one, documents[at + 1] ?? total]));
  return {
    ...each,
    lines: linesOfDocuments(storage, link, documents.slice(0, most)),
    first: documents[0] ?? total,
    behind: (one) => places.get(one) ?? total,
    isWanted,
    isAll: true,
  };
}

const next = (document: number): number => document + 1;

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
  { storage, reviews }: { readonly storage: Storage; readonly reviews: Reviews | null },
  link: Link,
  { lines, first, behind, mostLooked, most, isWanted, isAll }: Reading,
): AsyncGenerator<Uint8Array | string> {
  let document = first;
  let looked = 0;
  let sent = 0;
  yield '{"object":"list","data":[';
  for await (const { document: own, line } of lines) {
    if (line === null) break;
    if (isWanted(line.bytes)) {
      if (sent > 0) yield ',';
      yield reviews === null ? line.bytes : await reviews.join(own, line.bytes);
      sent += 1;
    }
    looked += 1;
    document = behind(document);
    if (looked === mostLooked || sent === most) break;
  }
  const hasMore = await isSealed(storage, link, document);
  const isOver = isAll ? link.retry === null || isWhole(link.retry.link) : isWhole(link);
  const complete = document >= totalOf(link) && isOver;
  yield `],"cursor":"${cursorOf(document)}","has_more":${hasMore},"complete":${complete}}`;
}
