import type { Multipart, MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import {
  badRequest,
  invalidType,
  invalidValue,
  missingParameter,
  shown,
  stringTooLong,
  type ApiError,
} from '../errors.ts';
import { expiresAfter } from '../schemas/parts.ts';
import { read } from '../schemas/read.ts';
import { isBatchInputName, safeName } from './name.ts';

/** Our values are a word or a number; other clients send longer fields, which are ignored. */
const MAX_FIELD_BYTES = 64 * 1024;
const MAX_FIELDS = 64;

/** One file is meant; more are counted only to be refused. */
const MAX_FILES = 8;

/** What is known of an upload so far; its fields come in any order. */
export type UploadForm = {
  purpose: string | null;
  anchor: string | null;
  seconds: number | null;
  file: { readonly name: string; readonly bytes: number } | null;
};

const isFilePart = (field: string | undefined): boolean => field === 'file';

/**
 * Reads an upload's form as it comes; `store` takes the file's name and bytes, wherever the file stands among the
 * fields. The form is refused as soon as something wrong is seen.
 */
export async function readForm(
  request: FastifyRequest,
  store: (name: string, bytes: AsyncIterable<Uint8Array>) => Promise<number>,
): Promise<UploadForm> {
  const form: UploadForm = { purpose: null, anchor: null, seconds: null, file: null };
  for await (const part of partsOf(request)) {
    if (part.type === 'field') {
      readField(form, part.fieldname, part);
    } else {
      const name = safeName(part.filename ?? '');
      if (form.file !== null) throw secondFile(form.file.name, name);
      if (!isBatchInputName(name)) throw invalidFormat(name, WRONG_EXTENSION);
      form.file = { name, bytes: await store(name, bytesOf(part.file)) };
    }
  }
  return form;
}

/** The form once all of it was read. */
export type CompleteForm = {
  readonly name: string;
  readonly bytes: number;
  readonly expiresAfterSeconds: number | null;
};

export function completeForm(form: UploadForm): CompleteForm {
  if (form.file === null) throw missingParameter('file');
  if (form.purpose === null) throw missingParameter('purpose');
  const expires = form.anchor !== null || form.seconds !== null;
  return {
    ...form.file,
    expiresAfterSeconds: expires
      ? read(expiresAfter, { anchor: form.anchor, seconds: form.seconds }, ['expires_after']).seconds
      : null,
  };
}

const WRONG_EXTENSION = 'Its name must end with .jsonl, or have no extension; each of its lines must be a JSON object.';

/** What the hosted API says of a file that is no batch input, whatever is wrong with it; which file it was, and why. */
export const invalidFormat = (name: string, reason: string): ApiError =>
  badRequest(`Invalid file format for Batch API. Must be .jsonl: '${shown(name)}'. ${reason}`);

const secondFile = (first: string, second: string): ApiError =>
  badRequest(`Only one 'file' can be uploaded at a time: '${shown(second)}' came after '${shown(first)}'.`, {
    param: 'file',
  });

function readField(form: UploadForm, name: string, part: { value: unknown; valueTruncated: boolean }): void {
  const { value } = part;
  if (name !== 'purpose' && name !== 'expires_after[anchor]' && name !== 'expires_after[seconds]') return;
  if (typeof value !== 'string') throw invalidType(name, 'a string', value);
  if (part.valueTruncated) throw stringTooLong(name, MAX_FIELD_BYTES, MAX_FIELD_BYTES + 1);
  if (name === 'purpose') {
    if (value !== 'batch') throw invalidValue('purpose', value, "'batch'");
    form.purpose = value;
  } else if (name === 'expires_after[anchor]') {
    form.anchor = value;
  } else {
    if (!/^\d{1,15}$/.test(value)) throw invalidType('expires_after.seconds', 'an integer', value);
    form.seconds = Number(value);
  }
}

/** The parts of a multipart body; what is wrong with the body itself is the client's mistake. */
async function* partsOf(request: FastifyRequest): AsyncGenerator<Multipart> {
  const parts = request.parts({
    isPartAFile: isFilePart,
    preservePath: true,
    limits: { fileSize: Infinity, files: MAX_FILES, fields: MAX_FIELDS, fieldSize: MAX_FIELD_BYTES },
  });
  for (;;) {
    const next = await parts.next().catch((error: unknown) => {
      throw malformed(error);
    });
    if (next.done === true) return;
    yield next.value;
  }
}

async function* bytesOf(file: MultipartFile['file']): AsyncGenerator<Uint8Array> {
  try {
    yield* file;
  } catch (error) {
    throw malformed(error);
  }
}

function malformed(error: unknown): ApiError {
  const why = error instanceof Error ? error.message : String(error);
  return badRequest(`The multipart/form-data body could not be read: ${why}`, { code: 'invalid_multipart' });
}
