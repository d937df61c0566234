import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addCounts, NO_COUNTS, stageCounter, type Counts } from '../accounting/counts.ts';
import { countPage, readDocumentCounts, writeDocumentCounts, type DocumentCounts } from './page-counts.ts';
import type { PageLine } from './page.ts';

const TOKENS = stageCounter('a', 0, 'inputTokens');
const MONEY = stageCounter('a', 0, 'nanoUsd');

type Settled = { readonly isCompleted: boolean; readonly counts: Partial<Counts> };

const settled: fc.Arbitrary<Settled> = fc
  .record({ isCompleted: fc.boolean(), tokens: fc.nat(1e6), money: fc.nat(1e12), isEscalated: fc.boolean() })
  .map(({ isCompleted, tokens, money, isEscalated }) => ({
    isCompleted,
    counts: {
      [isCompleted ? 'completed' : 'failed']: 1,
      ...(isEscalated ? { escalated: 1 } : {}),
      [TOKENS]: tokens,
      [MONEY]: money,
    },
  }));

/** A page of these documents, as it stands while its results come. */
function pageOf(all: readonly Settled[]) {
  const lines = new Map<number, PageLine>();
  const ofDocuments = new Map<number, DocumentCounts>();
  for (const [place, { isCompleted, counts }] of all.entries()) {
    lines.set(place, { part: isCompleted ? 'output' : 'error', text: '{}' });
    ofDocuments.set(place, readDocumentCounts(writeDocumentCounts(counts)) ?? assert.fail());
  }
  const sums = all.reduce<Counts>((sum, { counts }) => addCounts(sum, counts), NO_COUNTS);
  return { lines, ofDocuments, sums };
}

test('a page counts what its documents count; whatever was counted otherwise is named, and used no more', () => {
  const page = fc.array(settled, { minLength: 1, maxLength: 20 });
  const wrong = fc.constantFrom<keyof Counts>('completed', 'failed', 'escalated', TOKENS, MONEY, 'b/3/answered');
  fc.assert(
    fc.property(page, wrong, fc.integer({ min: 1, max: 9 }), (all, name, by) => {
      const { sums, ...known } = pageOf(all);
      const counted = addCounts(sums, { [name]: by });
      const right = countPage({ ...known, counted: sums });
      assert.deepEqual(right, { counts: sums, miscounted: null });
      const { counts, miscounted } = countPage({ ...known, counted });
      assert.deepEqual(counts, sums);
      const ofLines = sums[name] ?? 0;
      assert.deepEqual(miscounted, { counted: { [name]: ofLines + by }, lines: { [name]: ofLines } });
    }),
  );
});

test('where an earlier version settled a document, its page counts what was counted, and who has an answer by its lines', () => {
  fc.assert(
    fc.property(fc.array(settled, { minLength: 1, maxLength: 20 }), fc.nat(), (all, at) => {
      const { sums, lines, ofDocuments } = pageOf(all);
      const some = new Map(ofDocuments);
      some.delete(at % all.length);
      assert.deepEqual(countPage({ lines, ofDocuments: some, counted: sums }), { counts: sums, miscounted: null });
      const counted = addCounts(sums, { completed: 2 });
      const { counts, miscounted } = countPage({ lines, ofDocuments: some, counted });
      assert.deepEqual(counts, sums);
      assert.deepEqual(miscounted?.lines, { completed: sums.completed });
    }),
  );
});

test('a page that holds nothing counts nothing', () => {
  const none = { lines: new Map(), ofDocuments: new Map(), counted: NO_COUNTS };
  assert.deepEqual(countPage(none), { counts: NO_COUNTS, miscounted: null });
});

test('counters of a version to come are passed over; absurd sums are bounded as everywhere', () => {
  const lines = new Map([0, 1].map((place) => [place, { part: 'output', text: '{}' } as const]));
  const own = { completed: 1, [MONEY]: Number.MAX_SAFE_INTEGER, 'a/1/notYetThere': 5 };
  const ofDocuments = new Map([0, 1].map((place) => [place, own]));
  // As Redis sums them.
  const counted = { ...NO_COUNTS, completed: 2, [MONEY]: 2 * Number.MAX_SAFE_INTEGER };
  assert.deepEqual(countPage({ lines, ofDocuments, counted }), {
    counts: { ...NO_COUNTS, completed: 2, [MONEY]: Number.MAX_SAFE_INTEGER },
    miscounted: null,
  });
});

test('what is no document’s counts is not taken for some', () => {
  for (const text of [
    '',
    '{',
    'null',
    '[]',
    '[1]',
    '5',
    '{"completed":-1}',
    '{"completed":0.5}',
    '{"completed":"1"}',
  ]) {
    assert.equal(readDocumentCounts(text), null, text);
  }
  assert.deepEqual(readDocumentCounts('{}'), {});
});
