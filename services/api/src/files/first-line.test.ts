import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { FirstLine } from './first-line.ts';

/** What is said of a file that comes in chunks of so many bytes; null: nothing. */
function judge(content: string | Uint8Array, chunkBytes = 3): string | null {
  const bytes = Buffer.from(content as string);
  const first = new FirstLine();
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const reason = first.push(bytes.subarray(at, at + chunkBytes));
    if (reason !== null) return `early: ${reason}`;
  }
  return first.end();
}

/** What is said of a file however it is cut. */
function reasonOf(content: string | Uint8Array): string {
  const reasons = [1, 2, 3, 5, 7, 65_536].map((size) => judge(content, size)?.replace('early: ', '') ?? null);
  assert.equal(new Set(reasons).size, 1, JSON.stringify(reasons));
  return reasons[0] ?? 'fine';
}

test('the first line that is not blank must be JSON', () => {
  for (const fine of ['{"a":1}\nnot json\n', '{"a":1}', '\n \r\n{"a":1}\n', '\uFEFF{"a":1}\r\n', '42\n', '"a, b"\n'])
    assert.equal(reasonOf(fine), 'fine', fine);
  assert.equal(reasonOf('not json\n{"a":1}\n'), 'Its first line is not JSON.');
  assert.equal(reasonOf('not json'), 'Its first line is not JSON.');
  assert.match(reasonOf('\n{"a":\n'), /not a whole JSON object/);
  assert.match(judge('not json\n{"a":1}\n') ?? '', /^early/);
  assert.doesNotMatch(judge('not json') ?? '', /^early/);
});

test('what people upload by mistake is told apart', () => {
  const line = '{"custom_id":"a","body":{"x":[1,2]}}';
  assert.equal(reasonOf(''), 'The file is empty.');
  assert.match(reasonOf(`${line},\n${line},\n`), /must not end with a comma/);
  for (const array of [`[\n  ${line},\n`, `[${line},${line}]`, `\n\uFEFF [ ${line} ]\n`, '[]', `[${line},\n${line}]`])
    assert.match(reasonOf(array), /JSON array/, array);
  assert.match(reasonOf(`[${line.repeat(100_000)}]`), /JSON array/, 'also of one that is too long for a line');
  for (const csv of [
    'custom_id,prompt\na,b\n',
    '\uFEFF"custom_id";"prompt"\r\n',
    'id\tprompt\n',
    `a,POST,"{""x"":1}"\n`,
  ])
    assert.match(reasonOf(csv), /CSV/, csv);
  assert.match(reasonOf(gzipSync(line)), /gzip/);
});

test('UTF-16 and UTF-32 are told, of either order, with a mark and without, whatever is in them', () => {
  const swapped = (bytes: Buffer): Buffer => Buffer.from(bytes).swap16();
  const wide = (text: string): Buffer => {
    const bytes = Buffer.alloc(4 * Array.from(text).length);
    for (const [at, one] of Array.from(text).entries()) bytes.writeUInt32LE(one.codePointAt(0) ?? 0, 4 * at);
    return bytes;
  };
  for (const mark of ['', '\uFEFF']) {
    for (const text of ['{"custom_id":"a"}\n', '\n{"a":1}\r\n', 'custom_id,prompt\n', '[\n', ' \r\n', '1']) {
      const utf16 = Buffer.from(mark + text, 'utf16le');
      assert.match(reasonOf(utf16), /is UTF-16, and must be plain text in UTF-8/, text);
      assert.match(reasonOf(swapped(utf16)), /is UTF-16, and must be/, text);
      assert.match(reasonOf(wide(mark + text)), /is UTF-32, and must be/, text);
      assert.match(reasonOf(wide(mark + text).swap32()), /is UTF-32, and must be/, text);
    }
  }
  assert.match(reasonOf(Buffer.from('\uFEFF', 'utf16le')), /UTF-16/, 'an empty one');
  assert.match(reasonOf(Buffer.from('名前,prompt\n', 'utf16le')), /UTF-16/, 'no ASCII at its beginning');
});

test('what only the batch can report with its line number passes, and a file of blank lines', () => {
  assert.equal(judge(`{"a":"${'x'.repeat(2 * 1024 * 1024)}"}\n`, 65_536), null);
  assert.equal(judge(Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff]), Buffer.from('"}\n')])), null);
  assert.equal(judge(`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}\n`, 65_536), null);
  assert.equal(judge('\n\n'), null);
  assert.equal(judge('\uFEFF'), null);
});
