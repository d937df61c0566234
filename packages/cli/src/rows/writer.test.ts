import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { parquetReadObjects } from 'hyparquet';
import type { Format } from './format.ts';
import type { Row } from './row.ts';
import type { Sink } from './sink.ts';
import { openWriter } from './writer.ts';

/** What rows become. */
async function written(
  format: Format,
  columns: readonly string[],
  rows: readonly Row[],
  escapesFormulas = false,
): Promise<Buffer> {
  const pieces: Buffer[] = [];
  const sink: Sink = {
    write: (data) => {
      pieces.push(typeof data === 'string' ? Buffer.from(data) : Buffer.from(data));
      return Promise.resolve();
    },
    end: () => Promise.resolve(),
    abandon: () => Promise.resolve(),
  };
  const writer = await openWriter(format, sink, { columns, escapesFormulas });
  for (const row of rows) await writer.write(row);
  await writer.end();
  return Buffer.concat(pieces);
}

const COLUMNS = ['id', 'b', '__proto__'];
const rowOf = (cells: readonly unknown[]): Row => Object.fromEntries(COLUMNS.map((name, at) => [name, cells[at]]));

const hostile = fc.oneof(
  fc.string(),
  fc.string({ unit: fc.constantFrom('"', ',', ';', '\n', '\r', '\t', ' ', '=', '+', '@', 'a', 'é', '\uFEFF') }),
  fc.constantFrom('=1+1', '-2', '@SUM(A1)', "'quoted", 'a\r\nb', '"'),
);

test('texts that are written as CSV read back as they were, whatever they are', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.constant('x'), hostile, hostile), { minLength: 1 }), async (rows) => {
      const bytes = await written('csv', COLUMNS, rows.map(rowOf));
      assert.deepEqual(parse(bytes), [COLUMNS, ...rows]);
    }),
    { numRuns: 50 },
  );
});

test('formulas are made harmless where that is asked for only', async () => {
  const rows = [rowOf(['=1+1', '-2', 5])];
  assert.equal((await written('csv', COLUMNS, rows)).toString(), 'id,b,__proto__\n=1+1,-2,5\n');
  assert.equal((await written('csv', COLUMNS, rows, true)).toString(), "id,b,__proto__\n'=1+1,'-2,5\n");
});

test('values of one kind in a column keep it in Parquet; mixed ones are texts; no rows are a file as well', async () => {
  const read = async (rows: readonly (readonly unknown[])[]): Promise<unknown[]> => {
    const bytes = await written(
      'parquet',
      ['a', 'b', 'c', 'd'],
      rows.map(([a, b, c, d]) => ({ a, b, c, d })),
    );
    return await parquetReadObjects({ file: new Uint8Array(bytes).buffer });
  };
  const rows = [
    [1, 1.5, true, 'x'],
    [2, null, null, 7],
    [null, 3, false, { deep: [1] }],
  ];
  assert.deepEqual(
    (await read(rows)).map((row) => Object.values(row as object) as unknown[]),
    [
      [1n, 1.5, true, 'x'],
      [2n, null, null, '7'],
      [null, 3, false, '{"deep":[1]}'],
    ],
  );
  assert.deepEqual(await read([]), []);
  const many = Array.from({ length: 25_000 }, (_, at) => [at, at / 2, true, `text ${at}`]);
  const all = await read(many);
  assert.equal(all.length, 25_000);
  assert.deepEqual(all[24_999], { a: 24_999n, b: 12_499.5, c: true, d: 'text 24999' });
});

test('JSON lines have every column, with what it is', async () => {
  const text = (await written('jsonl', ['a', 'b'], [{ a: { deep: 1 } }])).toString();
  assert.equal(text, '{"a":{"deep":1},"b":null}\n');
});
