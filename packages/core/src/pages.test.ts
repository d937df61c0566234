import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NO_COUNTS } from './account.ts';
import { LIMITS } from './limits.ts';
import { Waits } from './waits.ts';
import { PageCutter, readFooter, verifyPage, writePage, type PageLine } from './pages.ts';

test('pages cover every document once, in order, within their bounds', () => {
  const length = fc.oneof(fc.integer({ min: 2, max: 2_000 }), fc.integer({ min: 500_000, max: LIMITS.lineBytes }));
  fc.assert(
    fc.property(fc.array(length, { minLength: 1, maxLength: 700 }), (lengths) => {
      const cutter = new PageCutter();
      let offset = 0;
      for (const [index, bytes] of lengths.entries()) {
        cutter.add({ offset, length: bytes, number: index + 1 });
        offset += bytes;
      }
      const pages = cutter.finish();
      let [document, at] = [0, 0];
      for (const page of pages) {
        assert.equal(page.first, document);
        assert.equal(page.offset, at);
        assert.equal(page.lineBefore, document);
        assert.ok(page.documents >= 1 && page.documents <= LIMITS.pageDocuments);
        assert.ok(page.bytes <= LIMITS.pageInputBytes);
        document += page.documents;
        at += page.bytes;
      }
      assert.equal(document, lengths.length);
      assert.equal(at, offset);
    }),
    { numRuns: 50 },
  );
});

/** The waits of a page whose documents have nothing in common. */
const waits = (() => {
  const all = new Waits();
  for (let at = 0; at < LIMITS.pageDocuments; at += 1) {
    const [queueMs, callMs] = [1.03 ** at, 1_000 / (at + 1)];
    const handOverMs = at % 2 === 0 ? null : at;
    all.add({
      drafter: { queueMs, callMs },
      handOverMs,
      expert: { queueMs, callMs },
      sequentialMs: at * 7,
      totalMs: at ** 2,
    });
  }
  return all.write();
})();

test('a page object: output lines, then error lines, each in order; its footer is read from its end', () => {
  const line = fc.record({ part: fc.constantFrom('output' as const, 'error' as const), text: fc.string() });
  const oneLine = line.map(({ part, text }): PageLine => ({ part, text: JSON.stringify(text) }));
  fc.assert(
    fc.property(fc.array(oneLine, { minLength: 1, maxLength: 20 }), (lines) => {
      const { bytes, footer } = writePage(3, lines, { counts: { ...NO_COUNTS, completed: 5 }, waits });
      assert.deepEqual(readFooter(bytes.subarray(-LIMITS.footerBytes)), footer);
      assert.deepEqual(verifyPage(bytes), footer);
      const text = (part: string) =>
        lines
          .filter((one) => one.part === part)
          .map((one) => `${one.text}\n`)
          .join('');
      assert.equal(bytes.subarray(0, footer.outputBytes).toString(), text('output'));
      const errors = bytes.subarray(footer.outputBytes, footer.outputBytes + footer.errorBytes);
      assert.equal(errors.toString(), text('error'));
    }),
  );
});

test('a damaged, cut or foreign object is no page', () => {
  const { bytes } = writePage(0, [{ part: 'output', text: '{"a":1}' }], { counts: NO_COUNTS, waits: {} });
  const flipped = Buffer.from(bytes);
  flipped[2] = 0x7a;
  assert.equal(verifyPage(flipped), null);
  for (let end = 0; end < bytes.length; end += 1) assert.equal(verifyPage(bytes.subarray(0, end)), null);
  assert.equal(readFooter(Buffer.from(`x`.repeat(50))), null);
  assert.equal(readFooter(Buffer.from(`9999999999 spillway-p1\n`.padStart(60, '0'))), null);
});
