import { draftsPlace, KEYS, readDrafts, resultLineId } from '@spillway/core';
import { readFooterOf } from './page-file.ts';
import type { Storage } from './storage.ts';

/** A document of a sealed page: what its stages made of it, and its line in the output file, if it has one there. */
export type KeptPlace = { readonly kept: string; readonly line: string | null };

/** What a sealed page keeps of its documents, by place; `none`: it has no private part, as of an older version. */
export type KeptPage =
  | { readonly kind: 'kept'; readonly documents: ReadonlyMap<number, KeptPlace> }
  | { readonly kind: 'none' | 'gone' | 'damaged' };

/** How every line of ours begins. */
const LINE_ID = /^\{"id":"(batch_req_[0-9a-f]+)"/;

/** Reads what a sealed page keeps of its documents. Both parts of it are in memory then, as when it was sealed. */
export async function readKeptPage(
  storage: Storage,
  { batch, page, first }: { readonly batch: string; readonly page: number; readonly first: number },
): Promise<KeptPage> {
  const footer = await readFooterOf(storage, batch, page);
  if (footer === null) return { kind: 'gone' };
  const place = draftsPlace(footer);
  if (place === null) return { kind: 'none' };
  const key = KEYS.page(batch, page);
  const [output, drafts] = await Promise.all([
    storage.read(key, { start: 0, end: footer.outputBytes }),
    storage.read(key, place),
  ]);
  if (output === null || drafts === null) return { kind: 'gone' };
  const kept = readDrafts(drafts, footer);
  if (kept === null) return { kind: 'damaged' };
  const lines = outputLines(output);
  const documents = kept.flatMap((text, at): [number, KeptPlace][] =>
    text === null ? [] : [[at, { kept: text, line: lines.get(resultLineId(batch, first + at)) ?? null }]],
  );
  return { kind: 'kept', documents: new Map(documents) };
}

/** The lines of an output part, by their ids. */
function outputLines(part: Uint8Array): Map<string, string> {
  const text = Buffer.from(part.buffer, part.byteOffset, part.byteLength).toString();
  const lines = text.split('\n').slice(0, -1);
  return new Map(lines.map((line) => [LINE_ID.exec(line.slice(0, 64))?.[1] ?? '', line]));
}
