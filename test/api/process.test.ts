import assert from 'node:assert/strict';
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { toFile, OpenAI } from 'openai';
import { parseKeys } from '../../services/api/src/keys/file.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { Service } from '../support/service.ts';
import { YAML } from './api-under-test.ts';
import { plainEnv } from '../support/plain-env.ts';

const KEYS_MAIN = fileURLToPath(new URL('../../services/api/src/keys/main.ts', import.meta.url));

let redis: RedisServer;
let directory: string;
let env: Record<string, string>;

before(async () => {
  redis = await startRedis();
  directory = await mkdtemp(join(tmpdir(), 'spillway-api-process-'));
  await writeFile(join(directory, 'spillway.yaml'), YAML);
  env = {
    PORT: '0',
    REDIS_URL: redis.url,
    SPILLWAY_CONFIG: join(directory, 'spillway.yaml'),
    SPILLWAY_DATA_DIR: join(directory, 'data'),
  };
});
after(async () => {
  await redis.stop();
  await rm(directory, { recursive: true, force: true });
});

/** What a process that cannot start says, and its exit code. */
async function failure(over: Record<string, string>): Promise<{ code: number | null; said: string }> {
  await using api = new Service('api', { ...env, ...over });
  await once(api.child, 'exit');
  return { code: api.child.exitCode, said: api.stderr };
}

function spawnKeys(...args: string[]): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [KEYS_MAIN, ...args], { cwd: directory, env: plainEnv() });
}

async function runKeys(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawnKeys(...args);
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  await once(child, 'close');
  return { code: child.exitCode, out, err };
}

test('it says ready, serves, and stops cleanly on SIGTERM', async () => {
  await using api = new Service('api', env);
  const { port } = await api.ready();
  const client = new OpenAI({ apiKey: 'none', baseURL: `http://127.0.0.1:${String(port)}/v1` });
  assert.equal((await client.models.list()).data.length, 2);
  assert.equal(await api.stop(), 0);
});

test('what is wrong with its surroundings is one line that says what to do', async () => {
  const taken = createServer();
  taken.listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const port = String((taken.address() as AddressInfo).port);
  const closed = join(directory, 'closed');
  await mkdir(closed, { mode: 0o500 });
  const cases: [Record<string, string>, RegExp][] = [
    [{ PORT: port }, new RegExp(`^spillway api: Port ${port} on 127\\.0\\.0\\.1 is taken: .*set PORT to another one$`)],
    [
      { HOST: '0.0.0.0' },
      /^spillway api: HOST: without keys the API listens on loopback only, .*set SPILLWAY_API_KEYS/,
    ],
    [
      { SPILLWAY_API_KEYS: '/nowhere' },
      /^spillway api: SPILLWAY_API_KEYS: cannot read \/nowhere \(ENOENT\): make it with/,
    ],
    [{ SPILLWAY_CONFIG: '/nowhere' }, /^spillway api: SPILLWAY_CONFIG: cannot read \/nowhere \(ENOENT\)$/],
    [
      { SPILLWAY_DATA_DIR: '', SPILLWAY_STORAGE: 'ftp://x' },
      /^spillway api: Bad storage address "ftp:\/\/x": expected file:/,
    ],
    [{ REDIS_URL: 'http://x' }, /^spillway api: REDIS_URL: expected redis:/],
  ];
  if (process.getuid?.() !== 0) cases.push([{ SPILLWAY_DATA_DIR: join(closed, 'data') }, /^spillway api: .*closed/]);
  for (const [over, expected] of cases) {
    const { code, said } = await failure(over);
    assert.equal(code, 1);
    assert.match(said.trimEnd(), expected);
    assert.equal(said.trimEnd().split('\n').length, 1, said);
  }
  taken.close();
  await chmod(closed, 0o700);
});

