import { KEYS, LineSplitter, readRequestLine, type DocumentRequest, type PagePlan } from '@spillway/core';
import type { BatchPlan, Storage } from '@spillway/storage';

/** The documents of a page, read again from the input file, in order. */
export async function readDocuments(storage: Storage, plan: BatchPlan, page: PagePlan): Promise<DocumentRequest[]> {
  const { manifest } = plan;
  const range = { start: page.offset, end: page.offset + page.bytes };
  const bytes = await storage.read(KEYS.fileBytes(manifest.inputFileId), range);
  if (bytes === null) throw new Error(`The input of ${manifest.id} is gone from storage (${manifest.inputFileId})`);
  // Validated lines are of the size that was allowed then; a lower limit since changes nothing.
  const lineBytes = page.bytes;
  const splitter = new LineSplitter(lineBytes, { offset: page.offset, number: page.lineBefore });
  const rules = { endpoint: manifest.endpoint, cascades: new Set(Object.keys(plan.cascades)), lineBytes };
  const documents: DocumentRequest[] = [];
  for (const line of [...splitter.push(bytes), ...splitter.end()]) {
    const read = readRequestLine(line, rules);
    if (read.kind === 'bad') throw new Error(`Line ${line.number} of ${manifest.inputFileId} changed after validation`);
    if (read.kind === 'request') documents.push(read.request);
  }
  if (documents.length !== page.documents) throw new Error(`The input of ${manifest.id} changed after validation`);
  return documents;
}
