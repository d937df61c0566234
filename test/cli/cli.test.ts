import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startModelServer, type ModelRequest } from '../support/model-server.ts';
import { System } from '../support/system.ts';
import { plainEnv } from '../support/plain-env.ts';

const script = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));

type Run = { readonly code: number; readonly stdout: string; readonly stderr: string };

/** Runs the command as a user does. */
function trace(url: string, ...args: readonly string[]): Promise<Run> {
  const { promise, resolve } = Promise.withResolvers<Run>();
  execFile(
    process.execPath,
    [script, 'show', ...args],
    { env: { ...plainEnv(), SPILLWAY_URL: url } },
    (error, stdout, stderr) => resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
  );
  return promise;
}

test('one document followed in the terminal; and the message for one that is not there', async () => {
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
    'hand-off',
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
  ] as const) {
    const { code, stderr } = await trace(url, ...args);
    assert.equal(code, 1);
    assert.match(stderr, message);
    assert.equal(stderr.trim().split('\n').length, 1);
  }
  assert.match((await trace('http://127.0.0.1:1', id, 'a')).stderr, /Nothing answers at http:\/\/127\.0\.0\.1:1/);
});

test('a document of three stages: each with its wait, its call and its reason', async () => {
  const isHard = ({ body }: ModelRequest): boolean => JSON.stringify(body['messages']).includes('hard');
  await using medium = await startModelServer({
    answer: (request) => ({ kind: 'completion', logprobs: isHard(request) ? -2 : -0.01 }),
  });
  await using system = await System.start({
    moreModels: `  medium: { base_url: "${medium.baseURL}", model: medium }`,
    moreCascades:
      '  three: { stages: [{ model: small, accept_at: 0.8 }, { model: medium, accept_at: 0.8 }, { model: large }] }',
  });
  const url = system.client.baseURL.replace(/\/v1$/, '');
  const prompts = ['[[drafter unsure]] hard', '[[drafter unsure]] easy'];
  const { id } = await system.submit(prompts, { model: 'three' });
  await system.settled(id);
  const { stdout: last } = await trace(url, id, 'doc-0');
  assert.match(
    last,
    /escalated to medium, low_confidence \(.+\), escalated to large, low_confidence \(.+\), status 200/,
  );
  assert.match(
    last,
    /draft small.+\n.+hand-off.+\n.+queue\.wait drafter.+\n.+draft medium.+\n.+hand-off.+\n.+queue\.wait/,
  );
  assert.match(last, /expert large.+\n {2}sequential wait: .+ until large began/);
  const { stdout: middle } = await trace(url, id, 'doc-1');
  assert.match(middle, /escalated to medium, low_confidence \(.+\), accepted from medium \(.+\), status 200/);
  assert.match(middle, /sequential wait: .+ until medium began/);
  assert.doesNotMatch(middle, /large/);
});
