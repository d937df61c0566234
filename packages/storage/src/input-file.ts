import {
  isBlankLine,
  isFileId,
  KEYS,
  LineSplitter,
  type BadLines,
  type FileRecord,
  type Line,
  type LineError,
  type Manifest,
  type PagePlan,
} from '@spillway/core';
import type { Records } from './records.ts';
import type { Storage } from './storage.ts';

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

/** Of a validated batch, what says which lines of its input are documents. */
type ReadInput = { readonly manifest: Pick<Manifest, 'inputFileId'>; readonly badLines: BadLines | null };

/**
 * The lines of a page's documents, by their indices in the batch, read again from the input file; null: that is gone.
 * Lines are as long as was allowed when they were validated: another limit since changes nothing, and a line that was too
 * long for it is a document, also one of blanks.
 */
export async function readDocumentLines(
  storage: Storage,
  { manifest, badLines }: ReadInput,
  page: PagePlan,
): Promise<Iterable<readonly [document: number, line: Line]> | null> {
  const range = { start: page.offset, end: page.offset + page.bytes };
  const bytes = await storage.read(KEYS.fileBytes(manifest.inputFileId), range);
  return bytes === null ? null : documentLines(bytes, badLines?.lineBytes ?? page.bytes, page);
}

function* documentLines(
  bytes: Uint8Array,
  lineBytes: number,
  { first, offset, lineBefore }: PagePlan,
): Generator<readonly [document: number, line: Line]> {
  const splitter = new LineSplitter(lineBytes, { offset, number: lineBefore });
  let document = first;
  for (const lines of [splitter.push(bytes), splitter.end()]) {
    for (const line of lines) {
      if (!line.tooLong && isBlankLine(line.bytes)) continue;
      yield [document, line];
      document += 1;
    }
  }
}
