import { randomBytes } from 'node:crypto';
import { fileIdOf, KEYS, type FileObject } from '@spillway/core';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Caller } from '../auth.ts';
import { ApiError, shown, unsupportedMediaType } from '../errors.ts';
import { StoredBytes, type ByteSources } from '../quota/stored-bytes.ts';
import { expiresAfter } from '../schemas/parts.ts';
import type { Tenants } from '../tenants.ts';
import { FirstLine } from './first-line.ts';
import { LineCount } from './line-count.ts';
import { completeForm, invalidFormat, readForm, type CompleteForm, type UploadForm } from './form.ts';
import { abandonFile, beginFile, placeFile, type UnfinishedFile } from './place.ts';
import { watchUpload } from './upload-watch.ts';

/** The form of an upload, its fields in any order. */
export const uploadBody = z
  .object({
    file: z.string().meta({ format: 'binary', description: 'JSON lines, named *.jsonl or without an extension.' }),
    purpose: z.literal('batch'),
    expires_after: expiresAfter.optional(),
  })
  .meta({ id: 'UploadFile' });

/** What the fields and boundaries of a form may add to its file, where only the length of the body is known. */
const MAX_FORM_BYTES = 1024 * 1024;

/** What an upload may be. */
export type UploadLimits = {
  readonly uploadBytes: number;
  readonly uploadIdleMs: number;
};

type Sources = ByteSources & { readonly tenants: Tenants; readonly limits: UploadLimits };

/** Streams an upload to storage. The record is written last: until then there is no file. */
export async function uploadFile(sources: Sources, caller: Caller, request: FastifyRequest): Promise<FileObject> {
  const { storage, limits, log } = sources;
  const { uploadBytes, uploadIdleMs } = limits;
  if (!request.isMultipart()) throw unsupportedMediaType('multipart/form-data');
  const bodyBytes = Number(request.headers['content-length'] ?? Infinity);
  if (bodyBytes !== Infinity && bodyBytes > uploadBytes + MAX_FORM_BYTES) throw tooLarge(uploadBytes, null);
  const id = fileIdOf(randomBytes(16));
  let fileName: string | null = null;
  await using taken = new StoredBytes(sources, caller, { id, name: () => fileName ?? '', mostBytes: bodyBytes });
  const unfinished = await beginFile(sources, caller.tenant, id);
  const lines = new LineCount();
  let stored: Promise<number> | null = null;
  using watch = watchUpload(request.raw, { idleMs: uploadIdleMs, fileName: () => fileName });
  const stalled = Promise.withResolvers<never>();
  watch.stalled.addEventListener('abort', () => stalled.reject(watch.stalled.reason));
  const read = readForm(request, (name, bytes) => {
    fileName = name;
    const checked = checkedBytes(bytes, { name, most: uploadBytes, taken, lines });
    stored = storage.upload(KEYS.fileBytes(unfinished.id), checked, watch.stalled);
    return stored;
  });
  const form = Promise.race([read, stalled.promise]);
  const received = receive({ storage, log }, { unfinished, form, taken, stored: () => stored });
  // The refusal of a stalled sender does not wait until its bytes are removed.
  const complete = await Promise.race([received, stalled.promise]);
  const file = await placeFile(storage, unfinished, { ...complete, lines: lines.lines });
  taken.stands();
  return file;
}

type Upload = {
  readonly unfinished: UnfinishedFile;
  readonly form: Promise<UploadForm>;
  readonly taken: StoredBytes;
  /** The storing of the file's bytes; null: it has not begun. */
  readonly stored: () => Promise<number> | null;
};

/** Waits for the form, and so for the file's bytes; when anything is refused, or the sender goes away, none stay. */
async function receive(
  { storage, log }: Pick<Sources, 'storage' | 'log'>,
  { unfinished, form, taken, stored }: Upload,
): Promise<CompleteForm> {
  try {
    const complete = completeForm(await form);
    await taken.takeWhole(complete.bytes);
    return complete;
  } catch (error) {
    const key = KEYS.fileBytes(unfinished.id);
    // What is still being stored would otherwise come after its removal.
    await stored()?.catch(() => undefined);
    await Promise.all([storage.remove(key), abandonFile(storage, unfinished)]).catch((failure: unknown) => {
      log.warn({ err: failure, key }, 'the bytes of a refused upload stay until garbage collection');
    });
    throw error;
  }
}

/** What the bytes of a file pass by. */
type Passing = {
  readonly name: string;
  readonly most: number;
  readonly taken: StoredBytes;
  readonly lines: LineCount;
};

/** The bytes as they pass, or an error as soon as they are too many or no batch input. */
async function* checkedBytes(
  bytes: AsyncIterable<Uint8Array>,
  { name, most, taken, lines }: Passing,
): AsyncGenerator<Uint8Array> {
  const firstLine = new FirstLine();
  let total = 0;
  for await (const chunk of bytes) {
    total += chunk.byteLength;
    if (total > most) throw tooLarge(most, name);
    await taken.take(total);
    const reason = firstLine.push(chunk);
    if (reason !== null) throw invalidFormat(name, reason);
    lines.push(chunk);
    yield chunk;
  }
  const reason = firstLine.end();
  if (reason !== null) throw invalidFormat(name, reason);
}

/** `name` is null where the body's length already says so, before the name was read. */
function tooLarge(most: number, name: string | null): ApiError {
  const file = name === null ? 'The file' : `The file '${shown(name)}'`;
  return new ApiError(413, `${file} is too large: at most ${most} bytes can be uploaded.`, {
    param: 'file',
    code: 'file_too_large',
  });
}
