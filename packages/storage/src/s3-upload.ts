import { Readable } from 'node:stream';

import {
  AbortMultipartUploadCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';

import { untilAborted } from './abort.ts';
import { s3Error, statusOf } from './s3-error.ts';
import type { S3Object } from './s3-stream.ts';

/** S3's smallest part; 10,000 of them, which is S3's limit, are 48 GiB. */
const PART_BYTES = 5 * 1024 * 1024;
/** One is sent while the next is gathered: 15 MiB are in flight, and many uploads go on at once. */
const PARTS_AT_A_TIME = 2;
/** No upload takes that long: whoever falls silent is cut off after a minute. */
const ABANDONED_AGE_MS = 86_400_000;

/**
 * Uploads in parts, or in one request when there is one part only. The signal is turned into a source that
 * throws, because `Upload.abort()` answers at once and lets a last request run on, after which the object is there.
 */
export async function uploadParts(
  client: S3Client,
  object: S3Object,
  shown: string,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<number> {
  let countBytes = 0;
  const sourceErrors: unknown[] = [];
  async function* counted(): AsyncGenerator<Uint8Array, void> {
    let isOut = false;
    try {
      for await (const chunk of signal === undefined ? source : untilAborted(source, signal)) {
        countBytes += chunk.byteLength;
        isOut = true;
        yield chunk;
        isOut = false;
      }
    } catch (error) {
      // While a chunk is out, it is the upload that gave up.
      if (!isOut) sourceErrors.push(error);
      throw error;
    }
  }
  const upload = new Upload({
    client,
    params: { ...object, Body: Readable.from(counted()) },
    partSize: PART_BYTES,
    queueSize: PARTS_AT_A_TIME,
  });
  try {
    await upload.done();
    return countBytes;
  } catch (error) {
    if (sourceErrors.length > 0) throw sourceErrors[0];
    // The parts were put together in an earlier request, whose answer was lost; the key is this upload's own.
    if (statusOf(error) === 404 && (await sizeOf(client, object)) === countBytes) return countBytes;
    throw s3Error('write to', shown, error);
  }
}

async function sizeOf(client: S3Client, object: S3Object): Promise<number | null> {
  return client.send(new HeadObjectCommand(object)).then(
    (found) => found.ContentLength ?? 0,
    () => null,
  );
}

/** Removes parts that a killed process left; they cost money and are not seen. Nothing depends on it, so no failure is reported. */
export async function abandonUploads(
  client: S3Client,
  { bucket, prefix }: { bucket: string; prefix: string },
): Promise<void> {
  try {
    const found = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix }));
    for (const { Key, UploadId, Initiated } of found.Uploads ?? []) {
      if (Initiated === undefined || Date.now() - Initiated.getTime() < ABANDONED_AGE_MS) continue;
      await client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId }));
    }
  } catch {
    // This user may not list uploads; a lifecycle rule of the bucket does the same.
  }
}
