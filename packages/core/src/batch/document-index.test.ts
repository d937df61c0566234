import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { digestBits, type Bits, type LongBits } from '../text/digest.ts';
import { runAtOnce } from '../text/slices.ts';
import { IndexWindow, writingIndex, type DocumentIndex } from './document-index.ts';
import { DocumentRows } from './document-rows.ts';
import { searchingIndex } from './index-search.ts';

type Written = { readonly bytes: Buffer; readonly index: DocumentIndex };

/** The index of documents with these ids, in order; of which one has none. */
function indexOf(ids: readonly (Bits | null)[], body: LongBits | null = null): Written {
  const rows = new DocumentRows();
  for (const [document, id] of ids.entries()) if (id !== null) rows.add({ id, body, document, offset: 0 });
  return runAtOnce(writingIndex(rows));
}

/** What a search finds, and how many bytes it read how often. */
function search({ bytes, index }: Written, id: Bits, { from = 0, most = 10_000 } = {}) {
  const reads: number[] = [];
  const work = searchingIndex(index, { id, from }, most);
  for (let step = work.next(); ;) {
    if (step.done === true) return { found: step.value, reads };
    const { start, end } = step.value;
    reads.push(end - start);
    step = work.next(bytes.subarray(start, end));
  }
}

/** Bits of which many have one of the two numbers alike. */
const bits = fc.record({ high: fc.integer({ min: 0, max: 2 ** 32 - 1 }), low: fc.nat({ max: 2 }) });
const fewBits = fc.record({ high: fc.nat({ max: 40 }), low: fc.nat({ max: 40 }) });

test('the documents of an id are found in their order, whatever ids there are; those of others are not', () => {
  const ids = fc.array(fc.option(fc.oneof(bits, fewBits)), { maxLength: 9_000, size: 'max' });
  fc.assert(
    fc.property(ids, fewBits, fc.nat({ max: 9_000 }), fc.integer({ min: 1, max: 50 }), (given, other, from, most) => {
      const written = indexOf(given);
      const sought = [given[0] ?? other, given[given.length >> 1] ?? other, given.at(-1) ?? other, other];
      for (const id of sought) {
        const all = given.flatMap((one, document) => (one?.high === id.high && one.low === id.low ? [document] : []));
        assert.deepEqual(search(written, id).found, all);
        const rest = all.filter((document) => document >= from).slice(0, most);
        assert.deepEqual(search(written, id, { from, most }).found, rest);
      }
    }),
    { numRuns: 60 },
  );
});

test('one read of 64 KiB finds nearly every one of 200,000, and never takes more than three', () => {
  const ids = Array.from({ length: 200_000 }, (_, document) => digestBits(`doc-${document}`));
  const written = indexOf(ids);
  const counts = new Map<number, number>();
  for (let document = 0; document < ids.length; document += 97) {
    const { found, reads } = search(written, ids[document] as Bits);
    assert.deepEqual(found, [document]);
    assert.ok(reads.every((bytes) => bytes <= 64 * 1024));
    counts.set(reads.length, (counts.get(reads.length) ?? 0) + 1);
    const absent = search(written, digestBits(`none-${document}`));
    assert.deepEqual(absent.found, []);
    assert.ok(absent.reads.length <= 3);
  }
  assert.ok(Math.max(...counts.keys()) <= 3);
  assert.ok((counts.get(1) ?? 0) > 2_000, JSON.stringify([...counts]));
});

test('ids that were chosen to lie where nobody looks for them are found by halving', () => {
  const ids = Array.from({ length: 300_000 }, (_, at) => ({ high: 7, low: at % 100_000 }));
  const written = indexOf([{ high: 0, low: 0 }, ...ids, { high: 2 ** 32 - 1, low: 0 }]);
  for (const low of [0, 1, 49_999, 99_998, 99_999]) {
    const { found, reads } = search(written, { high: 7, low });
    assert.deepEqual(found, [low + 1, low + 100_001, low + 200_001]);
    assert.ok(reads.length <= 12, `${reads.length}`);
  }
});

test('a row says what was given of it, and the same rows are written alike', () => {
  const body = [2 ** 32 - 1, 5, 6, 7] as const;
  const id = digestBits('a');
  const { bytes, index } = indexOf([null, id], body);
  assert.equal(index.rows, 1);
  assert.equal(indexOf([null, id], body).index.digest, index.digest);
  assert.notEqual(indexOf([id, null], body).index.digest, index.digest);
  const reading = IndexWindow.reading(0, 1, 1);
  reading.next();
  const { value: window } = reading.next(bytes);
  assert.ok(window instanceof IndexWindow);
  assert.deepEqual([window.id(0), window.body(0), window.document(0)], [id, { high: 2 ** 32 - 1, low: 5 }, 1]);
});

test('a byte that changed, a block in the place of another, and a cut are seen by who reads there', () => {
  const ids = Array.from({ length: 1_000 }, (_, at) => digestBits(`${at}`));
  const written = indexOf(ids);
  const found = (bytes: Buffer) => search({ ...written, bytes }, ids[0] as Bits).found;
  fc.assert(
    fc.property(fc.nat({ max: written.bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const bytes = Buffer.from(written.bytes);
      bytes[at] = (bytes[at] as number) ^ change;
      assert.equal(found(bytes), null);
    }),
  );
  const [first, second] = [written.bytes.subarray(0, 4_096), written.bytes.subarray(4_096, 8_192)];
  assert.equal(found(Buffer.concat([second, first, written.bytes.subarray(8_192)])), null);
  assert.equal(found(written.bytes.subarray(0, -1)), null);
  assert.equal(found(Buffer.alloc(0)), null);
  assert.deepEqual(found(written.bytes), [0]);
});
