import { isBadLine, pageOfDocument } from '@spillway/core';
import type { Storage } from '@spillway/storage';
import type { Link } from './chain.ts';
import { linesOf, sealedPage, type SettledLine } from './pages.ts';

/** A document of a batch, with its line; null while its page is not sealed. */
export type JoinedLine = { readonly document: number; readonly line: SettledLine | null };

/**
 * The lines of a batch's documents from one on, in input order, a failed one replaced by the success of a retry. A retry
 * holds the failed documents in the same order, so the two are merged as they stream: a line of each batch is held.
 */
export async function* joinedLines(storage: Storage, link: Link, from: number): AsyncGenerator<JoinedLine> {
  const { pages, badLines = null } = link.validated ?? { pages: [] };
  /** The lines of the retry, at the next failed document. */
  let retried: AsyncGenerator<JoinedLine> | null = null;
  const close = async (): Promise<void> => {
    await retried?.return(undefined);
    retried = null;
  };
  try {
    for (let page = pageOfDocument(pages, from) ?? pages.length; page < pages.length; page += 1) {
      const sealed = await sealedPage(storage, link.id, pages, page);
      if (sealed === null) {
        await close();
        yield* withoutLines(pages[page] ?? { first: 0, documents: 0 }, from);
        continue;
      }
      for await (const own of linesOf(storage, sealed)) {
        let line = own;
        if (link.retry !== null && own.part === 'error' && !isBadLine(badLines, own.document)) {
          retried ??= joinedLines(storage, link.retry.link, link.retry.before[page] ?? 0);
          const { value } = await retried.next();
          if (value?.line?.part === 'output') line = { ...value.line, document: own.document };
        }
        if (own.document >= from) yield { document: own.document, line };
      }
    }
  } finally {
    await close();
  }
}

function* withoutLines(
  { first, documents }: { readonly first: number; readonly documents: number },
  from: number,
): Generator<JoinedLine> {
  for (let document = Math.max(first, from); document < first + documents; document += 1)
    yield { document, line: null };
}
