import { Readable } from 'node:stream';
import { KEYS, type FileRecord } from '@spillway/core';
import type { Records, Storage } from '@spillway/storage';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiError, noSuchFile } from '../errors.ts';
import { ownFile } from '../ownership.ts';
import { attachmentHeader } from './name.ts';
import { cutPieces, lengthOf, resultPieces, streamPieces, type Piece } from './pieces.ts';
import { readRange } from './range.ts';

type Sources = { readonly storage: Storage; readonly records: Records };

/** Sends a file's bytes, or the one range of them that is asked for. */
export async function sendContent(
  sources: Sources,
  tenant: string,
  id: string,
  { request, reply }: { request: FastifyRequest; reply: FastifyReply },
): Promise<Readable> {
  const file = await ownFile(sources.records, tenant, id);
  const pieces = await piecesOf(sources, file);
  const size = lengthOf(pieces);
  const part = readRange(request.headers.range, size);
  if (part.kind === 'unsatisfiable') {
    const headers = { 'content-range': `bytes */${size}` };
    throw new ApiError(416, `The file has ${size} bytes: the range lies beyond them.`, {
      code: 'range_not_satisfiable',
      headers,
    });
  }
  const { start, end } = part.kind === 'whole' ? { start: 0, end: size } : part;
  if (part.kind === 'part') {
    reply.code(206).header('content-range', `bytes ${start}-${end - 1}/${size}`);
  }
  reply
    .type('application/octet-stream')
    .header('accept-ranges', 'bytes')
    .header('content-length', end - start)
    .header('content-disposition', attachmentHeader(nameOf(file)));
  const wanted = request.method === 'HEAD' ? [] : cutPieces(pieces, start, end);
  return Readable.from(streamPieces(sources.storage, wanted), { objectMode: false });
}

function nameOf({ source, filename }: FileRecord): string {
  return source.kind === 'batch' ? `${source.batch}_${source.part}.jsonl` : filename;
}

async function piecesOf({ storage, records }: Sources, { id, source }: FileRecord): Promise<Piece[]> {
  if (source.kind === 'upload') {
    const key = KEYS.fileBytes(id);
    const end = await storage.size(key);
    if (end === null) throw noSuchFile(id);
    return [{ key, start: 0, end }];
  }
  const final = await records.final(source.batch);
  if (final === null) throw noSuchFile(id);
  return resultPieces(source.batch, source.part, final.pages);
}
