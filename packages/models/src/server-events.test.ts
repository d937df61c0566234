import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EventReader, type ServerEvent } from './server-events.ts';

function read(pieces: readonly string[], { ends = true } = {}): ServerEvent[] {
  const reader = new EventReader();
  const events = pieces.flatMap((piece) => [...reader.push(piece)]);
  return ends ? [...events, ...reader.end()] : events;
}

const data = (text: string, event: string | null = null): ServerEvent => ({ event, data: text });

test('lines of data, names, comments, and fields without a colon or a space', () => {
  assert.deepEqual(read(['data: a\n\n']), [data('a')]);
  assert.deepEqual(read(['event: x\ndata: a\n\ndata: b\n\n']), [data('a', 'x'), data('b')]);
  assert.deepEqual(read(['data: a\ndata:b\ndata\ndata:  c\n\n']), [data('a\nb\n\n c')]);
  assert.deepEqual(read([': hello\n\nid: 1\nretry: 5\ndata: a: b\n\n']), [data('a: b')]);
  assert.deepEqual(read(['event: ping\n\ndata\n\ndata:\n\ndata: a\n\n']), [data('a')]);
});

test('an event that nothing ends is given at the end only', () => {
  assert.deepEqual(read(['data: a\n\ndata: b'], { ends: false }), [data('a')]);
  assert.deepEqual(read(['data: a\n\ndata: b']), [data('a'), data('b')]);
  assert.deepEqual(read(['data: a\n']), [data('a')]);
  assert.deepEqual(read([]), []);
});

test('a return at the end of a piece ends its line at once, and the newline after it ends nothing more', () => {
  assert.deepEqual(read(['data: a\r', '\r'], { ends: false }), [data('a')]);
  assert.deepEqual(read(['data: a\r', '\ndata: b\r', '\n\r', '\n'], { ends: false }), [data('a\nb')]);
  assert.deepEqual(read(['data: a\r', '', '\n\r\n'], { ends: false }), [data('a')]);
});

test('whatever is written is read, with any line ends and cut anywhere', () => {
  const line = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll(/[\r\n]/g, ''));
  const event = fc.record({ event: fc.option(line), lines: fc.array(line, { minLength: 1 }) });
  const end = fc.constantFrom('\n', '\r\n', '\r');
  fc.assert(
    fc.property(fc.array(event), end, fc.array(fc.nat()), (events, newline, cuts) => {
      const text = events
        .map((one) =>
          [
            ...(one.event === null ? [] : [`event: ${one.event}`]),
            ...one.lines.map((own) => `data: ${own}`),
            ': a comment',
            '',
            '',
          ].join(newline),
        )
        .join('');
      const places = [0, ...cuts.map((cut) => cut % (text.length + 1)), text.length].toSorted((a, b) => a - b);
      const pieces = places.slice(1).map((to, at) => text.slice(places[at], to));
      const wanted = events
        .map((one) => ({ event: one.event, data: one.lines.join('\n') }))
        .filter((one) => one.data !== '');
      assert.deepEqual(read(pieces), wanted);
    }),
  );
});
