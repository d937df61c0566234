import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasSeveralHosts, hostName, isLoopback, isNamedOnPurpose } from './host-name.ts';

test('a key is needed where others than this machine can reach the API', () => {
  for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost']) assert.ok(isLoopback(host), host);
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'api.example', '', '127.0.0.1.evil.example', '::ffff:127.0.0.1'])
    assert.ok(!isLoopback(host), host);
});

test('what needs no key is asked by an address, by a name of this machine or the cluster, or by an allowed one', () => {
  const allowed = ['spillway-1.prod.example'];
  const own = ['127.0.0.1:9464', '10.1.2.3', '[::1]:9464', '[fd00::7]', 'localhost', 'LOCALHOST:1', 'localhost.'];
  const named = ['api-internal.spillway.svc:9464', 'a.b.svc.cluster.local', 'spillway-1.prod.example:9464'];
  for (const host of [...own, ...named]) assert.ok(isNamedOnPurpose(host, allowed), host);
  const foreign = [
    'evil.example',
    '127.0.0.1.evil.example:9464',
    'svc',
    'evil.svc.example',
    'api',
    'localhost.evil.example',
  ];
  for (const host of [...foreign, '', ':', '127.0.0.1@evil.example', 'prod.example', 'x spillway-1.prod.example'])
    assert.ok(!isNamedOnPurpose(host, allowed), host);
});

test('a name is read without port and brackets', () => {
  assert.equal(hostName('http://[::1]:80'), '::1');
  assert.equal(hostName('https://Console.Example:444'), 'console.example');
  assert.equal(hostName('null'), '');
});

test('a second Host header is seen, however it is written', () => {
  assert.ok(hasSeveralHosts(['Host', 'a', 'X', 'host', 'hOST', 'a']));
  assert.ok(!hasSeveralHosts(['Host', 'host', 'X-Forwarded-Host', 'b']));
});
