import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TokenLogprob } from '../endpoints/completion.ts';
import { fieldsOf } from './fields.ts';

const list = (...tokens: readonly string[]): TokenLogprob[] =>
  tokens.map((token, at) => ({ token, bytes: null, logprob: -at, top: [] }));

test('a field has its own tokens, also such as come without characters before its first one', () => {
  const tokens = list('{"a": "', '', '', '😀', '", "b":', ' 1', '', '}');
  const fields = fieldsOf('{"a": "😀", "b": 1}', tokens);
  assert.deepEqual(
    fields?.map(({ path, tokens: own }) => [path, own.map(({ logprob }) => -logprob)]),
    [
      ['/a', [1, 2, 3]],
      ['/b', [5]],
    ],
  );
});