test('a broken configuration and a broken key file name all their problems at once', async () => {
  const yaml = join(directory, 'broken.yaml');
  await writeFile(
    yaml,
    YAML.replace('0.9', '9').replace('expert: large, accept_at: 0.8', 'expert: huge, accept_at: 0.8, color: red'),
  );
  const { code, said } = await failure({ SPILLWAY_CONFIG: yaml, PORT: 'x' });
  assert.equal(code, 1);
  for (const part of [
    '4 problems',
    'PORT: expected',
    `${yaml}: cascades.invoices.accept_at: `,
    `${yaml}: cascades.letters: `,
    `${yaml}: cascades.letters.expert: `,
  ]) {
    assert.ok(said.includes(part), `${part} in ${said}`);
  }
  const keys = join(directory, 'broken.jsonl');
  await writeFile(keys, '{}\nnot json\n');
  const broken = await failure({ SPILLWAY_API_KEYS: keys });
  assert.match(broken.said, /line 1: tenant: expected.*\n.*line 2: expected a JSON object/);
});

test('keys are made, used, listed and removed, and never logged', async () => {
  const file = join(directory, 'keys', 'keys.jsonl');
  const made = await runKeys('add', '--tenant', 'acme', '--file', file);
  assert.equal(made.code, 0, made.err);
  const key = made.out.trim();
  assert.match(key, /^sk-spillway-[A-Za-z0-9_-]{43}$/);
  assert.ok(!made.err.includes(key));
  const text = await readFile(file, 'utf8');
  assert.ok(!text.includes(key));
  assert.equal(parseKeys(text).entries[0]?.tenant, 'acme');
  assert.equal((await stat(file)).mode & 0o077, 0, 'others can read the file');
  await runKeys('add', '--tenant', 'boss', '--role', 'admin', '--file', file);

  await using api = new Service('api', { ...env, SPILLWAY_API_KEYS: file, HOST: '0.0.0.0', LOG_LEVEL: 'trace' });
  const { port } = await api.ready();
  const client = new OpenAI({ apiKey: key, baseURL: `http://127.0.0.1:${String(port)}/v1`, maxRetries: 0 });
  await client.files.create({
    file: await toFile(Buffer.from('{"secret":"in the file"}\n'), 'a.jsonl'),
    purpose: 'batch',
  });
  await assert.rejects(client.batches.retrieve('batch_x'), OpenAI.NotFoundError);
  await api.stop();
  const logged = JSON.stringify(api.lines);
  assert.ok(logged.includes('"tenant":"acme"'));
  for (const secret of [key, 'in the file', 'Bearer']) assert.ok(!logged.includes(secret), secret);

  const listed = await runKeys('list', '--file', file);
  assert.match(listed.out, /^[0-9a-f]{12} {2}tenant {2}acme\n[0-9a-f]{12} {2}admin {3}boss\n$/);
  assert.equal((await runKeys('remove', '--tenant', 'acme', '--file', file)).code, 0);
  assert.deepEqual(
    parseKeys(await readFile(file, 'utf8')).entries.map(({ tenant }) => tenant),
    ['boss'],
  );
});

test('a first key is made where there is none, and only there', async () => {
  const file = join(directory, 'first', 'keys.jsonl');
  const [first, again] = [
    await runKeys('first', '--tenant', 'local', '--file', file),
    await runKeys('first', '--tenant', 'local', '--file', file),
  ];
  assert.match(first.out, /^sk-spillway-/);
  assert.deepEqual([again.code, again.out], [0, '']);
  assert.match(again.err, /has keys already, none was made/);
  assert.equal(parseKeys(await readFile(file, 'utf8')).entries.length, 1);
  const wrong = await runKeys('first', '--tenant', '../x', '--file', file);
  assert.equal(wrong.code, 1, 'a wrong command is refused where there is nothing to do');
  assert.match(wrong.err, /--tenant: expected/);

  for (const text of ['broken\n', `${await readFile(file, 'utf8')}broken\n`]) {
    await writeFile(file, text);
    const broken = await runKeys('first', '--tenant', 'local', '--file', file);
    assert.equal(broken.code, 1);
    assert.match(broken.err, /line [12]/);
    assert.equal(await readFile(file, 'utf8'), text, 'what cannot be read is not replaced');
  }
});

