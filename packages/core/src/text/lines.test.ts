import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LineSplitter, type Line } from './lines.ts';

/** Cuts the bytes at these places and splits them. */
function split(bytes: Buffer, cuts: readonly number[], maxBytes = 1_000): Line[] {
  const splitter = new LineSplitter(maxBytes);
  const places = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].toSorted(
    (a, b) => a - b,
  );
  const chunks = places.slice(1).map((end, index) => bytes.subarray(places[index], end));
  return [...chunks.flatMap((chunk) => [...splitter.push(chunk)]), ...splitter.end()];
}

test('any bytes in any chunks: offsets and lengths cover the file, numbers count up, no line is lost', () => {
  const bytes = fc
    .uint8Array({ maxLength: 400 })
    .map((array) => Buffer.from(array.map((byte) => (byte < 60 ? 10 : byte))));
  fc.assert(
    fc.property(bytes, fc.array(fc.nat(), { maxLength: 8 }), (input, cuts) => {
      const lines = split(input, cuts);
      let offset = 0;
      for (const [index, line] of lines.entries()) {
        assert.equal(line.number, index + 1);
        assert.equal(line.offset, offset);
        offset += line.length;
      }
      assert.equal(offset, input.length);
      assert.deepEqual(lines, split(input, []), 'chunks do not matter');
    }),
  );
});

test('a byte order mark, CRLF split across chunks and a missing last newline', () => {
  const bytes = Buffer.from('\uFEFFone\r\ntwo\r\n\r\nthree');
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const texts = split(bytes, [cut]).map((line) => line.bytes.toString());
    assert.deepEqual(texts, ['one', 'two', '', 'three']);
  }
});

test('byte order marks are dropped at the start of any line, as joined files have them, and nowhere else', () => {
  const bytes = Buffer.from('\uFEFF\uFEFFa\n\uFEFFb\uFEFF\r\n\uFEFF\n c\uFEFF');
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const lines = split(bytes, [cut]);
    assert.deepEqual(
      lines.map((line) => line.bytes.toString()),
      ['a', 'b\uFEFF', '', ' c\uFEFF'],
    );
    assert.equal(
      lines.reduce((sum, { length }) => sum + length, 0),
      bytes.length,
    );
  }
});

test('a line that was cut in memory is too long, whatever is dropped of it', () => {
  const [line] = split(Buffer.from(`${'\uFEFF'.repeat(3)}${'x'.repeat(98)}\r\n`), [], 100);
  assert.equal(line?.tooLong, true);
  const [one] = split(Buffer.from(`\uFEFF${'x'.repeat(100)}\r\n`), [], 100);
  assert.deepEqual([one?.tooLong, one?.bytes.length], [false, 100]);
});

test('a line over the limit is marked and not kept, and the next one is whole', () => {
  const [long, next] = split(Buffer.from(`${'x'.repeat(5_000)}\nok\n`), [1_500, 3_000], 100);
  assert.equal(long?.tooLong, true);
  assert.equal(long?.bytes.toString(), 'x'.repeat(64), 'its first bytes show what it is');
  assert.equal(long?.length, 5_001);
  assert.equal(next?.bytes.toString(), 'ok');
  assert.equal(split(Buffer.from('x'.repeat(100)), [], 100)[0]?.tooLong, false);
});

test('what is held of an unfinished line is told, and is nothing once the line is too long', () => {
  const splitter = new LineSplitter(10);
  assert.deepEqual([[...splitter.push(Buffer.from('a\n123'))].length, splitter.heldBytes], [1, 3]);
  assert.deepEqual([[...splitter.push(Buffer.from('45678901234'))].length, splitter.heldBytes], [0, 14]);
  assert.deepEqual([[...splitter.push(Buffer.from('5'))].length, splitter.heldBytes], [0, 0]);
  assert.deepEqual([[...splitter.push(Buffer.from('\n'))][0]?.length, splitter.heldBytes], [16, 0]);
});

test('a return where a long line is cut ends nothing', () => {
  const text = `\uFEFF${'x'.repeat(10)}\ryyy`;
  assert.equal(split(Buffer.from(`${text}\n`), [], 10)[0]?.tooLong, true);
  assert.equal(split(Buffer.from(`\uFEFF${'x'.repeat(10)}\r\n`), [], 10)[0]?.bytes.toString(), 'x'.repeat(10));
});
