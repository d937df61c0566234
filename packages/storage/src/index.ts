export { openProvedStorage, openStorage } from './address.ts';
export { Lru } from './lru.ts';
export { readFooterOf, readFooters } from './page-file.ts';
export type { BatchPlan } from './plan.ts';
export { createRecord, readRecord } from './record.ts';
export { Records } from './records.ts';
export { StorageError, type StorageErrorCode } from './storage-error.ts';
export type { ByteRange, CreateOutcome, ListOptions, Storage } from './storage.ts';
export { walkKeys } from './walk.ts';