test('commands at the same moment each do what they say', async () => {
  const file = join(directory, 'together', 'keys.jsonl');
  const firsts = await Promise.all([1, 2, 3, 4].map(() => runKeys('first', '--tenant', 'local', '--file', file)));
  assert.deepEqual(
    firsts.map(({ code }) => code),
    [0, 0, 0, 0],
  );
  assert.equal(firsts.filter(({ out }) => out !== '').length, 1, 'more than one first key');

  const names = Array.from({ length: 6 }, (_, index) => `tenant-${index}`);
  const changes = [
    ...names.map((name) => runKeys('add', '--tenant', name, '--file', file)),
    runKeys('remove', '--tenant', 'local', '--file', file),
  ];
  for (const { code, err } of await Promise.all(changes)) assert.equal(code, 0, err);
  const { entries } = parseKeys(await readFile(file, 'utf8'));
  assert.deepEqual(entries.map(({ tenant }) => tenant).toSorted(), names);
  assert.deepEqual(await readdir(join(directory, 'together')), ['keys.jsonl'], 'something was left lying about');
});

test('a key file stays what it was: a link, its mode', async () => {
  const [real, file] = [join(directory, 'real.jsonl'), join(directory, 'link.jsonl')];
  await writeFile(real, '');
  await chmod(real, 0o640);
  await symlink(real, file);
  assert.equal((await runKeys('add', '--tenant', 'acme', '--file', file)).code, 0);
  assert.ok((await lstat(file)).isSymbolicLink());
  assert.equal((await stat(real)).mode & 0o777, 0o640);
  assert.equal(parseKeys(await readFile(real, 'utf8')).entries.length, 1);
});

test('a key that nobody could read opens nothing', async () => {
  const file = join(directory, 'unread', 'keys.jsonl');
  const child = spawnKeys('add', '--tenant', 'acme', '--file', file);
  child.stdout.destroy();
  let err = '';
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  await once(child, 'close');
  assert.equal(child.exitCode, 1, err);
  assert.match(err, /EPIPE/);
  assert.deepEqual(await readdir(join(directory, 'unread')), []);
});

test('a command that was killed in mid-change holds up the next one only for a while', async () => {
  const file = join(directory, 'stale.jsonl');
  const lock = `${file}.lock`;
  await writeFile(lock, 'half a l');
  const waiting = runKeys('add', '--tenant', 'acme', '--file', file);
  const long = new Date(Date.now() - 60_000);
  await utimes(lock, long, long);
  const { code, err } = await waiting;
  assert.equal(code, 0, err);
  assert.equal(parseKeys(await readFile(file, 'utf8')).entries.length, 1);
  await assert.rejects(stat(lock), { code: 'ENOENT' });

  await writeFile(lock, '');
  const held = await runKeys('remove', '--tenant', 'acme', '--file', file);
  assert.equal(held.code, 1);
  assert.match(held.err, /another command is changing the key file \(.*stale\.jsonl\.lock is there\): try again/);
  assert.equal(parseKeys(await readFile(file, 'utf8')).entries.length, 1);
});

test('a wrong use of the key command says what is right, and changes nothing', async () => {
  const cases: [string[], RegExp][] = [
    [[], /expected one command/],
    [['grant'], /unknown command "grant"/],
    [['add'], /--tenant: expected 1 to 64/],
    [['add', '--tenant', '../x'], /--tenant/],
    [['add', '--tenant', 'x', '--role', 'god'], /--role: expected one of tenant, admin/],
    [['add', '--color', 'red'], /--color/],
    [['remove', '--tenant', 'nobody'], /no such key/],
  ];
  for (const [args, expected] of cases) {
    const { code, err } = await runKeys(...args);
    assert.equal(code, 1, args.join(' '));
    assert.match(err, expected);
  }
  assert.equal((await runKeys('list')).out, '');
});

test('a dispatcher names a wrong storage in one line too', async () => {
  await using service = new Service('dispatcher', { SPILLWAY_STORAGE: 'ftp://x' });
  await assert.rejects(
    service.ready(),
    /spillway dispatcher: Bad storage address "ftp:\/\/x": expected file:[^\n]*\n$/,
  );
});
