import { isFileId } from '@spillway/core';
import type { Records } from '@spillway/storage';

/** Less than the shortest request that there can be; only files that the version before stored are judged by it. */
const MIN_REQUEST_BYTES = 64;

/**
 * How many documents the batch of an input file has at most: its lines, as they were counted when it came. A batch whose
 * file is another's or unknown has none, and fails.
 */
export async function documentsOf(records: Records, tenant: string, fileId: string): Promise<number> {
  const record = isFileId(fileId) ? await records.file(fileId) : null;
  if (record === null || record.tenant !== tenant) return 0;
  return record.lines ?? Math.ceil(record.bytes / MIN_REQUEST_BYTES);
}
