import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as textOf } from 'node:stream/consumers';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { plainEnv } from '../support/plain-env.ts';

/** The command against APIs that know more, or less, than the one beside it: what it asks them, and what it says. */

const launcher = fileURLToPath(new URL('../../packages/cli/bin/spillway.js', import.meta.url));

let place: string;
before(async () => {
  place = await mkdtemp(join(tmpdir(), 'spillway-newer-'));
  await writeFile(join(place, 'in.csv'), 'text\none\ntwo\n');
});
after(() => rm(place, { recursive: true, force: true }));

type Answers = Readonly<Record<string, unknown>>;

/** An API that answers as it is told, and remembers what it was asked. */
async function api(answers: Answers) {
  const asked: { readonly route: string; readonly body: string; readonly key: string | undefined }[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    void textOf(request).then((body) => {
      const route = `${request.method ?? ''} ${request.url ?? ''}`;
      asked.push({ route, body, key: request.headers.authorization });
      const answer = answers[route];
      const error = { error: { message: `Unknown request URL: ${route}.`, code: 'unknown_url' } };
      response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(answer ?? error));
    });
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const spillway = async (...args: readonly string[]) => {
    const env = {
      ...plainEnv(),
      XDG_STATE_HOME: place,
      SPILLWAY_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      SPILLWAY_API_KEY: 'sk-very-secret',
    };
    const ended = Promise.withResolvers<{ readonly code: number; readonly stdout: string; readonly stderr: string }>();
    execFile(process.execPath, [launcher, ...args], { env, cwd: place }, (error, stdout, stderr) =>
      ended.resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    );
    const run = await ended.promise;
    assert.doesNotMatch(run.stdout + run.stderr, /sk-very/);
    return run;
  };
  return {
    asked,
    spillway,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await Promise.resolve();
    },
  };
}

const known: Answers = {
  'GET /v1/models': { data: [{ id: 'only' }] },
  'POST /v1/files': { id: 'file-1' },
  'DELETE /v1/files/file-1': { id: 'file-1', deleted: true },
};
const dryRun = { paths: { '/v1/batches': { post: { parameters: [{ name: 'dry_run', in: 'query' }] } } } };
const range = (low: number, high: number) => ({ low, high, expected: (low + high) / 2, how: 'so' });
const estimate = {
  object: 'batch.estimate',
  valid: true,
  errors: null,
  documents: { total: 2, bad_lines: 0, copies: 0, cascades: { only: 2 } },
  pilot: { documents: 2, cost_usd: 0.01 },
  cost_usd: range(0.04, 0.08),
  all_expert_usd: range(0.2, 0.2),
  escalated_share: range(0.144, 0.361),
  seconds: range(31, 118),
  notes: ['The pilot is charged in any case.'],
};

test('an estimate is asked for where the API has it, and the upload goes again', async () => {
  const answers = { ...known, 'GET /openapi.json': dryRun, 'POST /v1/batches?dry_run=true&pilot=2': estimate };
  await using server = await api(answers);
  const { code, stdout, stderr } = await server.spillway(
    'estimate',
    'in.csv',
    '--pilot',
    '2',
    '--max-usd',
    '3',
    '--metadata',
    'spillway.budget=expert_share=0.2',
  );
  assert.equal(code, 0, stderr);
  assert.equal(
    stdout,
    'estimate: 2 documents · about $0.04–$0.08 · all by the expert $0.20 · 14–36 % escalated · 31 s–2 min\n' +
      '  a pilot of 2 documents was asked\n  The pilot is charged in any case.\n',
  );
  const create = server.asked.find(({ route }) => route.startsWith('POST /v1/batches'));
  assert.deepEqual(JSON.parse(create?.body ?? ''), {
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
    metadata: { 'spillway.budget': 'expert_share=0.2', name: 'in.csv', 'spillway.max_usd': '3' },
    input_file_id: 'file-1',
  });
  const upload = server.asked.find(({ route }) => route === 'POST /v1/files');
  assert.equal(upload?.key, 'Bearer sk-very-secret');
  assert.match(
    upload?.body ?? '',
    /name="purpose"\r\n\r\nbatch\r\n[^]*\{"custom_id":"in\.csv:1","method":"POST",[^\n]*"content":"one"/,
  );
  assert.equal(server.asked.at(-1)?.route, 'DELETE /v1/files/file-1');
});

test('what would fail is said before it is made', async () => {
  const errors = { object: 'list', data: [{ code: 'invalid_request', line: 2, message: 'is wrong', param: null }] };
  const answers = {
    ...known,
    'GET /openapi.json': dryRun,
    'POST /v1/batches?dry_run=true': {
      ...estimate,
      valid: false,
      errors,
      cost_usd: null,
      escalated_share: null,
      seconds: null,
    },
  };
  await using server = await api(answers);
  const { code, stderr } = await server.spillway('run', 'in.csv', '--out', 'out.csv', '--yes');
  assert.equal(code, 1);
  assert.match(stderr, /spillway: the batch would fail: line 2: is wrong\n$/);
  assert.ok(!server.asked.some(({ route }) => route === 'POST /v1/batches'));
});

test('an API without estimates is never asked for one, as it would make the batch', async () => {
  await using server = await api({ ...known, 'GET /openapi.json': { paths: { '/v1/batches': { post: {} } } } });
  const { code, stderr } = await server.spillway('estimate', 'in.csv');
  assert.deepEqual([code, /this API gives no estimates/.test(stderr)], [1, true]);
  assert.ok(!server.asked.some(({ route }) => route.startsWith('POST /v1/batches')));
  const { stderr: old } = await server.spillway('redecide', 'batch_1', '--accept-at', '0.5');
  assert.match(old, /this API cannot redecide: it is older than this command/);
});

test('a batch is decided again by one threshold or by several, or it is said what would come of it', async () => {
  const preview = { documents: { total: 100, kept: 80, asked: 20, drafted_again: 3 }, usd: { least: 0.1, most: 0.4 } };
  await using server = await api({
    'POST /v1/batches/batch_1/redecide?preview=true': preview,
    'POST /v1/batches/batch_1/redecide': { id: 'batch_2', status: 'validating' },
  });
  const { stdout } = await server.spillway('redecide', 'batch_1', '--accept-at', '0.9', '--preview');
  assert.equal(
    stdout,
    'of 100 documents 80 answers stay; 20 would be asked about (3 of them drafted again), for about $0.10–$0.40\n',
  );
  const made = await server.spillway('redecide', 'batch_1', '--accept-at', '0.9,0.8');
  assert.equal(made.stdout, 'batch_2 decides batch_1 again: validating\n');
  assert.deepEqual(
    server.asked.map(({ body }) => JSON.parse(body) as unknown),
    [{ accept_at: 0.9 }, { accept_at: [0.9, 0.8] }],
  );
  assert.equal((await server.spillway('redecide', 'batch_1', '--accept-at', '2')).code, 2);
});
