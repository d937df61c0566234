import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addCounts, NO_COUNTS, readCounts, STAGE_COUNTERS, stageCounter, type Counts } from '../accounting/counts.ts';
import { nanoUsd } from '../accounting/price.ts';
import { Waits } from '../accounting/waits.ts';
import { readUsage } from '../endpoints/completion.ts';
import { LIMITS } from '../limits.ts';
import { draftsPlace, readDrafts } from './page-drafts.ts';
import { footerLength, linePlaces, readFooter, verifyPage, writePage, type PageLine } from './page.ts';

/** The waits of a page whose documents, of cascades of so many stages, have nothing in common. */
function waitsOf(cascades: readonly string[], stages: number) {
  const all = new Waits();
  for (let at = 0; at < LIMITS.pageDocuments; at += 1) {
    const one = (stage: number) => ({
      queueMs: 1.03 ** at,
      callMs: 1_000 / (at + 1),
      handOffMs: at % 2 === 0 || stage === stages - 1 ? null : at,
    });
    const times = {
      stages: Array.from({ length: stages }, (_, stage) => one(stage)),
      sequentialMs: at * 7,
      totalMs: at ** 2,
    };
    for (const cascade of cascades) all.add({ cascade, times });
  }
  return all.write();
}

const waits = waitsOf(['invoices'], 2);
const countsOf = (completed: number): Counts => ({ ...NO_COUNTS, completed, 'invoices/1/nanoUsd': 7 });

test('a page object: output lines, then error lines, each in order; its footer is read from its end', () => {
  const line = fc.record({ part: fc.constantFrom('output' as const, 'error' as const), text: fc.string() });
  const oneLine = line.map(({ part, text }): PageLine => ({ part, text: JSON.stringify(text) }));
  fc.assert(
    fc.property(fc.array(oneLine, { minLength: 1, maxLength: 20 }), (lines) => {
      const { bytes, footer } = writePage(3, lines, { counts: countsOf(5), ...waits });
      assert.deepEqual(readFooter(bytes.subarray(-LIMITS.footerBytes)), footer);
      assert.deepEqual(verifyPage(bytes), footer);
      assert.deepEqual([footer.v, footer.page, footer.documents], [2, 3, lines.length]);
      const text = (part: string) =>
        lines
          .filter((one) => one.part === part)
          .map((one) => `${one.text}\n`)
          .join('');
      assert.equal(bytes.subarray(0, footer.outputBytes).toString(), text('output'));
      const errors = bytes.subarray(footer.outputBytes, footer.outputBytes + footer.errorBytes);
      assert.equal(errors.toString(), text('error'));
      assert.equal(footerLength(bytes), bytes.length - footer.outputBytes - footer.errorBytes);
      assert.equal(linePlaces(footer), null);
      const indexed = writePage(3, lines, { counts: countsOf(5), ...waits, hasLineBytes: true });
      const places = linePlaces(readFooter(indexed.bytes) ?? footer) ?? [];
      const found = places.map(({ part, start, end }) => ({ part, text: indexed.bytes.toString('utf8', start, end) }));
      assert.deepEqual(found, lines, 'each line is read without the others');
    }),
  );
});

test('whatever a server counts and a model costs, a page that is written can be read', () => {
  const tokens = fc.oneof(fc.maxSafeNat(), fc.constantFrom(4_294_967_295, 1e300, -1, 0.5, Number.MAX_SAFE_INTEGER));
  const cost = fc.double({ min: 0, max: 100_000, noNaN: true });
  fc.assert(
    fc.property(fc.array(fc.tuple(tokens, tokens), { maxLength: 20 }), cost, cost, (answers, input, output) => {
      const counts = answers.reduce<Counts>((sum, [read, written]) => {
        const usage = readUsage({ prompt_tokens: read, completion_tokens: written });
        const spent = nanoUsd(usage, { input, output });
        // Its sums in Redis are of 64 bits.
        assert.ok(spent * 1_000_000 < 2 ** 63);
        return addCounts(sum, { 'invoices/1/nanoUsd': spent * 1e5, 'invoices/1/inputTokens': usage.inputTokens });
      }, NO_COUNTS);
      const { bytes, footer } = writePage(0, [{ part: 'output', text: '{}' }], { counts, ...waits });
      assert.deepEqual(readFooter(bytes.subarray(-LIMITS.footerBytes)), footer);
    }),
  );
});

test('a footer that is longer than what is read at first says how long it is, and is read whole', () => {
  const cascades = Array.from({ length: 12 }, (_, at) => `cascade-${at}`);
  const counts: Counts = {
    ...NO_COUNTS,
    ...Object.fromEntries(
      cascades.flatMap((name) =>
        [0, 1, 2].flatMap((at) => STAGE_COUNTERS.map((one) => [stageCounter(name, at, one), 1])),
      ),
    ),
  };
  const written = writePage(7, [{ part: 'output', text: 'x'.repeat(200_000) }], {
    counts,
    ...waitsOf(cascades, 3),
  });
  const { bytes, footer } = written;
  const first = bytes.subarray(-LIMITS.footerBytes);
  assert.equal(readFooter(first), null, 'it is not all there');
  const length = footerLength(first);
  assert.ok(
    length !== null && length > LIMITS.footerBytes && length === bytes.length - footer.outputBytes,
    `${length}`,
  );
  assert.deepEqual(readFooter(bytes.subarray(-length)), footer);
  assert.equal(readFooter(bytes.subarray(1 - length)), null);
  assert.deepEqual(verifyPage(bytes), footer);
  assert.equal(footerLength(first.subarray(-23)), length, 'the trailer says it all');
});

