import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runAtOnce } from '../text/slices.ts';
import { noJsonReason } from './no-json.ts';

test('the usual mistakes have words of their own', () => {
  const cases: readonly [RegExp | null, ...string[]][] = [
    [/must not end with a comma/, '{"a":1},', ' {"a":[1,2]} , \r', '1,', '[1],'],
    [/must not begin with a comma/, ',{"a":1}'],
    [/JSON array/, '[', '[ {"a":1},', '[{"a":', '  [\r'],
    [/looks like CSV/, 'custom_id,body', '"custom_id","body"', 'id;text', 'id\ttext', 'a-1,POST,"{""x"":1}"', '1,2,3'],
    [/UTF-8/, '{\0"\0', '\0{', 'a\0,\0'],
    [
      null,
      '{"a":',
      '{',
      'not json',
      "{'a': 1, 'b': 2}",
      '<html><a href="x,y">',
      '',
      '{"a":1},{"b":2}',
      '},',
      '"custom_id": "a",',
      '"a": "b, c"',
    ],
  ];
  for (const [reason, ...texts] of cases) {
    for (const text of texts) {
      if (reason === null) assert.equal(runAtOnce(noJsonReason(text)), null, text);
      else assert.match(runAtOnce(noJsonReason(text)) ?? '', reason, text);
    }
  }
});
