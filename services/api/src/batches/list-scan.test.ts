import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runAtOnce } from '@spillway/core';
import fc from 'fast-check';
import { ListScan, type ScannedList } from './list-scan.ts';

const scan = (text: string, limits = { items: 1_000, values: 100_000, others: 100_000 }): ScannedList =>
  runAtOnce(new ListScan(text, 'requests', limits).run());

/** What a reader makes of the text: the items one by one, and the rest. */
function readApart(text: string): unknown {
  const scanned = scan(text);
  assert.equal(scanned.kind, 'scanned');
  if (scanned.list === null) return JSON.parse(text);
  const { from, to, items } = scanned.list;
  const rest = JSON.parse(`${text.slice(0, from)}[]${text.slice(to)}`) as object;
  return { ...rest, requests: items.map((item) => JSON.parse(text.slice(item.from, item.to)) as unknown) };
}

/** JSON with blanks wherever there may be some, and keys written with escapes. */
const spaced = (value: unknown): string => JSON.stringify(value, null, ' \t\n');
const key = fc.oneof(fc.constantFrom('requests', '"requests":[', 'a\\', '{', '__proto__'), fc.string());
const long = fc.string({ unit: fc.constantFrom('a', '\\', '"', '🙂'), minLength: 60, maxLength: 300 });
const item = fc.oneof(
  long,
  fc.jsonValue(),
  fc.dictionary(key, fc.jsonValue()),
  fc.record({ requests: fc.array(fc.jsonValue()) }),
);
const body = fc.oneof(
  fc.record({ endpoint: fc.string(), requests: fc.array(item), metadata: fc.dictionary(key, fc.jsonValue()) }),
  fc.dictionary(
    key.filter((name) => name !== 'requests'),
    item,
  ),
  fc.array(item),
);

test('the items and the rest are together what the whole says', () => {
  fc.assert(
    fc.property(body, fc.boolean(), (value, isSpaced) => {
      const text = isSpaced ? spaced(value) : JSON.stringify(value);
      assert.deepEqual(readApart(text), JSON.parse(text));
    }),
  );
});

test('a key is found however it is written, and only in the object itself', () => {
  const items = (text: string): number | null => {
    const scanned = scan(text);
    return scanned.kind === 'scanned' ? (scanned.list?.items.length ?? null) : assert.fail(scanned.kind);
  };
  assert.equal(items(String.raw`{"a":[1,2],"re\u0071uests" : [ {"x":[1,2,3]} , "]" ] }`), 2);
  assert.equal(items('{"requests":[ ]}'), 0);
  for (const none of [
    '{"requests":{"requests":[1]}}',
    '{"a":{"requests":[1]}}',
    '{"requests":"[1]"}',
    '["requests",[1]]',
    '',
  ])
    assert.equal(items(none), null, none);
});

test('what is too much, or given twice, is seen', () => {
  const of = (count: number): string => `{"requests":[${Array<string>(count).fill('{}').join(',')}]}`;
  assert.equal(scan(of(10), { items: 10, values: 100, others: 50 }).kind, 'scanned');
  assert.equal(scan(of(11), { items: 10, values: 100, others: 50 }).kind, 'too_many_items');
  assert.equal(scan(of(60), { items: 1_000, values: 100, others: 50 }).kind, 'too_many_values');
  assert.equal(scan(`{"a":[[[${'[],'.repeat(200)}`, { items: 10, values: 100, others: 50 }).kind, 'too_many_values');
  const beside = (count: number): string => `{"requests":[1,2],"a":[${Array<string>(count).fill('1').join(',')}]}`;
  assert.equal(scan(beside(40), { items: 10, values: 100, others: 50 }).kind, 'scanned');
  assert.equal(scan(beside(60), { items: 10, values: 100, others: 50 }).kind, 'too_many_values');
  assert.equal(scan('{"requests":[1],"requests":[2]}').kind, 'twice');
});

test('whatever the text is, it is looked at once and in slices', () => {
  const stops = (text: string): number => {
    let count = 0;
    for (
      const work = new ListScan(text, 'requests', { items: 1e9, values: 1e9, others: 1e9 }).run();
      work.next().done !== true;
    )
      count += 1;
    return count;
  };
  for (const unit of ['{},', '[', '"', '\\', '"a":', ',', ']', '{"requests":[', 'x', '"\\"', '"requests":[']) {
    const [one, four] = [200_000, 800_000].map((length) => stops(unit.repeat(Math.ceil(length / unit.length))));
    assert.ok(one !== undefined && four !== undefined && four <= 4 * one + 4 && four >= 40, `${unit}: ${one}, ${four}`);
  }
});

test('no text makes it fail', () => {
  const marks = fc.array(fc.constantFrom('{', '}', '[', ']', ',', ':', '"', '\\', 'requests', '"requests"', ' ', '1'));
  fc.assert(
    fc.property(marks, (parts) => {
      assert.ok(scan(parts.join('')).kind !== undefined);
    }),
  );
});
