import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { System } from '../support/system.ts';

const script = fileURLToPath(new URL('../../packages/cli/src/trace/main.ts', import.meta.url));

type Run = { readonly code: number; readonly stdout: string; readonly stderr: string };

/** Runs the command as a user does. */
function trace(url: string, ...args: readonly string[]): Promise<Run> {
  const { promise, resolve } = Promise.withResolvers<Run>();
  const { PATH = '' } = process.env;
  execFile(process.execPath, [script, ...args], { env: { PATH, SPILLWAY_URL: url } }, (error, stdout, stderr) =>
    resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
  );
  return promise;
}

test('one document followed in the terminal; and what is told of one that is not there', async () => {
  await using system = await System.start();
  const url = system.client.baseURL.replace(/\/v1$/, '');
  const { id } = await system.submit(['a', '[[drafter unsure]] b', '[[drafter unsure]] [[expert 400]] c']);
  const early = await trace(url, id, 'doc-1');
  await system.settled(id);
  const escalated = await trace(url, id, 'doc-1');
  assert.equal(escalated.code, 0, escalated.stderr);
  for (const part of [
    'queue.wait drafter',
    'draft small',
    'hand-over',
    'queue.wait expert',
    'expert large',
    'sequential wait:',
  ]) {
    assert.ok(escalated.stdout.includes(part), part);
  }
  assert.match((await trace(url, id, 'doc-2')).stdout, /low_confidence.*status 400/);
  assert.match((await trace(url, id, 'doc-0')).stdout, /accepted from small/);
  if (early.code === 1) assert.match(early.stderr, /no result in storage yet/);
  for (const [args, message] of [
    [[id, 'nobody'], /has no document with the custom_id nobody/],
    [['batch_none', 'a'], /No batch found/],
    [[id], /npm run trace -- <batch id> <custom_id>/],
  ] as const) {
    const { code, stderr } = await trace(url, ...args);
    assert.equal(code, 1);
    assert.match(stderr, message);
    assert.equal(stderr.trim().split('\n').length, 1);
  }
  assert.match((await trace('http://127.0.0.1:1', id, 'a')).stderr, /Nothing answers at http:\/\/127\.0\.0\.1:1/);
});
