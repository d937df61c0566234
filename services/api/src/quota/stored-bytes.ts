import { KEYS } from '@spillway/core';
import { endBytes, MAX_READING_MS, redisNowMs, reserveBytes, type BytesReading } from '@spillway/redis';
import { walkKeys, type Records, type Storage } from '@spillway/storage';
import type { Caller } from '../auth.ts';
import { askRedis, type LoggedRedis } from '../batches/live.ts';
import { overTenantLimit, shown } from '../errors.ts';
import { collectPage, idOfKey } from '../paging.ts';

/** What the bytes of a tenant's files are counted in. */
export type ByteSources = LoggedRedis & { readonly storage: Storage; readonly records: Records };

/** A file that is about to be stored. */
export type FileToStore = {
  readonly id: string;
  /** Asked when the file is refused, as its name may come with its bytes. */
  readonly name: () => string;
  /** No more bytes than this can come; Infinity where nobody said so. */
  readonly mostBytes: number;
};

/** How often what is being stored is noted again, well within its lease. */
const RENEW_MS = MAX_READING_MS / 2;

/**
 * The bytes that a file takes of what its tenant may store, noted in Redis while they come: whoever stores another file
 * at the same time, by whatever process, counts them. Storage stays what is counted in the end; what is noted goes by
 * itself when this process dies, and nothing is ever added up over time.
 */
export class StoredBytes implements AsyncDisposable {
  readonly #sources: ByteSources;
  readonly #tenant: string;
  readonly #most: number;
  readonly #file: FileToStore;
  #stood: BytesReading | null = null;
  #noted = 0;
  #notedAtMs = -Infinity;
  #stands = false;
  #isOver = false;

  constructor(sources: ByteSources, { tenant, limits }: Caller, file: FileToStore) {
    this.#sources = sources;
    this.#tenant = tenant;
    this.#most = limits.stored_bytes ?? Infinity;
    this.#file = file;
  }

  /** Notes that the file has so many bytes by now; refuses it when they are too many. */
  async take(bytes: number): Promise<void> {
    if (this.#most === Infinity) return;
    if (this.#isOver) throw new Error('the file was given up');
    if (bytes <= this.#noted && performance.now() - this.#notedAtMs < RENEW_MS) return;
    // In ever larger steps, so that a large file asks a few times only.
    const step = Math.max(bytes, Math.min(2 * bytes, this.#file.mostBytes));
    if (await this.#reserve(step)) return;
    this.#stood = null;
    if (!(await this.#reserve(bytes))) throw overBytes(this.#file.name());
  }

  /** Notes the bytes that the file has in the end, before it is made a file; refuses it when they are too many. */
  async takeWhole(bytes: number): Promise<void> {
    this.#notedAtMs = -Infinity;
    await this.take(bytes);
  }

  /** Says that the file stands in storage now. */
  stands(): void {
    this.#stands = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    if (this.#notedAtMs === -Infinity) return;
    const { redis, log } = this.#sources;
    await endBytes(redis, this.#tenant, { id: this.#file.id, stands: this.#stands }).catch((error: unknown) => {
      log.debug({ err: error, file: this.#file.id }, 'what a file takes stays noted for a while');
    });
  }

  async #reserve(bytes: number): Promise<boolean> {
    return await askRedis(this.#sources, async (redis) => {
      for (;;) {
        const stood = (this.#stood ??= await this.#read());
        const file = { id: this.#file.id, bytes, most: this.#most, stood };
        const answer = await reserveBytes(redis, this.#tenant, file);
        if (answer === 'REFUSED') return false;
        if (answer === 'RESERVED') {
          this.#noted = bytes;
          this.#notedAtMs = performance.now();
          return true;
        }
        this.#stood = null;
      }
    });
  }

  /** The bytes of the other files that stand in storage. The time comes first: what is stored after it counts twice at worst. */
  async #read(): Promise<BytesReading> {
    const { redis, storage, records } = this.#sources;
    const tenant = this.#tenant;
    const atMs = await redisNowMs(redis);
    const keys = walkKeys(storage, KEYS.tenantFiles(tenant), null);
    const files = await collectPage(keys, Number.MAX_SAFE_INTEGER - 1, async (key) => {
      const id = idOfKey(key);
      const record = id === this.#file.id ? null : await records.standingFile(id, Date.now());
      return record?.tenant === tenant && record.source.kind === 'upload' ? record : null;
    });
    return { bytes: files.data.reduce((sum, { bytes }) => sum + bytes, 0), atMs };
  }
}

/** The refusal of a file that would make a tenant store more than its key allows. */
const overBytes = (name: string): Error =>
  overTenantLimit(`its files take as many bytes as are allowed, and '${shown(name)}' does not fit beside them`);
