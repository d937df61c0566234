import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { chmod, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readConfiguration } from '@spillway/core';
import { OpenAI } from 'openai';
import { CASCADE, DEMO } from '../../services/playground/src/demo/cascade.ts';
import { startProcess, type ProcessLine } from '../../services/playground/src/local/process.ts';
import { findRedisBinary } from '../../services/playground/src/local/redis-binary.ts';
import { System, type Member } from '../../services/playground/src/local/system.ts';
import { freePort } from '../support/redis.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const DEMO_SCRIPT = join(ROOT, 'services/playground/src/demo/main.ts');
const START_SCRIPT = join(ROOT, 'services/playground/src/local/main.ts');
const PROCESS_MODULE = join(ROOT, 'services/playground/src/local/process.ts');

/** A directory of the test's own. It is the TMPDIR of what the test starts, so a process's environment betrays it. */
async function ownDirectory(t: TestContext): Promise<string> {
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'spillway-test-')));
  t.after(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }));
  return directory;
}

/** The processes whose environment names this directory. */
async function processesOf(directory: string): Promise<string[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && name !== String(process.pid));
  const found = await Promise.all(
    ids.map(async (id) => {
      const environment = await readFile(`/proc/${id}/environ`, 'utf8').catch(() => '');
      if (!environment.includes(directory)) return [];
      return [`${id} ${(await readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ')}`];
    }),
  );
  return found.flat();
}

type Program = {
  readonly text: () => string;
  readonly exited: Promise<number | null>;
  readonly kill: (signal: NodeJS.Signals) => void;
  /** Resolves when what it wrote matches; rejects when it ends without. */
  readonly wrote: (pattern: RegExp) => Promise<void>;
};

