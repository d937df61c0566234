import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { digestBits, digestLongBits, type LongBits } from '../text/digest.ts';
import { runAtOnce } from '../text/slices.ts';
import { askedWork, copiesOfPage, copiesRange, readCopies, writingCopies, type Copies } from './copies.ts';
import { DocumentRows } from './document-rows.ts';
import { PageCutter, pageOfDocument, type PagePlan } from './page-plan.ts';

/** Pages of so many documents each. */
function pagesOf(sizes: readonly number[]): PagePlan[] {
  let first = 0;
  return sizes.map((documents) => {
    const page = { first, documents, offset: 0, bytes: 1, lineBefore: 0 };
    first += documents;
    return page;
  });
}

/** The copies among documents with these bodies; of those without one nothing is known, or they have no row. */
function written(bodies: readonly (LongBits | null | 'no row')[], pages: readonly PagePlan[]) {
  const rows = new DocumentRows();
  for (const [document, body] of bodies.entries()) {
    if (body !== 'no row') rows.add({ id: digestBits(`${document}`), body, document, offset: 0 });
  }
  return runAtOnce(writingCopies(rows, pages));
}

/** What the part of each page says, as the document and its first. */
function readAll({ bytes, copies }: { bytes: Buffer; copies: Copies }, pages: readonly PagePlan[]): [number, number][] {
  return pages.flatMap((page, at) => {
    const { start, end } = copiesRange(copies, at);
    const found = readCopies(bytes.subarray(start, end), copiesOfPage(copies, at), page);
    assert.ok(found !== null);
    return [...found].map(([place, first]): [number, number] => [page.first + place, first]);
  });
}

const few = fc.oneof(
  fc.nat({ max: 12 }).map((body) => digestLongBits(`${body}`)),
  fc.constant(null),
  fc.constant('no row' as const),
);

test('each copy has the first document with its body, whichever pages the two are in', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(sizes, fc.array(few, { minLength: 320, maxLength: 320 }), (given, all) => {
      const pages = pagesOf(given);
      const bodies = all.slice(
        0,
        given.reduce((sum, one) => sum + one, 0),
      );
      const firsts = new Map<string, number>();
      const expected: [number, number][] = [];
      for (const [document, body] of bodies.entries()) {
        if (body === null || body === 'no row') continue;
        const first = firsts.get(String(body));
        if (first === undefined) firsts.set(String(body), document);
        else expected.push([document, first]);
      }
      const found = written(bodies, pages);
      assert.equal(found === null, expected.length === 0);
      if (found === null) return;
      assert.deepEqual(readAll(found, pages), expected);
      assert.equal(found.copies.count, expected.length);
      assert.equal(written(bodies, pages)?.copies.digest, found.copies.digest, 'whoever writes them writes the same');
    }),
  );
});

test('200,000 documents of one body are copies of the first, whatever else begins like it', () => {
  const cutter = new PageCutter();
  for (let at = 0; at < 200_000; at += 1) cutter.add({ offset: at * 100, length: 100, number: at + 1 });
  const pages = cutter.finish();
  const body = digestLongBits('a');
  const [a, b, c, d] = body;
  const others = new Map<number, LongBits | null>([
    [3, [a, b, c, d ^ 1]],
    [70_000, [a, b, 0, 0]],
    [150_000, null],
  ]);
  const found = written(
    Array.from({ length: 200_000 }, (_, at) => (others.has(at) ? (others.get(at) ?? null) : body)),
    pages,
  );
  assert.ok(found !== null);
  const all = readAll(found, pages);
  assert.equal(all.length, 200_000 - 4);
  assert.ok(all.every(([document, first]) => first === 0 && !others.has(document)));
  assert.ok(found.bytes.length < 8 * 200_000 + 8 * pages.length);
});

test('a part that changed, was cut, or is of another page is not read', () => {
  const pages = pagesOf([4, 4]);
  const body = digestLongBits('a');
  const found = written([body, body, null, body, null, body, body, body], pages);
  assert.ok(found !== null);
  const { bytes, copies } = found;
  const [first, second] = [copiesRange(copies, 0), copiesRange(copies, 1)];
  const part = bytes.subarray(second.start, second.end);
  assert.deepEqual(
    [...(readCopies(part, 3, pages[1] as PagePlan) ?? [])],
    [
      [1, 0],
      [2, 0],
      [3, 0],
    ],
  );
  for (let at = 0; at < part.length; at += 1) {
    const changed = Buffer.from(part);
    changed[at] = (changed[at] ?? 0) ^ 4;
    assert.equal(readCopies(changed, 3, pages[1] as PagePlan), null);
  }
  assert.equal(readCopies(part.subarray(1), 3, pages[1] as PagePlan), null);
  assert.equal(readCopies(new Uint8Array(), 3, pages[1] as PagePlan), null);
  assert.equal(readCopies(bytes.subarray(first.start, first.end), 2, pages[1] as PagePlan), null);
});

test('work is what is asked about: copies are none, but for those that were asked as their first failed', () => {
  const pages = pagesOf([100, 100, 100]);
  const copies = { count: 150, before: [0, 20, 90] };
  const pageOf = (document: number): number | null => pageOfDocument(pages, document);
  const asked = (enqueued: number, settled: number, copied: number) =>
    Object.values(askedWork({ total: 300, enqueued, settled, copied, kept: 0 }, copies, pageOf));
  assert.deepEqual(asked(0, 0, 0), [150, 0, 0]);
  assert.deepEqual(asked(100, 40, 5), [150, 80, 35]);
  assert.deepEqual(asked(200, 200, 90), [150, 110, 110]);
  assert.deepEqual(asked(300, 300, 150), [150, 150, 150]);
  assert.deepEqual(asked(300, 250, 10), [240, 240, 240], 'most of the copies were asked');
  const all = { total: 300, enqueued: 100, settled: 40 };
  assert.deepEqual(askedWork({ ...all, copied: 0, kept: 0 }, null, pageOf), all);
  const withoutKept = { total: all.total - 3, enqueued: all.enqueued - 3, settled: all.settled - 3 };
  assert.deepEqual(askedWork({ ...all, copied: 0, kept: 3 }, null, pageOf), withoutKept);
});
