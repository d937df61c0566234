import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readRange } from './range.ts';

test('one range of bytes is understood, all else means the whole', () => {
  const part = (start: number, end: number) => ({ kind: 'part', start, end });
  const cases: [string | undefined, unknown][] = [
    [undefined, { kind: 'whole' }],
    ['bytes=0-0', part(0, 1)],
    ['bytes=2-5', part(2, 6)],
    ['bytes=2-', part(2, 10)],
    ['bytes=2-100', part(2, 10)],
    ['bytes=-3', part(7, 10)],
    ['bytes=-100', part(0, 10)],
    ['bytes=10-', { kind: 'unsatisfiable' }],
    ['bytes=99-100', { kind: 'unsatisfiable' }],
    ['bytes=-0', { kind: 'unsatisfiable' }],
    ['bytes=5-2', { kind: 'whole' }],
    ['bytes=0-1,4-5', { kind: 'whole' }],
    ['bytes=-', { kind: 'whole' }],
    ['lines=0-1', { kind: 'whole' }],
    ['bytes=0x1-2', { kind: 'whole' }],
  ];
  for (const [header, expected] of cases) assert.deepEqual(readRange(header, 10), expected, header);
  assert.deepEqual(readRange('bytes=0-', 0), { kind: 'unsatisfiable' });
  assert.deepEqual(readRange('bytes=-5', 0), { kind: 'unsatisfiable' });
});
