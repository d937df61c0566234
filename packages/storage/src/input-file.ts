import { isFileId, type FileRecord, type LineError, type Manifest } from '@spillway/core';
import type { Records } from './records.ts';

/** What a batch fails with whose input is not there, or not its tenant's, or no input. */
export const UNKNOWN_INPUT: LineError = {
  code: 'invalid_request',
  message: 'The input file does not exist, or its purpose is not batch.',
  param: 'file_id',
  line: null,
};

/** The input of a batch, if there is one that may be read. */
export async function findInput(
  records: Records,
  { inputFileId, tenant }: Pick<Manifest, 'inputFileId' | 'tenant'>,
  nowMs: number,
): Promise<FileRecord | null> {
  if (!isFileId(inputFileId)) return null;
  const file = await records.standingFile(inputFileId, nowMs);
  return file === null || file.tenant !== tenant || file.purpose !== 'batch' ? null : file;
}
