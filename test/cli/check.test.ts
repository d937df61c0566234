import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { KEY } from '../support/model-client.ts';
import { startModelServer, type ModelServerOptions } from '../support/model-server.ts';
import { plainEnv } from '../support/plain-env.ts';

const script = fileURLToPath(new URL('../../packages/worker/src/check/main.ts', import.meta.url));

type Run = { readonly code: number; readonly stdout: string; readonly stderr: string };

/** Runs the command as a user does, on a configuration of a drafter and an expert. */
async function check(t: TestContext, servers: readonly [string, string], ...args: readonly string[]): Promise<Run> {
  const directory = await mkdtemp(join(tmpdir(), 'spillway-check-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const [small, large] = servers;
  const yaml = `
models:
  small: { base_url: "${small}", model: s, api_key_env: SMALL_KEY }
  large: { base_url: "${large}", model: l }
cascades:
  test: { drafter: small, expert: large, accept_at: 0.5 }
`;
  await writeFile(join(directory, 'spillway.yaml'), yaml);
  const env = { ...plainEnv(), SPILLWAY_CONFIG: join(directory, 'spillway.yaml'), SMALL_KEY: KEY };
  const { promise, resolve } = Promise.withResolvers<Run>();
  execFile(process.execPath, [script, ...args], { env }, (error, stdout, stderr) =>
    resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
  );
  return promise;
}

async function serve(t: TestContext, options: ModelServerOptions = {}): Promise<string> {
  const server = await startModelServer(options);
  t.after(() => server[Symbol.asyncDispose]());
  return server.baseURL;
}

test('every model is fit, an expert also without log-probs: a table, and exit status 0', async (t) => {
  const expert = await serve(t, { check: () => ({ kind: 'completion', logprobs: null }) });
  const { code, stdout, stderr } = await check(t, [await serve(t), expert]);
  assert.equal(code, 0, stderr);
  const [head = '', ...rows] = stdout.trimEnd().split('\n');
  assert.match(head, /^model +role +reachable +known +ms +log-probs +alternatives/);
  assert.match(rows[0] ?? '', /^small +drafter +ok +yes +yes +\d+ +yes/);
  assert.match(rows[1] ?? '', /^large +expert +ok +yes +yes +\d+ +no/);
  assert.equal(rows.length, 2);
});

test('a drafter without log-probs and an expert that is down: why, and exit status 1; the same as JSON', async (t) => {
  const server = await startModelServer();
  await server.stop();
  const silent = await serve(t, { check: () => ({ kind: 'completion', logprobs: null }) });
  const [forPeople, forMachines] = await Promise.all([
    check(t, [silent, server.baseURL]),
    check(t, [silent, server.baseURL], '--json'),
  ]);
  assert.deepEqual([forPeople.code, forMachines.code], [1, 1]);
  assert.match(
    forPeople.stdout,
    /small +drafter +NO +yes +yes .*\n  the server gives no log-probs: without them sum_log/,
  );
  assert.match(forPeople.stdout, /large +expert +NO +no +\? .*\n  unreachable: /);
  const { ok, models } = JSON.parse(forMachines.stdout) as {
    ok: boolean;
    models: { name: string; role: string; ok: boolean; reason: string; found: { log_probs: boolean | null } }[];
  };
  assert.equal(ok, false);
  assert.deepEqual(
    models.map(({ name, role, ok: isFit, found }) => [name, role, isFit, found.log_probs]),
    [
      ['small', 'drafter', false, false],
      ['large', 'expert', false, null],
    ],
  );
  assert.doesNotMatch(JSON.stringify([forPeople, forMachines]), /sk-very/);
});

test('a mistake in the command or in the configuration is one line', async (t) => {
  const wrong = await check(t, ['http://127.0.0.1:9/v1', 'not an address']);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /^spillway check: .*models\.large\.base_url: expected an http/);
  const unknown = await check(t, ['http://127.0.0.1:9/v1', 'http://127.0.0.1:9/v1'], '--loud');
  assert.match(unknown.stderr, /^spillway check: expected npm run check:models/);
});
