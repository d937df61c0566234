import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parsePrompt, renderPrompt } from '@spillway/core/prompt';
import { checkPrompt, plainPrompt } from './prompt.ts';

const render = (text: string, row: Readonly<Record<string, unknown>>): string => renderPrompt(parsePrompt(text), row);

test('columns go where the prompt says; what they hold is no placeholder', () => {
  assert.equal(render('Sum of {{ a }} and {{b c}}.', { a: 1, 'b c': '{{a}}' }), 'Sum of 1 and {{a}}.');
  assert.equal(render(String.raw`\{{a}} is {{a}}`, { a: 'x' }), '{{a}} is x');
  assert.equal(render('{{a}}{{a}}', { a: null }), '');
  assert.equal(render('{{a}}', { a: { deep: [1, true] } }), '{"deep":[1,true]}');
  assert.equal(render('open {{ only', {}), 'open {{ only');
  assert.equal(render('{{__proto__}}{{constructor}}', {}), '');
});

test('a placeholder that is no column is named, with those that there are', () => {
  assert.throws(
    () => checkPrompt(parsePrompt('{{totl}}'), ['id', 'total'], 'a.csv'),
    /asks for \{\{totl\}\}, and a\.csv has no such column: there are \{\{id\}\}, \{\{total\}\}/,
  );
  checkPrompt(parsePrompt('{{total}}'), ['id', 'total'], 'a.csv');
  assert.throws(() => plainPrompt(['a', 'b'], 'a.csv'), /several columns: say with --prompt/);
  assert.deepEqual(plainPrompt(['a b'], 'a.csv').names, ['a b']);
  assert.deepEqual(plainPrompt(['a', 'text'], 'a.csv').names, ['text']);
});

test('whatever a row holds comes into the prompt as it is, and the text around it stays', () => {
  const plain = fc.string().filter((text) => !text.includes('{') && !text.includes('}') && !text.endsWith('\\'));
  fc.assert(
    fc.property(plain, fc.string(), plain, fc.string(), plain, (before, one, between, other, after) => {
      assert.equal(
        render(`${before}{{one}}${between}{{other}}${after}`, { one, other }),
        `${before}${one}${between}${other}${after}`,
      );
    }),
  );
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('{', '}', '\\', 'a', ' ') }), (text) => void parsePrompt(text)),
  );
});
