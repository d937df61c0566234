import { Readable } from 'node:stream';
import { resultLine } from '@spillway/core';
import type { Records } from '@spillway/storage';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { linkOf } from '../batches/chain.ts';
import { ApiError, missingParameter } from '../errors.ts';
import { ownBatch } from '../ownership.ts';
import { customId } from '../schemas/parts.ts';
import { findDocument } from './find-document.ts';
import type { LineSources } from './known-lines.ts';
import { readLine } from './read-line.ts';
import { Reviews } from './reviews.ts';

export const documentQuery = z.object({
  custom_id: customId.meta({ description: 'Of the document, as lines have it.' }),
});

/** A document with all that is known of it. */
export const shownDocument = z
  .strictObject({
    object: z.literal('batch.document'),
    document: z.int().meta({ description: 'Its place in the batch, from 0.' }),
    trace_url: z
      .string()
      .nullable()
      .meta({ description: 'Its trace in Jaeger, where the service knows its address and a trace was kept.' }),
    request: z.looseObject({}).nullable().meta({ description: 'Its line of the input file; null where that is gone.' }),
    result: resultLine.nullable().meta({ description: 'With what somebody said of it; null while there is none.' }),
  })
  .meta({ id: 'BatchDocument' });

type Sources = LineSources & { readonly records: Records; readonly jaegerUrl: string | null };

/** Sends a document: its request and its result as they stand, which may both be large. */
export async function showDocument(
  sources: Sources,
  tenant: string,
  {
    id,
    query,
    reply,
  }: { readonly id: string; readonly query: z.output<typeof documentQuery>; readonly reply: FastifyReply },
): Promise<Readable> {
  const { custom_id: sought } = query;
  const manifest = await ownBatch(sources.records, tenant, id);
  if (sought === undefined) throw missingParameter('custom_id');
  const found = await findDocument(sources, { link: await linkOf(sources.records, id), manifest }, sought);
  if (found === null) {
    throw new ApiError(404, `The batch '${id}' has no document with this custom_id.`, { param: 'custom_id' });
  }
  const { document, request, result } = found;
  const reviews = Reviews.ofOne(sources.storage, id, document);
  const line = result === null ? null : await reviews.join(document, result);
  const trace = result === null ? null : ((await readLine(result)).cascade?.trace_id ?? null);
  const url = trace === null || sources.jaegerUrl === null ? null : `${sources.jaegerUrl}/trace/${trace}`;
  reply.type('application/json');
  const head = JSON.stringify({ object: 'batch.document', document, trace_url: url }).slice(0, -1);
  const parts = [head, ',"request":', request ?? 'null', ',"result":', line ?? 'null', '}'];
  return Readable.from(parts, { objectMode: false });
}
