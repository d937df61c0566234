import assert from 'node:assert/strict';
import { test } from 'node:test';
import { breakOf } from './transport-error.ts';

const failure = (message: string, more: object): Error => Object.assign(new Error(message), more);
const refused = failure('connect ECONNREFUSED ::1:8000', { code: 'ECONNREFUSED', syscall: 'connect' });

test('what broke is said without the address that it broke at, which the cause has', () => {
  const cases: readonly [Error, string][] = [
    [refused, 'connect ECONNREFUSED'],
    [Object.assign(new AggregateError([refused], ''), { code: 'ECONNREFUSED' }), 'connect ECONNREFUSED'],
    [failure('read ECONNRESET', { code: 'ECONNRESET', syscall: 'read' }), 'read ECONNRESET'],
    [
      failure('getaddrinfo ENOTFOUND vllm.prod.internal', { code: 'ENOTFOUND', syscall: 'getaddrinfo' }),
      'getaddrinfo ENOTFOUND',
    ],
    [
      failure('Connect Timeout Error (attempted address: vllm:8000)', { code: 'UND_ERR_CONNECT_TIMEOUT' }),
      'no connection in time (UND_ERR_CONNECT_TIMEOUT)',
    ],
    [
      failure("Host: vllm.internal. is not in the cert's altnames", { code: 'ERR_TLS_CERT_ALTNAME_INVALID' }),
      'the connection failed (ERR_TLS_CERT_ALTNAME_INVALID)',
    ],
    [failure('vllm:8000', {}), 'the connection failed'],
  ];
  for (const [error, message] of cases) {
    const broken = breakOf(error, { isStarted: false, isOneWrite: true, status: null });
    assert.deepEqual([broken.at, broken.message, broken.cause], ['unsent', message, error]);
  }
});

test('a call that a connection took nothing of is unsent, as where there was none', () => {
  const started = { isStarted: true, isOneWrite: true, status: null };
  const written = ['ECONNRESET', 'EPIPE'].map((code) => failure(`write ${code}`, { code, syscall: 'write' }));
  for (const error of written) {
    assert.equal(breakOf(error, started).at, 'unsent');
    assert.equal(breakOf(error, { ...started, isOneWrite: false }).at, 'sent', 'some of it may have gone before');
    assert.equal(breakOf(error, { ...started, status: 413 }).at, 'sent', 'it was answered');
  }
  const read = failure('read ECONNRESET', { code: 'ECONNRESET', syscall: 'read' });
  for (const error of [read, failure('other side closed', { code: 'UND_ERR_SOCKET' })]) {
    assert.equal(breakOf(error, started).at, 'sent');
  }
});
