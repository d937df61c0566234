import { randomBytes } from 'node:crypto';
import { fileIdOf, fileObject, KEYS, LIMITS, RECORDS, type FileObject } from '@spillway/core';
import { createRecord } from '@spillway/storage';
import type { FastifyRequest } from 'fastify';
import type { Api } from '../api.ts';
import { ApiError, unsupportedMediaType } from '../errors.ts';
import { FirstLine } from './first-line.ts';
import { completeForm, invalidFormat, readForm, type CompleteForm } from './form.ts';
import { watchPace } from './pace.ts';

/** What the fields and boundaries of a form may add to its file, when a body is judged by its length alone. */
const FORM_BYTES = 1024 * 1024;

const EMPTY = Buffer.from('{}');

/** Streams an upload to storage. The record is written last: until then there is no file. */
export async function uploadFile(api: Api, tenant: string, request: FastifyRequest): Promise<FileObject> {
  const { uploadBytes, uploadIdleMs } = api.limits;
  if (!request.isMultipart()) throw unsupportedMediaType('multipart/form-data');
  if (Number(request.headers['content-length'] ?? 0) > uploadBytes + FORM_BYTES) throw tooLarge(uploadBytes);
  const id = fileIdOf(randomBytes(16));
  using pace = watchPace(request.raw, uploadIdleMs);
  const stalled = Promise.withResolvers<never>();
  pace.stalled.addEventListener('abort', () => stalled.reject(pace.stalled.reason));
  const form = await Promise.race([receive(api, request, id, pace.stalled), stalled.promise]);

  const createdAtMs = Date.now();
  await api.storage.create(KEYS.tenantFile(tenant, createdAtMs, id), EMPTY);
  const { record } = await createRecord(api.storage, KEYS.fileRecord(id), RECORDS.file, {
    v: 1,
    id,
    tenant,
    filename: form.name,
    purpose: 'batch',
    bytes: form.bytes,
    createdAtMs,
    expiresAtMs: createdAtMs + (form.expiresAfterSeconds ?? LIMITS.fileExpiryMaxSeconds) * 1000,
    source: { kind: 'upload' },
  });
  return fileObject(record);
}

/** Takes the form and stores the file's bytes; when anything is refused, or the sender goes away, none stay. */
async function receive(api: Api, request: FastifyRequest, id: string, stalled: AbortSignal): Promise<CompleteForm> {
  const key = KEYS.fileBytes(id);
  const store = (bytes: AsyncIterable<Uint8Array>): Promise<number> =>
    api.storage.upload(key, inspected(bytes, api.limits.uploadBytes), stalled);
  try {
    const form = completeForm(await readForm(request, store));
    stalled.throwIfAborted();
    return form;
  } catch (error) {
    await api.storage.remove(key).catch((failure: unknown) => {
      api.log.warn({ err: failure, key }, 'the bytes of a refused upload stay until garbage collection');
    });
    throw error;
  }
}

/** The bytes as they pass, or an error as soon as they are too many or no batch input. */
async function* inspected(bytes: AsyncIterable<Uint8Array>, most: number): AsyncGenerator<Uint8Array> {
  const firstLine = new FirstLine();
  let total = 0;
  for await (const chunk of bytes) {
    total += chunk.byteLength;
    if (total > most) throw tooLarge(most);
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
