export { openProvedStorage, openStorage } from './address.ts';
export { createRecord, readRecord } from './record.ts';
export { StorageError, type StorageErrorCode } from './storage-error.ts';
export type { ByteRange, CreateOutcome, ListOptions, Storage } from './storage.ts';
export { walkKeys } from './walk.ts';
