import { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';

import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { backoffMs } from '@spillway/core';

import { isAbsent, s3Error, statusOf } from './s3-error.ts';
import { StorageError } from './storage-error.ts';
import type { ByteRange } from './storage.ts';

export type S3Object = { Bucket: string; Key: string };

/** How long the server may be silent while somebody waits for bytes. A slow reader is never cut off. */
const SILENCE_MS = 30_000;
/** How often in a row, and for how long, a stream may be cut without a byte; the waits by themselves bridge 6 s. */
const MAX_CUTS = 5;
const MAX_CUTS_LAST_MS = 60_000;
const CUT_BACKOFF = { firstMs: 200, maxMs: 60_000 };

type Opened = { body: Readable; end: number; tag: string | undefined };
type Opener = (start: number, tag?: string) => Promise<Opened | 'absent' | 'beyond'>;

/** Streams an object, or the range of it. A connection that is cut is taken up where it ended: objects never change. */
export async function openObject(
  client: S3Client,
  object: S3Object,
  shown: string,
  range: ByteRange | undefined,
  signal: AbortSignal | undefined,
): Promise<AsyncIterable<Uint8Array> | null> {
  const open: Opener = (start, tag) => openAt(client, object, start, range?.end, tag, signal);
  const start = range?.start ?? 0;
  try {
    signal?.throwIfAborted();
    const opened = await open(start);
    if (opened === 'absent') return null;
    if (opened === 'beyond') return Readable.from([]);
    return chunks(open, opened, start, shown, signal);
  } catch (error) {
    signal?.throwIfAborted();
    throw s3Error('read', shown, error);
  }
}

async function openAt(
  client: S3Client,
  object: S3Object,
  start: number,
  end: number | undefined,
  tag: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Opened | 'absent' | 'beyond'> {
  const whole = start === 0 && end === undefined;
  try {
    const found = await client.send(
      new GetObjectCommand({
        ...object,
        ...(whole ? {} : { Range: `bytes=${start}-${end === undefined ? '' : end - 1}` }),
        ...(tag === undefined ? {} : { IfMatch: tag }),
      }),
      signal === undefined ? {} : { abortSignal: signal },
    );
    if (!(found.Body instanceof Readable) || found.ContentLength === undefined) {
      throw new StorageError(
        'unavailable',
        `s3://${object.Bucket} answered without a length: use an S3 server that says it`,
      );
    }
    // An abort before the first iteration ends the body, and has no other listener.
    found.Body.on('error', () => undefined);
    return { body: found.Body, end: start + found.ContentLength, tag: found.ETag };
  } catch (error) {
    if (isAbsent(error)) return 'absent';
    if (statusOf(error) === 416) return 'beyond';
    throw error;
  }
}

async function* chunks(
  open: Opener,
  first: Opened,
  start: number,
  shown: string,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  let position = start;
  let opened: Opened | null = first;
  let lastByteAtMs = Date.now();
  for (let cuts = 0; ;) {
    try {
      opened ??= await openAgain(open, position, first, shown);
      for await (const chunk of unlessSilent(opened.body)) {
        cuts = 0;
        position += chunk.byteLength;
        yield chunk;
        // The reader's own time does not count.
        lastByteAtMs = Date.now();
      }
      if (position === first.end) return;
      throw new Error(`the stream ended at byte ${position} of ${first.end}`);
    } catch (error) {
      signal?.throwIfAborted();
      if (position === first.end) return;
      const failure = s3Error('read', shown, error);
      cuts += 1;
      const isLast = cuts > MAX_CUTS || Date.now() - lastByteAtMs > MAX_CUTS_LAST_MS;
      if (isLast || failure === error || failure.code !== 'unavailable') throw failure;
    }
    opened = null;
    const waitMs = backoffMs(cuts, 1, CUT_BACKOFF);
    await wait(waitMs, undefined, signal === undefined ? {} : { signal }).catch(() => signal?.throwIfAborted());
  }
}

async function openAgain(open: Opener, position: number, first: Opened, shown: string): Promise<Opened> {
  const opened = await open(position, first.tag);
  if (typeof opened === 'object') return opened;
  throw new StorageError('unavailable', `An object of ${shown} was removed while it was read`);
}

/** The body's chunks; ends the body when the server is silent, and when the reader leaves. */
async function* unlessSilent(body: Readable): AsyncGenerator<Uint8Array, void> {
  const iterator: AsyncIterator<Uint8Array> = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const timer = setTimeout(() => body.destroy(new Error(`no byte for ${SILENCE_MS} ms`)), SILENCE_MS);
      const next = await iterator.next().finally(() => clearTimeout(timer));
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    body.destroy();
  }
}
