import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { SetupError } from '@spillway/runtime';
import { readConfig } from './config.ts';

const YAML = `
models:
  small: { base_url: http://127.0.0.1:9001/v1, model: s }
  large: { base_url: http://127.0.0.1:9002/v1, model: l }
cascades:
  invoices: { drafter: small, expert: large, accept_at: 0.9 }
`;

function fileOf(t: TestContext, text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'spillway-config-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'spillway.yaml');
  writeFileSync(path, text);
  return path;
}

function problemsOf(env: Record<string, string>): string {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof SetupError) return error.message;
  }
  return assert.fail('was accepted');
}

test('the address of Jaeger is that of a page', (t) => {
  const env = { SPILLWAY_CONFIG: fileOf(t, YAML), SPILLWAY_DATA_DIR: '/var/lib/spillway' };
  assert.equal(readConfig(env).jaegerUrl, null);
  assert.equal(readConfig({ ...env, JAEGER_UI_URL: 'http://jaeger:16686/ui/' }).jaegerUrl, 'http://jaeger:16686/ui');
  for (const wrong of ['jaeger:16686', 'javascript:alert(1)', 'http://a:b@jaeger']) {
    assert.match(problemsOf({ ...env, JAEGER_UI_URL: wrong }), /JAEGER_UI_URL: expected an address such as/);
  }
});

test('what is not set has its default', (t) => {
  const config = readConfig({ SPILLWAY_CONFIG: fileOf(t, YAML), SPILLWAY_DATA_DIR: '/var/lib/spill way' });
  assert.equal(config.host, '127.0.0.1');
  assert.equal(config.port, 8080);
  assert.equal(config.redisUrl, 'redis://127.0.0.1:6379');
  assert.equal(config.namespace, 'spillway');
  assert.equal(config.storageAddress, 'file:///var/lib/spill%20way');
  assert.equal(config.keyFile, null);
  assert.equal(config.limits.uploadBytes, 1024 ** 3);
  assert.deepEqual(Object.keys(config.configuration.cascades), ['invoices']);
});

test('everything that is wrong is in one error', (t) => {
  const path = fileOf(t, YAML.replace('expert: large', 'expert: huge').replace('0.9', '9'));
  const said = problemsOf({ SPILLWAY_CONFIG: path, PORT: 'web', HOST: '0.0.0.0', SPILLWAY_MAX_UPLOAD_BYTES: '-1' });
  assert.match(said, /^6 problems:/);
  assert.match(said, /HOST: without keys the API listens on loopback only, got "0.0.0.0".*set SPILLWAY_API_KEYS/);
  assert.match(said, /PORT: expected a whole number from 0 to 65535, got "web"/);
  assert.match(said, /SPILLWAY_MAX_UPLOAD_BYTES: expected/);
  assert.match(said, /SPILLWAY_DATA_DIR or SPILLWAY_STORAGE: expected one of them/);
  for (const place of ['accept_at', 'expert']) assert.ok(said.includes(`${path}: cascades.invoices.${place}: `), said);
});

test('a cascade that names an unknown model is refused with its place', (t) => {
  const path = fileOf(t, YAML.replace('expert: large', 'expert: huge'));
  const said = problemsOf({ SPILLWAY_CONFIG: path, SPILLWAY_STORAGE: 's3://bucket/prefix' });
  assert.match(said, /^\/.*: cascades\.invoices\.expert: .*one of models \(small, large\), got "huge"$/);
});

test('a missing configuration is one line', () => {
  const rest = { SPILLWAY_DATA_DIR: '/tmp' };
  assert.match(problemsOf(rest), /^SPILLWAY_CONFIG: expected the path/);
  assert.match(
    problemsOf({ ...rest, SPILLWAY_CONFIG: '/nowhere.yaml' }),
    /^SPILLWAY_CONFIG: cannot read \/nowhere.yaml \(ENOENT\)$/,
  );
  const twice = { SPILLWAY_DATA_DIR: '/tmp', SPILLWAY_STORAGE: 'file:///tmp' };
  assert.match(problemsOf(twice), /expected one of them/);
});

test('a key that no header can hold is refused, and not shown', (t) => {
  const path = fileOf(t, YAML.replace('model: s }', 'model: s, api_key_env: SMALL_KEY }'));
  const env = { SPILLWAY_CONFIG: path, SPILLWAY_STORAGE: 's3://bucket' };
  for (const key of ['sk-secret\n', 'sk-secrét\u2028', 'sk-\u0000secret']) {
    const said = problemsOf({ ...env, SMALL_KEY: key });
    assert.equal(said, 'SMALL_KEY: expected no line break and no character that an HTTP header cannot hold');
  }
  assert.deepEqual(
    readConfig({ ...env, SMALL_KEY: 'sk-sécret' }).models.map(({ apiKey }) => apiKey),
    ['sk-sécret', null],
  );
});
