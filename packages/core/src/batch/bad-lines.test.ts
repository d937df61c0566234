import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { BadLineMarks, badLinesRecord, isBadLine } from './bad-lines.ts';
import { RECORD_VERSION, RECORDS } from './records.ts';

test('exactly the documents that were marked are bad lines, also once they were written down and read', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(3_000), { maxLength: 200 }), fc.nat(3_100), (documents, other) => {
      const sorted = documents.toSorted((left, right) => left - right);
      const marks = new BadLineMarks();
      for (const document of sorted) marks.add(document);
      const marked = marks.finish(1_024);
      assert.equal(marked?.count ?? 0, documents.length);
      const written = marked === null ? null : z.encode(badLinesRecord, marked);
      const read = written === null ? null : badLinesRecord.parse(JSON.parse(JSON.stringify(written)));
      for (const document of [...documents, other]) {
        assert.equal(isBadLine(marked, document), documents.includes(document));
        assert.equal(isBadLine(read, document), documents.includes(document));
      }
    }),
  );
});

test('a million bad lines take 125 kB, and one among them hardly more', () => {
  const all = new BadLineMarks();
  for (let document = 0; document < 1_000_000; document += 1) all.add(document);
  assert.equal(all.finish(1)?.bits.length, 125_000);
  const last = new BadLineMarks();
  last.add(999_999);
  assert.deepEqual([last.finish(1)?.bits.length, last.finish(1)?.count], [125_000, 1]);
  assert.equal(new BadLineMarks().finish(1), null);
});

test('a record of the version before has no bad lines', () => {
  const facts = { v: RECORD_VERSION, validatedAtMs: 1, total: 1, cascades: ['a'], pages: [[0, 1, 0, 9, 0]] };
  const { badLines = null } = RECORDS.validated.parse(facts);
  assert.equal(badLines, null);
  assert.equal(isBadLine(badLines, 0), false);
});
