import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress, shownAddress } from './address.ts';

test('addresses of one server', () => {
  const at = (address: string) => parseAddress(address);
  const single = (options: object) => ({ kind: 'single', options });
  assert.deepEqual(at('redis://h1'), single({ host: 'h1', port: 6379, db: 0 }));
  assert.deepEqual(at('redis://h1:1/7'), single({ host: 'h1', port: 1, db: 7 }));
  assert.deepEqual(at('rediss://[::1]:2/'), single({ tls: {}, host: '::1', port: 2, db: 0 }));
  assert.deepEqual(at('redis://word@h1'), single({ password: 'word', host: 'h1', port: 6379, db: 0 }));
  const password = `a@b/c?d#e%f:g h+i`;
  assert.deepEqual(
    at(`redis://me:${encodeURIComponent(password)}@h1`),
    single({ username: 'me', password, host: 'h1', port: 6379, db: 0 }),
  );
});

test('addresses of Sentinels and of a Cluster; a + in a password is a +', () => {
  assert.deepEqual(parseAddress('rediss+sentinel://:p@h1,h2:9/main?sentinel_password=a+b%26&db=3'), {
    kind: 'single',
    options: {
      tls: {},
      password: 'p',
      sentinels: [
        { host: 'h1', port: 26_379 },
        { host: 'h2', port: 9 },
      ],
      name: 'main',
      sentinelPassword: 'a+b&',
      sentinelTLS: {},
      enableTLSForSentinelMode: true,
      db: 3,
    },
  });
  assert.deepEqual(parseAddress('redis+cluster://:p@h1,h2:9'), {
    kind: 'cluster',
    nodes: [
      { host: 'h1', port: 6379 },
      { host: 'h2', port: 9 },
    ],
    options: { password: 'p' },
  });
});

test('wrong addresses are told in one line that shows nothing of them', () => {
  const encoded = /expected the user and the password percent-encoded \(@ as %40/;
  const wrong = {
    'redis+sentinel://:secret@h1,h2': /needs the name of the master/,
    'redis+sentinel://:secret@h1/secret/3': /a database number stands after it: \?db=1/,
    'redis+sentinel://:secret@h1/main?secret=1': /expected only sentinel_username, .* after "\?"/,
    'redis+sentinel://:secret@h1/main?sentinel_password=secret%zz': /expected what stands after "\?" percent-encoded/,
    'redis+sentinel://:secret@h1/main?db=secret': /expected a database number/,
    'redis+cluster://:secret@h1/2': /a Cluster has no database numbers/,
    'redis://:secret@h1,h2': /expected one host/,
    'redis://:secret@h1/secret': /expected a database number/,
    'redis://:secret@h1?secret': /expected nothing after "\?"/,
    'http://:secret@h1': /expected redis:\/\/host/,
    'redis://:secret%zz@h1': encoded,
    'redis://:sec/secret@h1': encoded,
    'redis://:sec@secret@h1': encoded,
    'redis://:sec?secret@h1': encoded,
    'redis://:sec#secret@h1': encoded,
    'redis://:secret@h1:secret': /expected redis:\/\/host/,
    'redis://:secret@h1:70000': /expected redis:\/\/host/,
    'redis://:secret@': /expected redis:\/\/host/,
    'redis://:secret@h1\n': /expected no spaces and no line breaks/,
    'redis://:sec secret@h1': /expected no spaces and no line breaks/,
  };
  for (const [address, told] of Object.entries(wrong)) {
    assert.throws(
      () => parseAddress(address),
      (error: Error) => {
        assert.match(error.message, told, address);
        assert.doesNotMatch(error.message, /secret|\n/, address);
        return error.name === 'SetupError';
      },
    );
  }
});

test('an address is shown without what opens a door', () => {
  assert.equal(shownAddress('redis://me:p%40ss@h1:1/2'), 'redis://h1:1/2');
  assert.equal(shownAddress('rediss+sentinel://:p@h1,h2/main?sentinel_password=p'), 'rediss+sentinel://h1,h2/main');
});
