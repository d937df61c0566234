import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { loadTokenizer } from '../engine/tokenizer.ts';
import type { Piece } from './text-assembler.ts';
import { TextAssembler, endsInsideCharacter } from './text-assembler.ts';

const tokenizer = loadTokenizer(new URL('../../weights/tokenizer.json', import.meta.url));

function assemble(text: string, stops: readonly string[]): Piece[] {
  const assembler = new TextAssembler(tokenizer, stops);
  const pieces = tokenizer.encode(text).map((token) => assembler.push({ token, logprob: 0, top: [] }));
  return [...pieces, assembler.finish()];
}

test('pieces put together are the text, none ends inside a character, and tokens have its bytes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const pieces = assemble(text, []);
      assert.equal(pieces.map((piece) => piece.text).join(''), text);
      for (const piece of pieces) {
        const bytes = Buffer.concat(piece.tokens.map((token) => token.bytes));
        assert.equal(bytes.toString('utf8'), piece.text);
        assert.equal(endsInsideCharacter(bytes), false);
      }
    }),
  );
});

test('the text ends before a stop string, wherever the tokens are cut', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', 'b', 'ü') }), (text) => {
      const pieces = assemble(text, ['aba', 'üü']);
      const expected = text.split(/aba|üü/u)[0] ?? '';
      const first = pieces.map((piece) => piece.text).join('');
      // Tokens after a stop string would not be generated; a held piece is cut at the first one.
      assert.ok(first.startsWith(expected));
      if (!text.includes('aba') && !text.includes('üü')) assert.equal(first, text);
    }),
  );
});
