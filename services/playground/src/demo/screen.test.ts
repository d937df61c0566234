import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Screen } from './screen.ts';

test('elsewhere than on a terminal progress is a line every two seconds', () => {
  let now = 0;
  let text = '';
  const screen = new Screen({ write: (more) => (text += more) }, () => now);
  for (; now <= 4_000; now += 500) screen.progress('[#-]', `at ${now}`);
  screen.line('done');
  assert.equal(text, '  at 0\n  at 2000\n  at 4000\ndone\n');
});

test('on a terminal progress is written over, and cut to its width', () => {
  let text = '';
  const screen = new Screen({ isTTY: true, columns: 12, write: (more) => (text += more) });
  screen.progress('[#-]', 'one and more');
  screen.progress('[##]', 'two');
  screen.line('done');
  screen.line('again');
  assert.equal(text, '\r  [#-] one \u001B[K\r  [##] two\u001B[K\r\u001B[Kdone\nagain\n');
});
