import assert from 'node:assert/strict';
import { test } from 'node:test';
import { logView } from './log-view.ts';
import type { ProcessLine } from './process.ts';

const log = (level: string, fields: Record<string, unknown> = {}): ProcessLine => ({
  kind: 'log',
  service: 'api',
  level,
  message: 'm',
  fields,
});

function shown(level: string | undefined, ...lines: ProcessLine[]): string[] {
  const seen: string[] = [];
  const view = logView({ LOG_LEVEL: level }, (line) => seen.push(line));
  for (const line of lines) view(line);
  return seen;
}

test('warnings and errors are shown, more or fewer as LOG_LEVEL says', () => {
  const all = ['fatal', 'error', 'warn', 'info', 'debug'].map((level) => log(level));
  assert.equal(shown(undefined, ...all).length, 3);
  assert.equal(shown('info', ...all).length, 4);
  assert.equal(shown('silent', ...all).length, 0);
});

test('a line says what, why and the rest', () => {
  const line = log('warn', { err: { message: 'gone', stack: 'x' }, batch: 'b', n: 2, none: null });
  assert.deepEqual(shown('warn', line), ['api        warn  m: gone (batch=b, n=2)']);
  assert.deepEqual(shown('error', log('error', { error: 'Error: a\n  at b' })), ['api        error m: Error: a']);
});
