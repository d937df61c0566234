import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addKey, listKeys, removeKeys } from './edit.ts';
import { findKey, formatKeys, hashKey, keyOf, parseKeys } from './file.ts';

const entry = (tenant: string, key: string) => ({ tenant, role: 'tenant' as const, sha256: hashKey(key) });

test('a key file names each broken line', () => {
  const text = [
    JSON.stringify(entry('acme', 'one')),
    '',
    'not json',
    JSON.stringify({ ...entry('acme', 'two'), tenant: '../acme' }),
    JSON.stringify({ ...entry('acme', 'three'), role: 'root' }),
    JSON.stringify({ ...entry('acme', 'four'), sha256: 'four' }),
    JSON.stringify(entry('other', 'one')),
    JSON.stringify(entry('.hidden', 'five')),
    JSON.stringify({ ...entry('a', 'six'), limits: { open_batches: -1 } }),
    JSON.stringify({ ...entry('a', 'seven'), limits: { batches: 1 } }),
    JSON.stringify({ ...entry('a', 'eight'), limits: 5 }),
  ].join('\n');
  const { entries, problems } = parseKeys(text);
  assert.deepEqual(entries, [entry('acme', 'one')]);
  assert.deepEqual(problems, [
    'line 3: expected a JSON object',
    'line 4: tenant: expected 1 to 64 letters, digits, ".", "_" and "-", not beginning with "."',
    'line 5: role: expected "tenant" or "admin"',
    'line 6: sha256: expected 64 lowercase hex digits',
    'line 7: the same key as in line 1',
    'line 8: tenant: expected 1 to 64 letters, digits, ".", "_" and "-", not beginning with "."',
    'line 9: limits.open_batches: expected a whole number from 0',
    'line 10: limits.batches: expected one of open_batches, queued_documents, stored_bytes',
    'line 11: limits: expected open_batches, queued_documents, stored_bytes',
  ]);
});

test('a key finds its tenant, nothing else does', () => {
  const entries = [entry('a', 'key-a'), entry('b', 'key-b')];
  assert.equal(findKey(entries, 'key-b')?.tenant, 'b');
  assert.equal(findKey(entries, 'key-c'), null);
  assert.equal(findKey(entries, hashKey('key-a')), null);
  assert.equal(findKey([], ''), null);
});

test('new keys differ and are hard to guess', () => {
  assert.match(keyOf(new Uint8Array(32)), /^sk-spillway-[A-Za-z0-9_-]{43}$/);
});

test('keys are added, listed and removed; the file never holds a key itself', () => {
  const one = addKey('', { tenant: 'acme', role: 'admin', sha256: hashKey('one') });
  const two = addKey(one.text, { tenant: 'beta', role: 'tenant', sha256: hashKey('two') });
  assert.deepEqual(
    parseKeys(two.text).entries.map(({ tenant, role }) => `${tenant} ${role}`),
    ['acme admin', 'beta tenant'],
  );
  assert.equal(
    listKeys(two.text),
    `${hashKey('one').slice(0, 12)}  admin   acme\n${hashKey('two').slice(0, 12)}  tenant  beta\n`,
  );
  assert.equal(removeKeys(two.text, { tenant: 'acme', hash: undefined }).text, formatKeys([entry('beta', 'two')]));
  assert.equal(removeKeys(two.text, { tenant: undefined, hash: hashKey('two').slice(0, 12) }).text, one.text);
});

test('a key may come with limits', () => {
  const limits = { open_batches: '3', queued_documents: undefined, stored_bytes: '0' };
  const { text } = addKey('', { tenant: 'acme', role: 'tenant', sha256: hashKey('one'), limits });
  assert.deepEqual(parseKeys(text).entries[0]?.limits, { open_batches: 3, stored_bytes: 0 });
  assert.match(listKeys(text), /acme {2}open_batches 3 {2}stored_bytes 0\n$/);
  const wrong = { tenant: 'acme', role: 'tenant', sha256: hashKey('one'), limits: { open_batches: 'many' } };
  assert.throws(() => addKey('', wrong), /--open-batches: expected a whole number/);
});

test('what makes no sense is refused', () => {
  const sha256 = hashKey('one');
  assert.throws(() => addKey('', { tenant: undefined, role: 'tenant', sha256 }), /--tenant: expected 1 to 64/);
  assert.throws(() => addKey('', { tenant: 'a/b', role: 'tenant', sha256 }), /--tenant/);
  assert.throws(() => addKey('', { tenant: 'a', role: 'root', sha256 }), /--role: expected one of tenant, admin/);
  assert.throws(() => addKey('broken\n', { tenant: 'a', role: 'tenant', sha256 }), /line 1/);
  assert.throws(() => removeKeys('', { tenant: 'a', hash: 'b' }), /either --tenant NAME/);
  assert.throws(() => removeKeys('', { tenant: 'a', hash: undefined }), /no such key/);
  assert.throws(() => removeKeys('', { tenant: undefined, hash: 'ab' }), /at least the 12 digits/);
});
