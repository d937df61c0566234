import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LIMITS } from '../../limits.ts';
import { runAtOnce } from '../../text/slices.ts';
import { ContinuedScan } from './continued-scan.ts';
import { readContinuedValue } from './continue.ts';

const BEFORE = '{"a';

/** Texts of the marks that JSON is held together by, and of half a surrogate pair. */
const mark = fc.string({ unit: fc.constantFrom('"', ':', '{', '}', '[', ']', ',', '1', '\\', ' ', 'a', '\ud83d') });
const continuation = fc
  .tuple(
    fc.constantFrom('', BEFORE, '{"', '{'),
    fc.constantFrom('":', '" :', '"', ''),
    fc.oneof(mark, fc.json()),
    fc.oneof(mark, fc.constantFrom('}', ' ,')),
  )
  .map((parts) => parts.join(''));

test('a text is enough in pieces exactly where it is when it is read from its beginning', () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(continuation, fc.infiniteStream(fc.integer({ min: 1, max: 4 })), (text, lengths) => {
      const scan = new ContinuedScan(BEFORE);
      for (let at = 0; at < text.length;) {
        const to = at + (lengths.next().value ?? 1);
        const isEnough = scan.push(text.slice(at, to));
        const { kind } = runAtOnce(readContinuedValue(BEFORE, text.slice(0, to)));
        assert.equal(isEnough, kind !== 'unfinished', JSON.stringify(text.slice(0, to)));
        seen.set(kind, (seen.get(kind) ?? 0) + 1);
        at = to;
      }
    }),
    { numRuns: 3_000 },
  );
  for (const kind of ['value', 'unfinished', 'nonsense'])
    assert.ok((seen.get(kind) ?? 0) > 300, `${kind}: ${JSON.stringify([...seen])}`);
});

test('what is longer than anything that is judged is enough', () => {
  const scan = new ContinuedScan(BEFORE);
  assert.ok(!scan.push(`":"${'b'.repeat(LIMITS.judgedCharacters)}`));
  assert.ok(scan.push('b'));
});

test('a value that comes in many pieces is looked at once', () => {
  const pieces = Array.from({ length: 200_000 }, () => '"ab",');
  const scan = new ContinuedScan(BEFORE);
  const began = process.cpuUsage();
  scan.push('":[');
  for (const piece of pieces) assert.ok(!scan.push(piece));
  const { user } = process.cpuUsage(began);
  // Reading all of it again for each piece took 3.5 s for a tenth of it.
  assert.ok(user < 2_000_000, `${user / 1000} ms for ${pieces.length} pieces`);
});
