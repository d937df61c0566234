import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const CLIENT = fileURLToPath(new URL('client.ts', import.meta.url));

test('where a connection was made the methods of strings are as fast as before ioredis was loaded', async () => {
  const program = `
    const { connectRedis } = await import(${JSON.stringify(CLIENT)});
    const before = %HasFastProperties(String.prototype);
    connectRedis('redis://127.0.0.1:1', 'ask').disconnect();
    console.log(JSON.stringify({ before, after: %HasFastProperties(String.prototype) }));`;
  const args = ['--allow-natives-syntax', '--input-type=module', '--eval', program];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
  // Once ioredis or V8 leaves them as they are, `fast-strings.ts` can go.
  assert.deepEqual(JSON.parse(stdout), { before: false, after: true });
});
