import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { LIMITS } from '../limits.ts';
import { pageCost, PageCutter, pageOfDocument, pagePlanCodec, type PagePlan } from './page-plan.ts';

/** The pages of lines of these lengths. */
function pagesOf(lengths: readonly number[]): readonly PagePlan[] {
  const cutter = new PageCutter();
  let offset = 0;
  for (const [index, bytes] of lengths.entries()) {
    cutter.add({ offset, length: bytes, number: index + 1 });
    offset += bytes;
  }
  return cutter.finish();
}

test('pages cover every document once, in order, within their bounds', () => {
  const length = fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 2, max: 2_000 }) },
    { weight: 2, arbitrary: fc.integer({ min: 500_000, max: LIMITS.pageInputBytes }) },
    { weight: 1, arbitrary: fc.integer({ min: LIMITS.pageInputBytes, max: LIMITS.lineBytesMax }) },
  );
  fc.assert(
    fc.property(fc.array(length, { minLength: 1, maxLength: 700 }), (lengths) => {
      const pages = pagesOf(lengths);
      let [document, at] = [0, 0];
      for (const page of pages) {
        assert.equal(page.first, document);
        assert.equal(page.offset, at);
        assert.equal(page.lineBefore, document);
        assert.ok(page.documents >= 1 && page.documents <= LIMITS.pageDocuments);
        assert.ok(page.bytes <= LIMITS.pageInputBytes || page.documents === 1, 'or a large line by itself');
        document += page.documents;
        at += page.bytes;
      }
      assert.equal(document, lengths.length);
      assert.equal(
        at,
        lengths.reduce((sum, one) => sum + one, 0),
      );
    }),
    { numRuns: 50 },
  );
});

test('blank lines lie between documents: they are in no page of their own', () => {
  const cutter = new PageCutter();
  cutter.add({ offset: 10, length: 5, number: 3 });
  cutter.add({ offset: 20, length: 5, number: 6 });
  assert.deepEqual(cutter.finish(), [{ first: 0, documents: 2, offset: 10, bytes: 15, lineBefore: 2 }]);
  assert.deepEqual(new PageCutter().finish(), []);
});

test('a line larger than a page is a page', () => {
  const pages = pagesOf([10, LIMITS.lineBytesMax, 10]);
  assert.deepEqual(
    pages.map(({ documents, bytes }) => [documents, bytes]),
    [
      [1, 10],
      [1, LIMITS.lineBytesMax],
      [1, 10],
    ],
  );
});

test('a page’s plan is five numbers where it is written, and comes back whole', () => {
  const number = fc.nat(Number.MAX_SAFE_INTEGER);
  const plan = fc.record(
    { first: number, documents: number, offset: number, bytes: number, lineBefore: number },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(plan, (page) => {
      const written = z.encode(pagePlanCodec, page);
      assert.deepEqual(written, [page.first, page.documents, page.offset, page.bytes, page.lineBefore]);
      assert.deepEqual(z.decode(pagePlanCodec, JSON.parse(JSON.stringify(written))), page);
    }),
  );
  for (const wrong of [[1, 2, 3, 4], [1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 0.5], {}, null]) {
    assert.equal(pagePlanCodec.safeParse(wrong).success, false, JSON.stringify(wrong));
  }
});

test('a document is found in its page, and nowhere beyond the end', () => {
  const length = fc.oneof(fc.constant(20), fc.integer({ min: 500_000, max: LIMITS.lineBytes }));
  fc.assert(
    fc.property(fc.array(length, { maxLength: 700 }), fc.nat(800), (lengths, document) => {
      const pages = pagesOf(lengths);
      const found = pageOfDocument(pages, document);
      assert.equal(found !== null, document < lengths.length);
      if (found === null) return;
      const { first, documents } = pages[found] as PagePlan;
      assert.ok(document >= first && document < first + documents);
    }),
  );
  assert.equal(pageOfDocument([], 0), null);
  assert.equal(pageOfDocument(pagesOf([1, 1]), -1), null);
});

test('a page costs its bytes and what each of its documents takes beside', () => {
  const page = { first: 0, documents: 3, offset: 0, bytes: 1_000, lineBefore: 0 };
  assert.equal(pageCost(page), 1_000 + 3 * LIMITS.documentOverheadBytes);
});
