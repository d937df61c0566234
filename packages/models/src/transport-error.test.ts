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
    const broken = breakOf(error, false, null);
    assert.deepEqual([broken.at, broken.message, broken.cause], ['unsent', message, error]);
  }
});
