import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readAddress } from './settings.ts';

const home = mkdtempSync(join(tmpdir(), 'spillway-settings-'));
after(() => rmSync(home, { recursive: true, force: true }));

const written = (text: string) => {
  mkdirSync(join(home, 'spillway'), { recursive: true });
  writeFileSync(join(home, 'spillway', 'config.json'), text);
};

test("the environment comes before the file, and the file's key goes to the file's address only", () => {
  assert.deepEqual(readAddress({ XDG_CONFIG_HOME: home }), { url: 'http://127.0.0.1:8080', key: null });
  written('{"url": "https://spillway.example/v1/", "api_key": "sk-file"}');
  assert.deepEqual(readAddress({ XDG_CONFIG_HOME: home }), { url: 'https://spillway.example', key: 'sk-file' });
  assert.deepEqual(readAddress({ XDG_CONFIG_HOME: home, SPILLWAY_URL: 'https://spillway.example' }).key, 'sk-file');
  assert.deepEqual(readAddress({ XDG_CONFIG_HOME: home, SPILLWAY_URL: 'http://other' }), {
    url: 'http://other',
    key: null,
  });
  assert.deepEqual(readAddress({ XDG_CONFIG_HOME: home, SPILLWAY_API_KEY: 'sk-env' }), {
    url: 'https://spillway.example',
    key: 'sk-env',
  });
});

test('a wrong file or address is one line that does not tell the key', () => {
  written('{"url": "https://spillway.example", "key": "sk-secret"}');
  assert.throws(
    () => readAddress({ XDG_CONFIG_HOME: home }),
    (error: Error) => /config\.json: expected \{"url"/.test(error.message) && !error.message.includes('sk-secret'),
  );
  assert.throws(
    () => readAddress({ SPILLWAY_URL: 'localhost:8080', SPILLWAY_API_KEY: 'x' }),
    /expected the API's address/,
  );
});
