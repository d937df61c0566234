import type { ByteRange, CreateOutcome, ListOptions, Room, Storage } from './storage.ts';

/** A storage that was too full at the start to be proved. It is read as any other; whatever is written waits for the proof. */
export class UnprovedStorage implements Storage {
  readonly #storage: Storage;
  #proof: Promise<void> | null = null;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  async create(key: string, bytes: Uint8Array): Promise<CreateOutcome> {
    await this.prove();
    return this.#storage.create(key, bytes);
  }

  async upload(key: string, source: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<number> {
    await this.prove();
    return this.#storage.upload(key, source, signal);
  }

  /** Deleting is what makes room, and must not wait for it: a second link to a name fails wherever there are links. */
  createLike(key: string, other: string): Promise<CreateOutcome | false> {
    return this.#storage.createLike(key, other);
  }

  room(): Promise<Room> {
    return this.#storage.room();
  }

  freeShare(): Promise<number | null> {
    return this.#storage.freeShare();
  }

  read(key: string, range?: ByteRange): Promise<Uint8Array | null> {
    return this.#storage.read(key, range);
  }

  stream(key: string, range?: ByteRange, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array> | null> {
    return this.#storage.stream(key, range, signal);
  }

  size(key: string): Promise<number | null> {
    return this.#storage.size(key);
  }

  remove(key: string): Promise<void> {
    return this.#storage.remove(key);
  }

  list(folder: string, options: ListOptions): Promise<string[]> {
    return this.#storage.list(folder, options);
  }

  /** Once for all that is written; one that failed is made again by what is written next. */
  async prove(): Promise<void> {
    this.#proof ??= this.#storage.prove().catch((error: unknown) => {
      this.#proof = null;
      throw error;
    });
    await this.#proof;
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#storage[Symbol.asyncDispose]();
  }
}
