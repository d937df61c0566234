import { Readable } from 'node:stream';
import { pageOfDocument, type FinalRecord, type PagePlan, type Validated } from '@spillway/core';
import type { Records, Storage } from '@spillway/storage';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { ApiError, invalidValue } from '../errors.ts';
import { ownBatch } from '../ownership.ts';
import { after, limit } from '../schemas/parts.ts';
import { linesOf, sealedPage, type SealedPage } from './pages.ts';

export const resultsQuery = z.object({ limit: limit({ least: 1, most: 10_000, fallback: 1_000 }), after });

/** A cursor is the number of documents that lie before it: it never skips a document and never repeats one. */
const CURSOR = /^r_(\d{1,9})$/;
const cursorOf = (documents: number): string => `r_${documents}`;

/** How far a reader has come. */
type Place = { readonly document: number; readonly validated: Validated | null; readonly final: FinalRecord | null };

/**
 * Streams the settled lines behind a cursor, in input order, as far as pages are sealed without a gap; while the batch
 * is in work the same cursor brings more later.
 */
export async function sendResults(
  { storage, records }: { readonly storage: Storage; readonly records: Records },
  tenant: string,
  { id, query, reply }: { id: string; query: z.output<typeof resultsQuery>; reply: FastifyReply },
): Promise<Readable> {
  await ownBatch(records, tenant, id);
  // Read first: a final record that stands then has all pages before it.
  const final = await records.final(id);
  const validated = await records.validated(id);
  const document = readCursor(query.after, validated?.total ?? 0);
  const place = { document, validated, final };
  const first = await pageWith(storage, id, validated?.pages ?? [], document);
  if (first === null && final !== null && document < (validated?.total ?? 0)) {
    throw new ApiError(404, 'The results of this batch are gone: their files were deleted or have expired.', {
      code: 'results_gone',
    });
  }
  reply.type('application/json');
  return Readable.from(textOf(storage, id, { place, first, limit: query.limit }), { objectMode: false });
}

function readCursor(text: string | undefined, total: number): number {
  if (text === undefined) return 0;
  const document = Number(CURSOR.exec(text)?.[1] ?? Number.NaN);
  if (document <= total) return document;
  throw invalidValue('after', text, "a 'cursor' of an earlier answer");
}

/** The page that a document lies in, when it is sealed. */
async function pageWith(
  storage: Storage,
  batch: string,
  pages: readonly PagePlan[],
  document: number,
): Promise<SealedPage | null> {
  const page = pageOfDocument(pages, document);
  return page === null ? null : await sealedPage(storage, batch, pages, page);
}

async function* textOf(
  storage: Storage,
  batch: string,
  { place, first, limit: most }: { place: Place; first: SealedPage | null; limit: number },
): AsyncGenerator<Uint8Array | string> {
  const { validated, final } = place;
  const { pages, total } = validated ?? { pages: [], total: 0 };
  let { document } = place;
  let page = first;
  let sent = 0;
  yield '{"object":"list","data":[';
  for (; page !== null && sent < most; page = await pageWith(storage, batch, pages, document)) {
    for await (const line of linesOf(storage, page)) {
      if (line.document < document) continue;
      if (sent === most) break;
      if (sent > 0) yield ',';
      yield line.bytes;
      sent += 1;
      document = line.document + 1;
    }
  }
  const complete = final !== null && document >= total;
  yield `],"cursor":"${cursorOf(document)}","has_more":${page !== null},"complete":${complete}}`;
}
