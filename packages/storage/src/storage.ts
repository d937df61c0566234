/** Bytes from `start` up to, not including, `end`. What lies beyond the object's end is left out. */
export type ByteRange = { start: number; end: number };

export type ListOptions = { after?: string; limit: number };

/** `exists`: somebody else was first, and nothing was changed. */
export type CreateOutcome = 'created' | 'exists';

/** `full`: nothing can be written. `short`: within the last hour somebody's write found no room. */
export type Room = 'enough' | 'short' | 'full';

/**
 * Where the records are kept. Objects are whole or absent, and never change.
 * Expected outcomes are values; everything else is thrown as a StorageError.
 */
export interface Storage extends AsyncDisposable {
  /** Creates a whole object under a key that has none. */
  create(key: string, bytes: Uint8Array): Promise<CreateOutcome>;
  /**
   * Creates an object with the bytes of another one, under a key that has none. In a directory this takes no room: it can
   * be done on a full disk. False: there is no such other object.
   */
  createLike(key: string, other: string): Promise<CreateOutcome | false>;
  /** Whether there is room now, as far as a small write says it. */
  room(): Promise<Room>;
  /** The share of its disk that is free, from 0 to 1; null: it has none of its own, or the file system does not say. */
  freeShare(): Promise<number | null>;
  /**
   * Streams bytes of unknown length to a key that the caller made unique, and returns their number.
   * A source that throws, or the signal before the source's end, leaves nothing; that error or the
   * signal's reason is thrown.
   */
  upload(key: string, source: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<number>;
  /** The object's bytes, or null if there is none. */
  read(key: string, range?: ByteRange): Promise<Uint8Array | null>;
  /**
   * The object's bytes as a stream, or null if there is none. Memory does not depend on the size.
   * It holds a connection or an open file: iterate it, or abort the signal.
   */
  stream(key: string, range?: ByteRange, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array> | null>;
  /** The object's length in bytes, or null if there is none. */
  size(key: string): Promise<number | null>;
  /** Removes the object; absent is fine. A power cut may bring it back. */
  remove(key: string): Promise<void>;
  /**
   * Keys of the objects directly in a folder (a path ending in `/`), ascending by code unit, strictly
   * after the key `after`, at most `limit`.
   */
  list(folder: string, options: ListOptions): Promise<string[]>;
  /** Proves on a probe object that the place is writable, read back as written, and create-only. */
  prove(): Promise<void>;
}