test('the footer of a page of three stages is read at once, as nearly every one is', () => {
  const { bytes } = writePage(0, [], { counts: countsOf(1), ...waitsOf(['contracts'], 3) });
  assert.ok(bytes.length < LIMITS.footerBytes, `${bytes.length}`);
});

test('a damaged, cut or foreign object is no page', () => {
  const { bytes } = writePage(0, [{ part: 'output', text: '{"a":1}' }], { counts: NO_COUNTS, waits: {} });
  const flipped = Buffer.from(bytes);
  flipped[2] = 0x7a;
  assert.equal(verifyPage(flipped), null);
  for (let end = 0; end < bytes.length; end += 1) assert.equal(verifyPage(bytes.subarray(0, end)), null);
  assert.equal(readFooter(Buffer.from(`x`.repeat(50))), null);
  assert.equal(readFooter(Buffer.from(`9999999999 spillway-p2\n`.padStart(60, '0'))), null);
  assert.equal(footerLength(Buffer.from('x'.repeat(50))), null);
  assert.equal(footerLength(Buffer.alloc(0)), null);
});

test('a page of the first version is none', () => {
  const old = { v: 1, page: 0, documents: 0, outputBytes: 0, errorBytes: 0, counts: {}, sha256: '' };
  for (const mark of ['spillway-p1', 'spillway-p2']) {
    const text = `${JSON.stringify(old)}\n`;
    assert.equal(readFooter(Buffer.from(`${text}${String(text.length).padStart(10, '0')} ${mark}\n`)), null, mark);
  }
});

test('a footer says why in a place of its own: the version before reads the rest, and what it wrote is read', () => {
  const counts: Counts = { ...countsOf(5), 'invoices/1/reason:no_label': 3, 'error/400': 2 };
  const said = { 'error/400': 'too long' };
  const { bytes, footer } = writePage(3, [{ part: 'output', text: '{}' }], { counts, ...waits, said });
  assert.deepEqual(readFooter(bytes), footer);
  assert.deepEqual(readCounts(footer), counts);
  assert.deepEqual(footer.said, said);
  const known = [...Object.keys(NO_COUNTS), stageCounter('invoices', 0, 'nanoUsd')];
  assert.deepEqual(Object.keys(footer.counts).toSorted(), known.toSorted(), 'nothing that it takes for damage');
  const { reasons: _reasons, said: _said, ...older } = footer;
  const tail = `${JSON.stringify(older)}\n`;
  const page = Buffer.from(`${tail}${String(tail.length).padStart(10, '0')} spillway-p2\n`);
  assert.deepEqual(readFooter(page), older);
});

const page = fc.array(
  fc.record({
    part: fc.constantFrom('output' as const, 'error' as const),
    text: fc.string({ unit: 'binary' }),
    draft: fc.option(fc.jsonValue().map((value) => JSON.stringify({ v: 1, value }))),
  }),
  { minLength: 1, maxLength: 20 },
);

/** What the version before reads as the footer: all JSON behind the lines, as long as the trailer says. */
function olderFooter(bytes: Buffer): Record<string, unknown> {
  const [, length] = /(\d{10}) spillway-p2\n$/.exec(bytes.subarray(-23).toString('latin1')) ?? assert.fail();
  return JSON.parse(bytes.subarray(-23 - Number(length), -23).toString()) as Record<string, unknown>;
}

test('drafts lie between lines and footer: no line has them, and the version before passes over them', () => {
  fc.assert(
    fc.property(page, (documents) => {
      const lines = documents.map(({ part, text }): PageLine => ({ part, text: JSON.stringify(text) }));
      const drafts = documents.map(({ draft }) => draft);
      const facts = { counts: countsOf(5), ...waits, hasLineBytes: true };
      const plain = writePage(3, lines, facts);
      const { bytes, footer } = writePage(3, lines, { ...facts, drafts });
      assert.deepEqual(verifyPage(bytes), footer);
      const { draftsPart, ...others } = footer;
      assert.deepEqual(others, plain.footer, 'what is said of the lines is the same');
      const linesEnd = footer.outputBytes + footer.errorBytes;
      assert.ok(bytes.subarray(0, linesEnd).equals(plain.bytes.subarray(0, linesEnd)));
      const place = draftsPlace(footer);
      if (drafts.every((one) => one === null)) {
        assert.ok(bytes.equals(plain.bytes));
        assert.deepEqual([place, draftsPart], [null, undefined]);
        return;
      }
      assert.ok(place !== null && place.start === linesEnd);
      assert.equal(footerLength(bytes), bytes.length - place.end, 'the footer is read without them');
      assert.deepEqual(readFooter(bytes.subarray(place.end)), footer);
      assert.deepEqual(readDrafts(bytes.subarray(place.start, place.end), footer), drafts);
      const { drafts: _drafts, ownBytes: _ownBytes, ...older } = olderFooter(bytes);
      assert.deepEqual(older, footer);
    }),
  );
});

test('damaged drafts are none, and their page is no whole one', () => {
  const line: PageLine = { part: 'output', text: '{}' };
  const { bytes, footer } = writePage(0, [line, line], { counts: NO_COUNTS, waits: {}, drafts: ['{"v":1}', null] });
  const { start, end } = draftsPlace(footer) ?? assert.fail();
  for (let at = start; at < end; at += 1) {
    const flipped = Buffer.from(bytes);
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    assert.equal(verifyPage(flipped), null);
    assert.equal(readDrafts(flipped.subarray(start, end), footer), null);
    assert.deepEqual(readFooter(flipped), footer);
  }
  for (let at = 0; at < bytes.length; at += 1) assert.equal(verifyPage(bytes.subarray(0, at)), null);
});
