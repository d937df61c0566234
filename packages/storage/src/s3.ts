import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';

import {
  DeleteObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import { backoffMs } from '@spillway/core';

import { checkFolder, checkKey, checkRange, isKey } from './key.ts';
import { proveCreateOnly } from './proof.ts';
import { attemptsOf, isAbsent, s3Error, statusOf } from './s3-error.ts';
import { openObject } from './s3-stream.ts';
import { abandonUploads, uploadParts } from './s3-upload.ts';
import type { ByteRange, CreateOutcome, ListOptions, Room, Storage } from './storage.ts';

export type S3Place = {
  bucket: string;
  /** Empty, or ends in `/`. */
  prefix: string;
  endpoint: string | null;
  region: string | null;
  pathStyle: boolean;
  anonymous: boolean;
};

const CONNECT_TIMEOUT_MS = 5_000;
/** Until the answer begins; the largest request is a part of 5 MiB, which needs 1.4 Mbit/s. */
const ANSWER_TIMEOUT_MS = 30_000;
const MAX_ATTEMPTS = 3;
/** A stream holds a connection for as long as it is read; the SDK's 50 would let slow readers hold up every write. */
const MAX_CONNECTIONS = 1_000;
/** 409 says that another create of the key is under way, which takes about as long as one request. */
const MAX_CREATES = 10;
const CONFLICT_BACKOFF = { firstMs: 100, maxMs: 2_000 };
/** S3 gives at most 1,000 names at a time. */
const NAMES_AT_A_TIME = 1_000;

export function openS3(place: S3Place): Storage {
  return new S3Storage(place, new S3Client(configurationOf(place)));
}

function configurationOf({ endpoint, region, pathStyle, anonymous }: S3Place): S3ClientConfig {
  return {
    forcePathStyle: pathStyle,
    maxAttempts: MAX_ATTEMPTS,
    // Servers other than Amazon's refuse the newer checksums (radosgw 16 does); records carry their own.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // It would cost every larger request a connection of its own.
    expectContinueHeader: false,
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: ANSWER_TIMEOUT_MS,
      throwOnRequestTimeout: true,
      httpAgent: { maxSockets: MAX_CONNECTIONS },
      httpsAgent: { maxSockets: MAX_CONNECTIONS },
    },
    ...(endpoint === null ? {} : { endpoint }),
    // Servers other than Amazon's have no regions, but the signature needs one.
    ...(region === null ? (endpoint === null ? {} : { region: 'us-east-1' }) : { region }),
    ...(anonymous
      ? { signer: { sign: async (request) => request }, credentials: { accessKeyId: '', secretAccessKey: '' } }
      : {}),
  };
}

class S3Storage implements Storage {
  readonly #place: S3Place;
  readonly #client: S3Client;
  readonly #shown: string;

  constructor(place: S3Place, client: S3Client) {
    this.#place = place;
    this.#client = client;
    this.#shown = `s3://${place.bucket}/${place.prefix}`;
  }

  async create(key: string, bytes: Uint8Array): Promise<CreateOutcome> {
    const mark = randomUUID();
    const command = { ...this.#object(key), Body: bytes, IfNoneMatch: '*', Metadata: { mark } };
    for (let attempts = 1; ; attempts++) {
      try {
        await this.#client.send(new PutObjectCommand(command));
        return 'created';
      } catch (error) {
        const status = statusOf(error);
        if (status === 412)
          return attempts + attemptsOf(error) > 2 && (await this.#isMarked(key, mark)) ? 'created' : 'exists';
        if (status !== 409 || attempts === MAX_CREATES) throw s3Error('write to', this.#shown, error);
      }
      await wait(backoffMs(attempts, Math.random(), CONFLICT_BACKOFF));
    }
  }

  async createLike(key: string, other: string): Promise<CreateOutcome | false> {
    const bytes = await this.read(other);
    return bytes === null ? false : this.create(key, bytes);
  }

  /** A bucket has no room of its own: one that is full says so of each write. */
  async room(): Promise<Room> {
    return 'enough';
  }

  async freeShare(): Promise<number | null> {
    return null;
  }

  async upload(key: string, source: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<number> {
    return uploadParts(this.#client, this.#object(key), this.#shown, source, signal);
  }

  async read(key: string, range?: ByteRange): Promise<Uint8Array | null> {
    const stream = await this.stream(key, range);
    if (stream === null) return null;
    const chunks: Uint8Array[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  async stream(key: string, range?: ByteRange, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array> | null> {
    checkRange(range);
    if (range?.start === range?.end && range !== undefined) {
      // HTTP has no way to ask for no bytes.
      return (await this.size(key)) === null ? null : Readable.from([]);
    }
    return openObject(this.#client, this.#object(key), this.#shown, range, signal);
  }

  async size(key: string): Promise<number | null> {
    try {
      const found = await this.#client.send(new HeadObjectCommand(this.#object(key)));
      return found.ContentLength ?? 0;
    } catch (error) {
      if (isAbsent(error)) return null;
      throw s3Error('read', this.#shown, error);
    }
  }

  async remove(key: string): Promise<void> {
    try {
      await this.#client.send(new DeleteObjectCommand(this.#object(key)));
    } catch (error) {
      if (!isAbsent(error)) throw s3Error('remove from', this.#shown, error);
    }
  }

  async list(folder: string, options: ListOptions): Promise<string[]> {
    checkFolder(folder, options);
    const { bucket, prefix } = this.#place;
    const keys: string[] = [];
    let token: string | undefined;
    // Folders and names that are no keys of ours take places in an answer, so one may not be enough.
    while (keys.length < options.limit) {
      const command = new ListObjectsV2Command({
        Bucket: bucket,
        Prefix: prefix + folder,
        Delimiter: '/',
        MaxKeys: Math.min(options.limit - keys.length, NAMES_AT_A_TIME),
        ...(options.after === undefined ? {} : { StartAfter: prefix + options.after }),
        ...(token === undefined ? {} : { ContinuationToken: token }),
      });
      const found = await this.#client.send(command).catch((error: unknown) => {
        throw s3Error('list', this.#shown, error);
      });
      const names = (found.Contents ?? []).map((object) => object.Key?.slice(prefix.length) ?? '');
      keys.push(...names.filter(isKey));
      token = found.NextContinuationToken;
      if (token === undefined) break;
    }
    return keys;
  }

  async prove(): Promise<void> {
    await proveCreateOnly(this, this.#shown);
    await abandonUploads(this.#client, this.#place);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.destroy();
  }

  #object(key: string): { Bucket: string; Key: string } {
    checkKey(key);
    return { Bucket: this.#place.bucket, Key: this.#place.prefix + key };
  }

  /** Whether the object is the one that this create wrote in an earlier request, whose answer was lost. */
  async #isMarked(key: string, mark: string): Promise<boolean> {
    try {
      const found = await this.#client.send(new HeadObjectCommand(this.#object(key)));
      return found.Metadata?.['mark'] === mark;
    } catch (error) {
      if (isAbsent(error)) return false;
      throw s3Error('read', this.#shown, error);
    }
  }
}
