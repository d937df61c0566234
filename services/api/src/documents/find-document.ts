import { isBadLine, isJsonObject, LIMITS, pageOfDocument, writtenId, type Manifest } from '@spillway/core';
import { readJson } from '@spillway/runtime';
import { readDocumentLines } from '@spillway/storage';
import { customIdOf, documentsById } from '../batches/by-id.ts';
import type { Link } from '../batches/chain.ts';
import { knownLines, lineOf, type LineSources } from './known-lines.ts';

/** A document of a batch: its request, and the line of its result. */
export type FoundDocument = {
  readonly document: number;
  /** Null: the input file is gone. */
  readonly request: Buffer | null;
  /** Null while it has none. */
  readonly result: Buffer | null;
};

/** Without an index so many pages are looked through, as many as an answer of the results is. */
const MAX_PAGES = 40;

/** Other documents have the same bits of an id next to never, bad lines may. */
const MAX_CANDIDATES = 16;

type Place = { readonly link: Link; readonly manifest: Manifest };

/** The document of a batch that has this id, as lines have it; null: there is none, or nobody can say where. */
export async function findDocument(
  sources: LineSources,
  { link, manifest }: Place,
  customId: string,
): Promise<FoundDocument | null> {
  const pages = link.validated?.pages ?? [];
  const candidates = await documentsById(sources, link, { customId, from: 0, most: MAX_CANDIDATES });
  const looked =
    candidates === null
      ? pages.keys().take(MAX_PAGES)
      : [...new Set(candidates.map((document) => pageOfDocument(pages, document)))].filter((page) => page !== null);
  for (const page of looked) {
    const isWanted = (document: number): boolean => candidates?.includes(document) ?? true;
    const found = await findInPage(sources, { link, manifest }, { page, customId, isWanted });
    if (found !== null) return found;
  }
  return null;
}

async function findInPage(
  sources: LineSources,
  { link, manifest }: Place,
  sought: { readonly page: number; readonly customId: string; readonly isWanted: (document: number) => boolean },
): Promise<FoundDocument | null> {
  const { page, customId, isWanted } = sought;
  const plan = link.validated?.pages[page];
  if (plan === undefined) return null;
  const badLines = link.validated?.badLines ?? null;
  const lines = await readDocumentLines(sources.storage, { manifest, badLines }, plan);
  for (const [document, { bytes }] of lines ?? []) {
    // Bad lines may share an id with other documents, and nobody answers them.
    if (!isWanted(document) || isBadLine(badLines, document) || (await requestedId(bytes)) !== customId) continue;
    return { document, request: Buffer.from(bytes), result: await lineOf(sources, link, document) };
  }
  if (lines !== null) return null;
  // Without its request a document is known by its result.
  for await (const { document, bytes } of knownLines(sources, link, plan.first)) {
    if (document >= plan.first + plan.documents) break;
    if (!isWanted(document) || bytes === null) continue;
    if (customIdOf(bytes) === customId) return { document, request: null, result: bytes };
  }
  return null;
}

/** The id that a request asks to have, as lines have it; null: it has none that can be read. */
async function requestedId(bytes: Uint8Array): Promise<string | null> {
  const limits = { depth: LIMITS.jsonDepth, values: LIMITS.jsonValues };
  const read = await readJson(Buffer.from(bytes).toString(), limits);
  const id = read.kind === 'json' && isJsonObject(read.value) ? read.value['custom_id'] : null;
  return typeof id === 'string' ? writtenId(id) : null;
}
