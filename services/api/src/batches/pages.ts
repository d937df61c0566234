import { KEYS, LineSplitter, resultLineId, type Validated } from '@spillway/core';
import type { Api } from '../api.ts';
import { footerOf } from './account.ts';
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

/** A page that is sealed, or null. */
export async function sealedPage(api: Api, batch: string, plan: Validated, page: number): Promise<SealedPage | null> {
  const [first, documents] = plan.pages[page] ?? [0, 0];
  const key = KEYS.page(batch, page);
  const footer = await footerOf(api, batch, page);
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
export async function* linesOf(api: Api, page: SealedPage): AsyncGenerator<SettledLine> {
  const documents = new Map<string, number>();
  for (let at = page.first; at < page.first + page.documents; at += 1) {
    documents.set(resultLineId(page.batch, at), at);
  }
  const parts = [
    linesOfPart(api, page.output, 'output', documents),
    linesOfPart(api, page.errors, 'error', documents),
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
  api: Api,
  piece: Piece,
  part: SettledLine['part'],
  documents: ReadonlyMap<string, number>,
): AsyncGenerator<SettledLine> {
  if (piece.start === piece.end) return;
  const splitter = new LineSplitter(Number.MAX_SAFE_INTEGER);
  for await (const chunk of streamPieces(api.storage, [piece])) {
    for (const { bytes } of splitter.push(chunk)) {
      const id = LINE_ID.exec(bytes.subarray(0, 64).toString('latin1'))?.[1] ?? '';
      const document = documents.get(id);
      if (document === undefined) throw new Error(`${piece.key} holds a line of no document of its page`);
      yield { document, part, bytes };
    }
  }
}
