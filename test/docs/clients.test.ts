import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { ROOT } from '../support/compose.ts';
import { install } from '../support/packages.ts';
import { System } from '../support/system.ts';
import { blockBelow, readText } from './documents.ts';

/** The README's clients, run as they stand there, but for the address. */

const run = promisify(execFile);

let system: System;
let directory = '';

before(async () => {
  const cascade = '  documents: { drafter: small, expert: large, accept_at: 0.9 }';
  system = await System.start({ moreCascades: cascade });
  directory = await mkdtemp(join(tmpdir(), 'spillway-docs-'));
  await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  await writeFile(join(directory, 'input.jsonl'), blockBelow('README.md', 'Use your own models', 'jsonl'));
});

after(async () => {
  await system[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

/** A client of the README, asking the API of this test. */
function clientOf(heading: string, language: string): string {
  const text = blockBelow('README.md', heading, language);
  const own = system.client.baseURL;
  assert.ok(text.includes('http://127.0.0.1:8080/v1'), heading);
  return text.replaceAll('http://127.0.0.1:8080/v1', own);
}

/** The lines of an output file, as a client prints them. */
function answeredIn(stdout: string): string[] {
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { custom_id: string; error: null; cascade: object });
  assert.ok(lines.every(({ error, cascade }) => error === null && typeof cascade === 'object'));
  return lines.map(({ custom_id: id }) => id);
}

test('Node', async () => {
  const path = join(directory, 'client.mjs');
  await writeFile(path, clientOf('Node', 'js'));
  const { stdout } = await run(process.execPath, [path], { cwd: directory });
  assert.deepEqual(answeredIn(stdout), ['a']);
});

test('curl', async (t) => {
  const lacking = await install(['curl'], ['curl', 'bash']);
  if (lacking !== null) return t.skip(lacking);
  const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', clientOf('curl', 'bash')], { cwd: directory });
  assert.match(stdout, /^\{"id":"batch_[0-9a-f]+","object":"batch"/);
  assert.match(
    stdout,
    /\{"object":"list","data":\[.*\],"cursor":"r_\d+","has_more":(true|false),"complete":(true|false)\}$/,
  );
  const [, batch = ''] = /"id":"(batch_\w+)"/.exec(stdout) ?? [];
  const { output_file_id: file } = await system.settled(batch);
  assert.deepEqual(
    (await system.lines(file)).map((line) => line.custom_id),
    ['a'],
  );
});

test('Python', async (t) => {
  const path = join(directory, 'client.py');
  await writeFile(path, clientOf('Python', 'python'));
  const [hasPython, hasPackage] = await Promise.all(
    ['pass', 'import openai'].map((code) =>
      run('python3', ['-c', code]).then(
        () => true,
        () => false,
      ),
    ),
  );
  if (hasPython !== true) return t.skip('there is no python3');
  // Without the package it can be read, at least.
  await run('python3', ['-m', 'py_compile', path]);
  if (hasPackage !== true) return t.diagnostic('the package openai is not there: read, not run');
  const { stdout } = await run('python3', [path], { cwd: directory });
  assert.deepEqual(answeredIn(stdout), ['a']);
});

test('the two commands of the quick start are those of package.json', () => {
  const { scripts } = JSON.parse(readText('package.json')) as { scripts: Record<string, string> };
  const commands = blockBelow('README.md', 'Try it', 'bash').split('\n');
  assert.match(commands[0] ?? '', /^npm ci && npm run demo /);
  assert.match(commands[1] ?? '', /^npm ci && npm test /);
  assert.ok(scripts['demo'] !== undefined && scripts['test'] !== undefined);
});

test('a key is made as the documents say', async () => {
  const file = join(directory, 'keys.jsonl');
  const commands = blockBelow('docs/configuration.md', 'The key file', 'bash').trim().split('\n');
  for (const command of commands.filter((one) => one.includes(' add ') || one.includes(' list'))) {
    const args = command
      .replace(/\s+#.*$/, '')
      .split(' ')
      .slice(4);
    await run(process.execPath, [join(ROOT, 'services/api/src/keys/main.ts'), ...args, '--file', file]);
  }
  const { stdout } = await run(process.execPath, [join(ROOT, 'services/api/src/keys/main.ts'), 'list', '--file', file]);
  assert.equal(stdout.trim().split('\n').length, 2);
});
