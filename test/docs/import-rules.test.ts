import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** A rule that never bites says nothing: oxlint passes over a pattern that it cannot read without a word. */

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));

type Pattern = { readonly group?: readonly string[] };
type Override = {
  readonly files: readonly string[];
  readonly rules: {
    readonly 'no-restricted-imports'?: 'off' | readonly [string, { readonly patterns: readonly Pattern[] }];
  };
};

let place: string;

before(async () => {
  place = await mkdtemp(join(tmpdir(), 'spillway-imports-'));
  await copyFile(join(root, '.oxlintrc.json'), join(place, '.oxlintrc.json'));
});
after(() => rm(place, { recursive: true, force: true }));

/** What may be imported by somebody, and must not be by others. */
const NAMES = [
  '@spillway/api @spillway/cascade @spillway/cli @spillway/console @spillway/core @spillway/models @spillway/redis @spillway/runtime',
  '@spillway/storage @spillway/worker bullmq fastify @fastify/cors ioredis onnxruntime-web openai pino undici yaml zod',
  '@aws-sdk/client-s3 @opentelemetry/api @datadog/sketches-js ml-matrix ./own.ts ../own/other.ts',
  'commander csv-parse csv-stringify html-to-text hyparquet lit-html lit-html/directives/live.js uplot hyparquet-writer log-update string-width unpdf',
  'node:child_process node:crypto node:fs node:fs/promises node:net',
].flatMap((line) => line.split(' '));

/** What no relative path may reach. */
const FOREIGN = [
  '../../../services/api/src/main.ts',
  '../../core/src/index.ts',
  '../../../packages/redis/src/index.ts',
];

/** Whether a list of allowed names has this one: `*` stands for one part of a name, `**` for any. */
function isAllowed(allowed: readonly string[], name: string): boolean {
  const patterns = allowed.map((one) => one.replaceAll('**', '.+').replaceAll(/(?<!\.\+)\*/g, '[^/]*'));
  return name.startsWith('.') || patterns.some((pattern) => new RegExp(`^${pattern}$`).test(name));
}

test('each package may import what its list names, and nothing else', async () => {
  const { overrides } = JSON.parse(await readFile(join(root, '.oxlintrc.json'), 'utf8')) as {
    overrides: readonly Override[];
  };
  const lists = overrides.flatMap(({ files: [files = ''], rules }) => {
    const rule = rules['no-restricted-imports'] ?? 'off';
    const group = rule === 'off' ? undefined : rule[1].patterns.find((one) => one.group !== undefined)?.group;
    return group === undefined ? [] : [{ folder: dirname(files), group }];
  });
  const packages = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { workspaces: string[] };
  assert.deepEqual(packages.workspaces, ['packages/*', 'services/*']);
  assert.equal(lists.length, 14, 'every package and every service has a list');
  for (const { folder, group } of lists) {
    const allowed = group.filter((one) => one.startsWith('!')).map((one) => one.slice(1));
    const file = join(place, folder, 'probe.ts');
    await mkdir(dirname(file), { recursive: true });
    const imports = [...NAMES, ...FOREIGN];
    await writeFile(file, imports.map((name, at) => `import * as a${at} from '${name}';`).join('\n'));
    const oxlint = join(root, 'node_modules/.bin/oxlint');
    const { stdout } = await run(oxlint, ['-A', 'all', '-D', 'no-restricted-imports', '-f', 'unix', file], {
      cwd: place,
    }).catch((error: { stdout: string }) => error);
    const refused = imports.filter((name) => stdout.includes(`'${name}' import is restricted`));
    const expected = [...NAMES.filter((name) => !isAllowed(allowed, name)), ...FOREIGN];
    assert.deepEqual(refused.toSorted(), expected.toSorted(), folder);
  }
});
