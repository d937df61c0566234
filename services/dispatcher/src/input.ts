import {
  duplicateId,
  isBadLine,
  readRequestLine,
  type BadLine,
  type Line,
  type PagePlan,
  type ReadRequest,
} from '@spillway/core';
import { runSliced } from '@spillway/runtime';
import { readDocumentLines, type BatchPlan, type Storage } from '@spillway/storage';

/** A document of a page: a request, or a bad line that goes to the error file. */
export type PageDocument = Exclude<ReadRequest, { readonly kind: 'blank' }>;

/** The documents of a page, read again from the input file, in order. */
export async function readDocuments(storage: Storage, plan: BatchPlan, page: PagePlan): Promise<PageDocument[]> {
  const { manifest, badLines } = plan;
  const lines = await readDocumentLines(storage, plan, page);
  if (lines === null) throw new Error(`The input of ${manifest.id} is gone from storage (${manifest.inputFileId})`);
  const lineBytes = badLines?.lineBytes ?? page.bytes;
  const rules = { endpoint: manifest.endpoint, cascades: new Set(Object.keys(manifest.cascades)), lineBytes };
  const documents: PageDocument[] = [];
  for (const [document, line] of lines) {
    const read = await runSliced(readRequestLine(line, rules));
    if (read.kind === 'blank') continue;
    const isBad = isBadLine(badLines, document);
    if (read.kind === 'bad' && !isBad) {
      throw new Error(`Line ${line.number} of ${manifest.inputFileId} changed after validation`);
    }
    documents.push(isBad ? badLineOf(read, line) : read);
  }
  if (documents.length !== page.documents) throw new Error(`The input of ${manifest.id} changed after validation`);
  return documents;
}

/** A document that the validation found to be a bad line. What is right in itself has the id of an earlier line. */
function badLineOf(read: PageDocument, line: Line): BadLine {
  if (read.kind === 'bad') return read;
  return { kind: 'bad', customId: null, error: duplicateId(read.request.customId, line.number) };
}
