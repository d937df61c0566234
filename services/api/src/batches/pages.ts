import { KEYS, LineSplitter, resultLineId, type PagePlan } from '@spillway/core';
import { readFooterOf, type Storage } from '@spillway/storage';
import { streamPieces, type Piece } from '../files/pieces.ts';

/** A settled document: its index in the batch and its line, without the line's end. */
export type SettledLine = { readonly document: number; readonly part: 'output' | 'error'; readonly bytes: Buffer };

/** A sealed page, and where its lines lie. */
export type SealedPage = {
  readonly batch: string;
  readonly first: number;
  readonly documents: number;
  readonly output: Piece;
  readonly errors: Piece;
};

/** A page of a batch with these pages, when it is sealed; else null. */
export async function sealedPage(
  storage: Storage,
  batch: string,
  pages: readonly PagePlan[],
  page: number,
): Promise<SealedPage | null> {
  const { first, documents } = pages[page] ?? { first: 0, documents: 0 };
  const key = KEYS.page(batch, page);
  const footer = await readFooterOf(storage, batch, page);
  if (footer === null) return null;
  const { outputBytes, errorBytes } = footer;
  return {
    batch,
    first,
    documents,
    output: { key, start: 0, end: outputBytes },
    errors: { key, start: outputBytes, end: outputBytes + errorBytes },
  };
}

/** The lines of a page in input order. Each part is in that order already, so the two are merged as they stream. */
export async function* linesOf(storage: Storage, page: SealedPage): AsyncGenerator<SettledLine> {
  const documents = new Map<string, number>();
  for (let at = page.first; at < page.first + page.documents; at += 1) {
    documents.set(resultLineId(page.batch, at), at);
  }
  const parts = [
    linesOfPart(storage, page.output, 'output', documents),
    linesOfPart(storage, page.errors, 'error', documents),
  ] as const;
  try {
    const heads = [await parts[0].next(), await parts[1].next()];
    for (;;) {
      const [output, error] = heads.map((head) => (head.done === true ? null : head.value));
      const next = before(output ?? null, error ?? null);
      if (next === null) return;
      yield next;
      const index = next.part === 'output' ? 0 : 1;
      heads[index] = await parts[index].next();
    }
  } finally {
    for (const part of parts) await part.return(undefined);
  }
}

function before(left: SettledLine | null, right: SettledLine | null): SettledLine | null {
  if (left === null || right === null) return left ?? right;
  return left.document < right.document ? left : right;
}

/** How every line of ours begins. */
const LINE_ID = /^\{"id":"(batch_req_[0-9a-f]+)"/;

async function* linesOfPart(
  storage: Storage,
  piece: Piece,
  part: SettledLine['part'],
  documents: ReadonlyMap<string, number>,
): AsyncGenerator<SettledLine> {
  if (piece.start === piece.end) return;
  const splitter = new LineSplitter(Number.MAX_SAFE_INTEGER);
  for await (const chunk of streamPieces(storage, [piece])) {
    for (const { bytes } of splitter.push(chunk)) {
      const id = LINE_ID.exec(bytes.subarray(0, 64).toString('latin1'))?.[1] ?? '';
      const document = documents.get(id);
      if (document === undefined) throw new Error(`${piece.key} holds a line of no document of its page`);
      yield { document, part, bytes };
    }
  }
}
