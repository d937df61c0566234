export type StorageErrorCode = 'unavailable' | 'denied' | 'full' | 'bad_address' | 'not_create_only' | 'bad_key';

/** The storage could not do what was asked. The message is one line: what went wrong, and what to do about it. */
export class StorageError extends Error {
  override readonly name = 'StorageError';
  readonly code: StorageErrorCode;

  constructor(code: StorageErrorCode, message: string, cause?: unknown) {
    super(message.replace(/\s+/g, ' '), cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
