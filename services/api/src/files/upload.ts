import { randomBytes } from 'node:crypto';
import { fileIdOf, KEYS, type FileObject } from '@spillway/core';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Api } from '../api.ts';
import type { Caller } from '../auth.ts';
import { ApiError, unsupportedMediaType } from '../errors.ts';
import { overBytes, roomForBytes } from '../quota.ts';
import { expiresAfter } from '../schemas/parts.ts';
import { FirstLine } from './first-line.ts';
import { completeForm, invalidFormat, readForm, type CompleteForm } from './form.ts';
import { watchPace } from './pace.ts';
import { abandonFile, beginFile, placeFile, type BegunFile } from './place.ts';

/** The form of an upload, its fields in any order. */
export const uploadBody = z
  .object({
    file: z.string().meta({ format: 'binary', description: 'JSON lines, named *.jsonl or without an extension.' }),
    purpose: z.literal('batch'),
    expires_after: expiresAfter.optional(),
  })
  .meta({ id: 'UploadFile' });

/** What the fields and boundaries of a form may add to its file, when a body is judged by its length alone. */
const FORM_BYTES = 1024 * 1024;

/** Streams an upload to storage. The record is written last: until then there is no file. */
export async function uploadFile(api: Api, caller: Caller, request: FastifyRequest): Promise<FileObject> {
  const { uploadBytes, uploadIdleMs } = api.limits;
  if (!request.isMultipart()) throw unsupportedMediaType('multipart/form-data');
  if (Number(request.headers['content-length'] ?? 0) > uploadBytes + FORM_BYTES) throw tooLarge(uploadBytes);
  const room = await roomForBytes(api, caller);
  const begun = await beginFile(api, caller.tenant, fileIdOf(randomBytes(16)));
  using pace = watchPace(request.raw, uploadIdleMs);
  const stalled = Promise.withResolvers<never>();
  pace.stalled.addEventListener('abort', () => stalled.reject(pace.stalled.reason));
  const form = await Promise.race([receive(api, { request, begun, room, stalled: pace.stalled }), stalled.promise]);
  return await placeFile(api, begun, form);
}

type Upload = {
  readonly request: FastifyRequest;
  readonly begun: BegunFile;
  /** Bytes that the tenant may still store; null without a limit. */
  readonly room: number | null;
  readonly stalled: AbortSignal;
};

/** Takes the form and stores the file's bytes; when anything is refused, or the sender goes away, none stay. */
async function receive(api: Api, { request, begun, room, stalled }: Upload): Promise<CompleteForm> {
  const key = KEYS.fileBytes(begun.id);
  const store = (bytes: AsyncIterable<Uint8Array>): Promise<number> =>
    api.storage.upload(key, inspected(bytes, { most: api.limits.uploadBytes, room }), stalled);
  try {
    const form = completeForm(await readForm(request, store));
    stalled.throwIfAborted();
    return form;
  } catch (error) {
    await Promise.all([api.storage.remove(key), abandonFile(api, begun)]).catch((failure: unknown) => {
      api.log.warn({ err: failure, key }, 'the bytes of a refused upload stay until garbage collection');
    });
    throw error;
  }
}

/** The bytes as they pass, or an error as soon as they are too many or no batch input. */
async function* inspected(
  bytes: AsyncIterable<Uint8Array>,
  { most, room }: { readonly most: number; readonly room: number | null },
): AsyncGenerator<Uint8Array> {
  const firstLine = new FirstLine();
  let total = 0;
  for await (const chunk of bytes) {
    total += chunk.byteLength;
    if (total > most) throw tooLarge(most);
    if (room !== null && total > room) throw overBytes();
    if (firstLine.push(chunk) === 'other') throw invalidFormat();
    yield chunk;
  }
  if (firstLine.end() === 'other') throw invalidFormat();
}

function tooLarge(most: number): ApiError {
  return new ApiError(413, `The file is too large: at most ${most} bytes can be uploaded.`, {
    param: 'file',
    code: 'file_too_large',
  });
}
