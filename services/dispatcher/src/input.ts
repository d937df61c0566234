import {
  duplicateId,
  isBadLine,
  KEYS,
  LineSplitter,
  readRequestLine,
  type BadLine,
  type Line,
  type PagePlan,
  type ReadRequest,
} from '@spillway/core';
import { runSliced } from '@spillway/runtime';
import type { BatchPlan, Storage } from '@spillway/storage';

/** A document of a page: a request, or a bad line that goes to the error file. */
export type PageDocument = Exclude<ReadRequest, { readonly kind: 'blank' }>;

/** The documents of a page, read again from the input file, in order. */
export async function readDocuments(storage: Storage, plan: BatchPlan, page: PagePlan): Promise<PageDocument[]> {
  const { manifest, badLines } = plan;
  const range = { start: page.offset, end: page.offset + page.bytes };
  const bytes = await storage.read(KEYS.fileBytes(manifest.inputFileId), range);
  if (bytes === null) throw new Error(`The input of ${manifest.id} is gone from storage (${manifest.inputFileId})`);
  // Validated lines are of the size that was allowed then; another limit since changes nothing.
  const lineBytes = badLines?.lineBytes ?? page.bytes;
  const splitter = new LineSplitter(lineBytes, { offset: page.offset, number: page.lineBefore });
  const rules = { endpoint: manifest.endpoint, cascades: new Set(Object.keys(manifest.cascades)), lineBytes };
  const documents: PageDocument[] = [];
  const take = async (lines: Iterable<Line>): Promise<void> => {
    for (const line of lines) {
      const read = await runSliced(readRequestLine(line, rules));
      if (read.kind === 'blank') continue;
      const isBad = isBadLine(badLines, page.first + documents.length);
      if (read.kind === 'bad' && !isBad) {
        throw new Error(`Line ${line.number} of ${manifest.inputFileId} changed after validation`);
      }
      documents.push(isBad ? badLineOf(read, line) : read);
    }
  };
  await take(splitter.push(bytes));
  await take(splitter.end());
  if (documents.length !== page.documents) throw new Error(`The input of ${manifest.id} changed after validation`);
  return documents;
}

/** A document that the validation found to be a bad line. What is right in itself has the id of an earlier line. */
function badLineOf(read: PageDocument, line: Line): BadLine {
  if (read.kind === 'bad') return read;
  return { kind: 'bad', customId: null, error: duplicateId(read.request.customId, line.number) };
}
