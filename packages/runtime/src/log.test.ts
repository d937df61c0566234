import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openLog } from './log.ts';

/** What `err` of a log line holds. */
function logged(thrown: unknown): { line: string; err: Record<string, unknown> } {
  let line = '';
  openLog('test', 'debug', { write: (text) => void (line += text) }).debug({ err: thrown }, 'it happened');
  return { line, err: (JSON.parse(line) as { err: Record<string, unknown> }).err };
}

test('an error is logged with its causes, without what a library hangs on it', () => {
  const command = { name: 'auth', args: ['user', 'secret'] };
  const cause = Object.assign(new Error('no answer'), { command, code: 'ECONNRESET' });
  const error = Object.assign(new TypeError('failed', { cause }), { command, code: 'E_FAILED', request: { command } });
  const { line, err } = logged(error);
  assert.doesNotMatch(line, /secret/);
  assert.deepEqual(Object.keys(err), ['type', 'message', 'stack', 'code']);
  assert.deepEqual([err['type'], err['message'], err['code']], ['TypeError', 'failed: no answer', 'E_FAILED']);
  assert.match(String(err['stack']), /log\.test\.ts[\s\S]+caused by: Error: no answer/);
});

test('each error of a bundle is logged so; what is no error is named', () => {
  const one = Object.assign(new Error('refused'), { code: 'ECONNREFUSED', args: ['secret'] });
  const { line, err } = logged(new AggregateError([one], ''));
  assert.doesNotMatch(line, /secret/);
  const [inner] = err['errors'] as Record<string, unknown>[];
  assert.deepEqual([inner?.['message'], inner?.['code']], ['refused', 'ECONNREFUSED']);
  assert.deepEqual(logged('text').err, { type: 'string', message: 'text' });
});

test('half of a character in a field or a message leaves a line that strict readers take', () => {
  let line = '';
  const log = openLog('test', 'debug', { write: (text) => void (line += text) });
  log.info({ said: 'cut \ud83d', nested: { '\ude00': 1 } }, 'from \ud83d');
  assert.doesNotMatch(line, /\\ud/);
  const { said, nested, msg } = JSON.parse(line) as Record<string, unknown>;
  assert.deepEqual([said, nested, msg], ['cut \ufffd', { '\ufffd': 1 }, 'from \ufffd']);
});
