import { Readable } from 'node:stream';
import type { FinalRecord, Validated } from '@spillway/core';
import { z } from 'zod';
import type { FastifyReply } from 'fastify';
import type { Api } from '../api.ts';
import { ApiError, invalidValue } from '../errors.ts';
import { after, limit } from '../schemas/parts.ts';
import { linesOf, sealedPage, type SealedPage } from './pages.ts';

export const resultsQuery = z.object({ limit: limit({ least: 1, most: 10_000, fallback: 1_000 }), after });

/** A cursor is the number of documents that lie before it: it never skips a document and never repeats one. */
const CURSOR = /^r_(\d{1,9})$/;
const cursorOf = (documents: number): string => `r_${documents}`;

/** How far a reader has come. */
type Place = { readonly document: number; readonly plan: Validated | null; readonly final: FinalRecord | null };

/**
 * Streams the settled lines behind a cursor, in input order, as far as pages are sealed without a gap; while the batch
 * is in work the same cursor brings more later.
 */
export async function sendResults(
  api: Api,
  tenant: string,
  { id, query, reply }: { id: string; query: z.output<typeof resultsQuery>; reply: FastifyReply },
): Promise<Readable> {
  await api.records.ownBatch(tenant, id);
  // Read first: a final record that stands then has all pages before it.
  const final = await api.records.final(id);
  const plan = await api.records.validated(id);
  const document = readCursor(query.after, plan?.total ?? 0);
  const place = { document, plan, final };
  const first = plan === null ? null : await pageWith(api, id, plan, document);
  if (first === null && final !== null && plan !== null && document < plan.total) {
    throw new ApiError(404, 'The results of this batch are gone: their files were deleted or have expired.', {
      code: 'results_gone',
    });
  }
  reply.type('application/json');
  return Readable.from(textOf(api, id, { place, first, limit: query.limit }), { objectMode: false });
}

function readCursor(text: string | undefined, total: number): number {
  if (text === undefined) return 0;
  const document = Number(CURSOR.exec(text)?.[1] ?? Number.NaN);
  if (document <= total) return document;
  throw invalidValue('after', text, "a 'cursor' of an earlier answer");
}

/** The page that a document lies in, when it is sealed. */
async function pageWith(api: Api, batch: string, plan: Validated, document: number): Promise<SealedPage | null> {
  const page = plan.pages.findLastIndex(([first]) => first <= document);
  const [first = 0, documents = 0] = plan.pages[page] ?? [];
  return document < first + documents ? await sealedPage(api, batch, plan, page) : null;
}

async function* textOf(
  api: Api,
  batch: string,
  { place, first, limit: most }: { place: Place; first: SealedPage | null; limit: number },
): AsyncGenerator<Uint8Array | string> {
  const { plan, final } = place;
  let { document } = place;
  let page = first;
  let sent = 0;
  yield '{"object":"list","data":[';
  for (; page !== null && sent < most; page = plan === null ? null : await pageWith(api, batch, plan, document)) {
    for await (const line of linesOf(api, page)) {
      if (line.document < document) continue;
      if (sent === most) break;
      if (sent > 0) yield ',';
      yield line.bytes;
      sent += 1;
      document = line.document + 1;
    }
  }
  const complete = final !== null && document >= (plan?.total ?? 0);
  yield `],"cursor":"${cursorOf(document)}","has_more":${page !== null},"complete":${complete}}`;
}
