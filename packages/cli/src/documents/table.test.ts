import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { columnNames, delimiterOf } from './table.ts';

test('what separates the cells of a header is found, outside quotes', () => {
  for (const [header, delimiter] of [
    ['a,b,c\n1;2;3;4', ','],
    ['a;b,c;d\n', ';'],
    ['a\tb\tc', '\t'],
    ['"a,b,c,d";e\n', ';'],
    ['"line\none,two";b;c', ';'],
    ['a|b\r\n', '|'],
    ['only', ','],
    ['', ','],
  ] as const) {
    assert.equal(delimiterOf(header), delimiter, header);
  }
});

test('every column has a name of its own', () => {
  assert.deepEqual(columnNames(['a', ' a ', '', 'a', '__proto__']), ['a', 'a_2', 'column_3', 'a_3', '__proto__']);
  assert.deepEqual(columnNames(['a', 'a_2', 'a']), ['a', 'a_2', 'a_3']);
  fc.assert(
    fc.property(fc.array(fc.constantFrom('', ' ', 'a', 'b', 'a_2', 'column_1')), (header) => {
      const names = columnNames(header);
      assert.equal(new Set(names).size, header.length);
      assert.ok(names.every((name) => name !== ''));
    }),
  );
});