/** Runs a script as a user would, in this directory. */
function run(t: TestContext, script: string, args: string[], directory: string, env: NodeJS.ProcessEnv = {}): Program {
  const { REDIS_URL: _redis, LOG_LEVEL: _level, INIT_CWD: _cwd, ...rest } = process.env;
  const others = Object.fromEntries(Object.entries(rest).filter(([name]) => !name.startsWith('SPILLWAY_')));
  const child = spawn(process.execPath, [script, ...args], {
    cwd: directory,
    env: { ...others, TMPDIR: directory, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  const waiting = new Set<() => void>();
  const keep = (chunk: Buffer): void => {
    text += chunk.toString('utf8');
    for (const look of waiting) look();
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const exited = once(child, 'close').then(([code]) => code as number | null);
  t.after(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const wrote = async (pattern: RegExp): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = (): void => void (pattern.test(text) && resolve());
    waiting.add(look);
    void exited.then(() => reject(new Error(`it ended without ${pattern}:\n${text}`)));
    look();
    await promise.finally(() => waiting.delete(look));
  };
  return { text: () => text, exited, kill: (signal) => void child.kill(signal), wrote };
}

type ResultLine = { custom_id: string; response: { status_code: number } | null; cascade: { escalated: boolean } };

const readLines = async (path: string): Promise<ResultLine[]> =>
  (await readFile(path, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as ResultLine);

test('the demo runs its documents, says how it went, and leaves nothing but the results', async (t) => {
  const directory = await ownDirectory(t);
  const demo = run(t, DEMO_SCRIPT, ['--documents', '60'], directory);
  assert.equal(await demo.exited, 0, demo.text());
  const text = demo.text();
  assert.match(text, /^ {2}documents +60 in [\d.]+ m?s \(\d+\/s\), 0 without an answer$/m);
  assert.match(text, /^ {2}accuracy +drafter only [\d.]+ %, cascade [\d.]+ %, expert only [\d.]+ %$/m);
  assert.match(text, /^ {2}money +\$[\d.e-]+ against \$[\d.e-]+ all-expert: \d+ % (less|more) /m);
  assert.match(text, /^ {2}fast path +median .+, p95 .+ \(accepted/m);
  assert.match(text, /^ {2}slow path +median .+, p95 .+ \(escalated\)$/m);
  assert.match(text, /^ {2}values only +the expert was asked for \d+ unsure values of \d+ drafts: \d+ tokens written/m);
  const accepted = Number(/^ {2}accepted +(\d+) drafts/m.exec(text)?.[1]);
  const escalated = Number(/^ {2}escalated +(\d+) to the expert/m.exec(text)?.[1]);
  assert.equal(accepted + escalated, 60);
  if (escalated > 0) assert.match(text, /^ {2}sequential wait +p50 .+, p95 .+, [\d.]+ % of the escalated/m);

  const output = /^ {2}output file +(\S+)$/m.exec(text)?.[1] ?? '';
  assert.match(output, /^\.\/\.spillway\/demo\/batch_\w+_output\.jsonl$/);
  const lines = await readLines(join(directory, output));
  const ids = Array.from({ length: 60 }, (_, index) => `document-${String(index + 1).padStart(4, '0')}`);
  assert.deepEqual(
    lines.map((line) => line.custom_id),
    ids,
  );
  assert.ok(lines.every((line) => line.response?.status_code === 200));
  assert.equal(lines.filter((line) => line.cascade.escalated).length, escalated);
  assert.deepEqual(await processesOf(directory), []);
  assert.deepEqual(await readdir(directory), ['.spillway']);
});

test("the demo runs the user's own file, and its mistakes come back by line", async (t) => {
  const directory = await ownDirectory(t);
  const request = { custom_id: 'a', method: 'POST', url: '/v1/chat/completions' };
  const body = { model: 'gpt-5', messages: [{ role: 'user', content: 'Invoice 7\nTotal EUR 12.00' }] };
  const good = [JSON.stringify({ ...request, body }), JSON.stringify({ text: 'Receipt 9\nTotal 3.50 EUR' })];
  await writeFile(join(directory, 'good.jsonl'), good.join('\n'));
  const demo = run(t, DEMO_SCRIPT, ['--input', 'good.jsonl'], directory);
  assert.equal(await demo.exited, 0, demo.text());
  assert.match(demo.text(), /accuracy +unknown/);
  const output = /output file +(\S+)$/m.exec(demo.text())?.[1] ?? '';
  assert.deepEqual(
    (await readLines(join(directory, output))).map((line) => line.custom_id),
    ['a', 'line-2'],
  );

  const bad = [good[0], '{"oops"', JSON.stringify({ ...request, custom_id: 'b', body: { messages: [] } }), good[0]];
  await writeFile(join(directory, 'bad.jsonl'), bad.join('\n'));
  const refused = run(t, DEMO_SCRIPT, ['--input', 'bad.jsonl'], directory);
  assert.equal(await refused.exited, 1, refused.text());
  assert.match(refused.text(), /^ {2}line 2: This line is not parseable as valid JSON\. \(invalid_json_line\)$/m);
  assert.match(refused.text(), /^ {2}line 3: Messages parameter is required\. \(invalid_request\)$/m);
  assert.match(refused.text(), /^ {2}line 4: .+ \(duplicate_custom_id\)$/m);
  assert.deepEqual(await processesOf(directory), []);
});

test('wrong options of the demo are refused in one line', async (t) => {
  const directory = await ownDirectory(t);
  const says = async (args: string[], pattern: RegExp): Promise<void> => {
    const demo = run(t, DEMO_SCRIPT, args, directory);
    assert.equal(await demo.exited, 1);
    assert.match(demo.text(), pattern);
  };
  await says(['--frobnicate'], /^spillway: unknown option "--frobnicate": .+\n$/);
  await says(['--input', 'nothing.jsonl'], /^spillway: --input: there is no file .+nothing\.jsonl\n$/);
  const help = run(t, DEMO_SCRIPT, ['--help'], directory);
  assert.equal(await help.exited, 0);
  assert.match(help.text(), /--documents N/);
});

test('an interrupted demo stops everything and removes what it made', async (t) => {
  const directory = await ownDirectory(t);
  const demo = run(t, DEMO_SCRIPT, ['--documents', '2000'], directory);
  await demo.wrote(/\d of 2,000 documents/);
  assert.ok((await processesOf(directory)).length >= 7);
  demo.kill('SIGINT');
  assert.equal(await demo.exited, 1, demo.text());
  assert.match(demo.text(), /^spillway: stopped before it was done$/m);
  assert.deepEqual(await processesOf(directory), []);
  assert.deepEqual(await readdir(directory), ['.spillway']);
});

test('a killed demo takes all its processes with it', async (t) => {
  const directory = await ownDirectory(t);
  const demo = run(t, DEMO_SCRIPT, ['--documents', '2000'], directory);
  await demo.wrote(/\d of 2,000 documents/);
  demo.kill('SIGKILL');
  await demo.exited;
  const limit = AbortSignal.timeout(30_000);
  while ((await processesOf(directory)).length > 0) {
    limit.throwIfAborted();
    await delay(50);
  }
});

/** A directory with the root's configuration, on ports of the test's own. */
async function ownSystem(t: TestContext): Promise<{ directory: string; env: NodeJS.ProcessEnv; baseURL: string }> {
  const directory = await ownDirectory(t);
  const [port, playgroundPort] = [await freePort(), await freePort()];
  const text = await readFile(join(ROOT, 'spillway.yaml'), 'utf8');
  await writeFile(join(directory, 'spillway.yaml'), text.replaceAll(':8377/', `:${playgroundPort}/`));
  return { directory, env: { PORT: String(port) }, baseURL: `http://127.0.0.1:${port}/v1` };
}

test('what npm start was given is still there when it starts again', async (t) => {
  const { directory, env, baseURL } = await ownSystem(t);
  const first = run(t, START_SCRIPT, [], directory, env);
  await first.wrote(/── Python .+\n[\s\S]+output_file_id/);
  const client = new OpenAI({ baseURL, apiKey: 'none' });
  const file = await client.files.create({
    file: createReadStream(join(directory, '.spillway/example.jsonl')),
    purpose: 'batch',
  });
  const batch = await client.batches.create({
    input_file_id: file.id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  });
  first.kill('SIGINT');
  assert.equal(await first.exited, 0, first.text());
  assert.deepEqual(await processesOf(directory), []);

  const second = run(t, START_SCRIPT, [], directory, env);
  await second.wrote(/Spillway is ready/);
  const limit = AbortSignal.timeout(60_000);
  let found = await client.batches.retrieve(batch.id);
  while (found.status !== 'completed') {
    limit.throwIfAborted();
    await delay(100);
    found = await client.batches.retrieve(batch.id);
  }
  assert.deepEqual(found.request_counts, { total: 5, completed: 5, failed: 0 });
  second.kill('SIGINT');
  assert.equal(await second.exited, 0, second.text());
  assert.deepEqual(await processesOf(directory), []);
});

test('the lines that npm start shows can be pasted', async (t) => {
  const { directory, env } = await ownSystem(t);
  const system = run(t, START_SCRIPT, [], directory, env);
  await system.wrote(/── Python .+\n[\s\S]+output_file_id/);
  const [, curl = '', node = ''] =
    /── curl ──\n([\s\S]+?)\n\n── Node .+──\n([\s\S]+?)\n\n── Python/.exec(system.text()) ?? [];
  for (const [command, args] of [
    ['bash', ['-c', curl]],
    [process.execPath, ['--input-type=module', '-e', node.replace("'openai'", `'${import.meta.resolve('openai')}'`)]],
  ] as const) {
    const child = spawn(command, args, { cwd: directory, stdio: ['ignore', 'pipe', 'inherit'] });
    const chunks = await child.stdout.toArray();
    const ids = Buffer.concat(chunks as Buffer[])
      .toString('utf8')
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as ResultLine).custom_id);
    assert.deepEqual(ids, ['example-1', 'example-2', 'example-3', 'example-4', 'example-5'], command);
  }
  await system.wrote(
    /batch_\w+ {2}validated: 5 documents\nbatch_\w+ {2}completed after [\d.]+ s: 5 of 5 answered, \d escalated\n/,
  );
  system.kill('SIGINT');
  assert.equal(await system.exited, 0, system.text());
});

test('what stands in the way of npm start is said in one line', async (t) => {
  const { directory, env } = await ownSystem(t);
  const says = async (more: NodeJS.ProcessEnv, pattern: RegExp): Promise<void> => {
    const system = run(t, START_SCRIPT, [], directory, { ...env, ...more });
    assert.equal(await system.exited, 1);
    assert.match(system.text(), pattern);
  };
  const server = createServer().listen(Number(env['PORT']), '127.0.0.1');
  await once(server, 'listening');
  await says({}, /^spillway: Port \d+ on 127\.0\.0\.1 is taken: .+PORT=8080 npm start\n$/);
  server.close();
  await says({ SPILLWAY_CONFIG: 'no.yaml' }, /^spillway: SPILLWAY_CONFIG: cannot read .+no\.yaml \(ENOENT\)\n$/);
  await says({ SPILLWAY_DATA_DIR: '/proc/x' }, /^spillway: Cannot write to \/proc\/x \(\w+\): .+\n$/);
  await says({ HOST: '0.0.0.0' }, /^spillway: api: HOST: without keys the API listens on loopback only.+\n$/m);
  await writeFile(
    join(directory, 'bad.yaml'),
    'models: {}\ncascades: { c: { drafter: x, expert: y, accept_at: 2 } }\n',
  );
  await says({ SPILLWAY_CONFIG: 'bad.yaml' }, /cascades\.c\.accept_at: /);
  assert.deepEqual(await processesOf(directory), []);
});

test("the root's configuration is the demo's cascade", async () => {
  const read = readConfiguration(await readFile(join(ROOT, 'spillway.yaml'), 'utf8'));
  assert.equal(read.kind, 'valid');
  if (read.kind !== 'valid') return;
  const { models, cascades } = read.configuration;
  const stages = cascades[CASCADE]?.stages ?? [];
  assert.equal(stages.length, 2);
  for (const [index, role] of (['drafter', 'expert'] as const).entries()) {
    const { model, price, concurrency } = models[stages[index]?.model ?? ''] ?? {};
    assert.deepEqual({ model, price, concurrency }, DEMO[role]);
  }
  const judge = stages[0]?.judge;
  assert.deepEqual(judge, {
    confidence: { signal: { name: 'sum_logprob' }, calibration: null },
    acceptAt: DEMO.acceptAt,
  });
  assert.equal(stages[1]?.ask, DEMO.ask);
});

/** Writes a script into the directory. */
async function writeScript(directory: string, name: string, text: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, text);
  return path;
}

const READY = `console.log(JSON.stringify({ level: 'info', msg: 'ready', port: 7 }));\n`;

test('a process tells when it is ready, and why it ended', async (t) => {
  const directory = await ownDirectory(t);
  const lines: ProcessLine[] = [];
  const start = async (name: string, text: string) =>
    startProcess({
      service: 'api',
      script: await writeScript(directory, name, text),
      env: { TMPDIR: directory, SECRET: 's' },
      onLine: (line) => void lines.push(line),
    });
  const steady = await start(
    'steady.mjs',
    `console.log(Object.keys(process.env).join()); ${READY}setInterval(() => {}, 1000);`,
  );
  assert.deepEqual(await steady.ready, { port: 7 });
  assert.deepEqual(await steady.stop(5_000), { code: null, signal: 'SIGTERM', reason: 'ended by SIGTERM' });
  const names = lines.flatMap((line) => (line.kind === 'text' ? line.text.split(',') : []));
  assert.ok(names.includes('SECRET') && names.includes('PATH') && !names.includes('NODE_TEST_CONTEXT'), names.join());

  const stubborn = await start('stubborn.mjs', `process.on('SIGTERM', () => {}); ${READY}setInterval(() => {}, 1000);`);
  await stubborn.ready;
  assert.equal((await stubborn.stop(100)).signal, 'SIGKILL');

  const why = async (name: string, text: string): Promise<string> => {
    const failing = await start(name, text);
    await assert.rejects(failing.ready);
    return (await failing.exited).reason;
  };
  const setup = `process.stderr.write('spillway api: 2 problems:\\n  one\\n  two\\n'); process.exitCode = 1;`;
  assert.equal(await why('setup.mjs', setup), '2 problems:\n  one\n  two');
  const fatal = { level: 'fatal', msg: 'could not start', err: { message: 'no disk' } };
  const logged = `console.log(${JSON.stringify(JSON.stringify(fatal))}); process.exitCode = 1;`;
  assert.equal(await why('fatal.mjs', logged), 'could not start: no disk');
  assert.equal(await why('throws.mjs', `throw new TypeError('odd')`), 'TypeError: odd');
  assert.equal(await why('silent.mjs', 'process.exitCode = 3;'), 'exit code 3');
});

test('a process and what it started end when their parent is killed', async (t) => {
  const directory = await ownDirectory(t);
  const child = await writeScript(
    directory,
    'child.mjs',
    `import { fork } from 'node:child_process';
     if (process.argv[2] === undefined) fork(process.argv[1], ['grandchild']);
     else process.send('up');
     process.on('SIGTERM', () => {}); ${READY}setInterval(() => {}, 1000);`,
  );
  const parent = await writeScript(
    directory,
    'parent.mjs',
    `import { startProcess } from ${JSON.stringify(PROCESS_MODULE)};
     const child = startProcess({ service: 'x', script: ${JSON.stringify(child)}, env: process.env });
     await child.ready;
     console.log('started');`,
  );
  const program = run(t, parent, [], directory);
  await program.wrote(/started/);
  assert.ok((await processesOf(directory)).length >= 2);
  program.kill('SIGKILL');
  const limit = AbortSignal.timeout(10_000);
  while ((await processesOf(directory)).length > 0) {
    limit.throwIfAborted();
    await delay(20);
  }
});

test('a system starts again what died, or fails, by its option', async (t) => {
  const directory = await ownDirectory(t);
  const path = await writeScript(directory, 'member.mjs', `${READY}setInterval(() => {}, 1000);`);
  const lines: string[] = [];
  const again = Promise.withResolvers<void>();
  const tell = (line: string): void => {
    lines.push(line);
    if (line === 'drafter runs again') again.resolve();
  };
  const pids: number[] = [];
  const member: Member = {
    service: 'drafter',
    level: 1,
    script: path,
    env: { TMPDIR: directory },
    isReady: async (process) => {
      await process.ready;
      pids.push(process.pid);
    },
  };
  const options = { tell, onLine: () => undefined, stopLimitMs: 5_000 };
  {
    await using system = new System({ ...options, onDeath: 'restart' });
    await system.start(member);
    process.kill(pids[0] ?? 0, 'SIGKILL');
    await again.promise;
    assert.match(lines[0] ?? '', /^drafter ended unexpectedly \(ended by SIGKILL\); starting it again in 0\.5 s$/);
    assert.equal(pids.length, 2);
  }
  {
    await using system = new System({ ...options, onDeath: 'fail' });
    await system.start(member);
    process.kill(pids[2] ?? 0, 'SIGKILL');
    await assert.rejects(system.failure, /^Error: drafter ended unexpectedly \(ended by SIGKILL\)$/);
  }
  assert.deepEqual(await processesOf(directory), []);
});

test('a missing Redis is installed where that needs no password', async (t) => {
  const directory = await ownDirectory(t);
  const command = async (name: string, text: string): Promise<void> => {
    await writeScript(directory, name, `#!/bin/sh\n${text}\n`);
    await chmod(join(directory, name), 0o755);
  };
  const said: string[] = [];
  const find = () =>
    findRedisBinary({
      env: { PATH: directory },
      tell: (line) => void said.push(line),
      signal: new AbortController().signal,
    });
  await assert.rejects(find(), /^SetupError: No redis-server or valkey-server found: install redis-server.+REDIS_URL/);
  await command('sudo', `shift; exec "$@"`);
  await command('true', 'exit 0');
  await command('apt-get', 'echo "E: Unable to locate package"; exit 100');
  await assert.rejects(find(), /apt-get install .+redis-tools: E: Unable to locate package; .+\): install/);
  // Debian's package brings the server under this name only, and its lists must be fetched first.
  const server = `#!/bin/sh\\necho "Redis server v=7"\\n`;
  await command(
    'apt-get',
    `if [ "$1" = update ]; then /bin/touch "${directory}/lists"; exit 0; fi
[ -e "${directory}/lists" ] || exit 100
printf '${server}' > "${directory}/redis-check-rdb"; /bin/chmod +x "${directory}/redis-check-rdb"`,
  );
  assert.deepEqual(await find(), { path: join(directory, 'redis-check-rdb'), name: 'redis-server' });
  assert.match(said.at(-1) ?? '', /^No redis-server or valkey-server here: installing one with (sudo -n )?apt-get$/);
  await command('redis-server', 'echo "Redis server v=8"');
  assert.deepEqual(await find(), { path: join(directory, 'redis-server'), name: 'redis-server' });
});
