import { pageOfDocument } from '@spillway/core';
import type { Log } from '@spillway/runtime';
import { findDocuments, type Storage } from '@spillway/storage';
import type { Link } from './chain.ts';
import { joinedLines, type JoinedLine } from './joined-lines.ts';

type Sources = { readonly storage: Storage; readonly log: Log };

/**
 * The documents from one on that may have a `custom_id`, at most so many, as the batch's index says; null where there is
 * none that can be read, and all lines are to be looked at. Only bad lines share an id with other documents.
 */
export async function documentsById(
  { storage, log }: Sources,
  { id: batch, validated }: Link,
  sought: { readonly customId: string; readonly from: number; readonly most: number },
): Promise<readonly number[] | null> {
  if (validated?.index === undefined) return null;
  const found = await findDocuments(storage, { batch, index: validated.index }, sought);
  if (found.kind === 'found') return found.documents;
  log.error({ batch, key: found.key }, 'the index of a batch is damaged or gone: its lines are looked through instead');
  return null;
}

/** The lines of some documents of a batch, in order. A page is read once for those of them that follow one another. */
export async function* linesOfDocuments(
  storage: Storage,
  link: Link,
  documents: readonly number[],
): AsyncGenerator<JoinedLine> {
  const { pages } = link.validated ?? { pages: [] };
  const wanted = Map.groupBy(documents, (document) => pageOfDocument(pages, document));
  for (const some of wanted.values()) {
    const [first = 0] = some;
    const last = some.at(-1) ?? first;
    const isWanted = new Set(some);
    for await (const joined of joinedLines(storage, link, first)) {
      if (isWanted.has(joined.document)) yield joined;
      if (joined.document >= last) break;
    }
  }
}

/** How every line of ours goes on behind its own id; ids are short. */
const LINE_START = /^\{"id":"batch_req_[0-9a-f]+","custom_id":("(?:[^"\\]|\\.)*")/;
const MAX_START_BYTES = 8 * 1024;

/** The `custom_id` that a line begins with; null: it has none. */
export function customIdOf(line: Buffer): string | null {
  const start = LINE_START.exec(line.subarray(0, MAX_START_BYTES).toString('utf8'))?.[1];
  return start === undefined ? null : (JSON.parse(start) as string);
}
