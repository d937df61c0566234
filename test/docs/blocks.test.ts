import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { readConfiguration, resultLine } from '@spillway/core';
import { redecisionPreview } from '../../services/api/src/batches/redecide-preview.ts';
import { parseKeys } from '../../services/api/src/keys/file.ts';
import { batchAccount, thresholds } from '../../services/api/src/schemas/account.ts';
import { batchEstimate } from '../../services/api/src/schemas/estimate.ts';
import { batchReport } from '../../services/api/src/schemas/report.ts';
import { readCompose, ROOT } from '../support/compose.ts';
import {
  blockBelow,
  blocksOf,
  DOCUMENTS,
  namesIn,
  proseOf,
  readText,
  sectionOf,
  tableOf,
  type Block,
} from './documents.ts';

/** The documents whose blocks are compared with the code; the guide for a cluster has its own tests (test/cluster). */
const COMPARED = DOCUMENTS.filter((path) => path !== 'k8s/README.md');

/** What may stand in a block. Blocks of `js` and `python` are the README's clients, which are run. */
const LANGUAGES = new Set(['bash', 'json', 'jsonl', 'yaml', 'mermaid', 'text', 'js', 'python']);

const blocksIn = (language: string): Block[] =>
  COMPARED.flatMap(blocksOf).filter((block) => block.language === language);

test('every block says what it is, and programs stand in the README only, where they are run', () => {
  for (const path of COMPARED) {
    for (const { at, language } of blocksOf(path)) {
      assert.ok(LANGUAGES.has(language), `${at}: ${language}`);
      if (['js', 'python'].includes(language)) assert.equal(path, 'README.md', at);
    }
  }
});

test('a page with commands that are not run says so', () => {
  for (const path of COMPARED.filter((one) => blocksOf(one).some(({ language }) => language === 'bash'))) {
    if (path === 'README.md') continue;
    assert.match(proseOf(path), /not run by a test/, path);
  }
});

test('YAML is a configuration that the services take', () => {
  const blocks = blocksIn('yaml');
  assert.ok(blocks.length >= 3);
  for (const { at, text } of blocks) {
    const read = readConfiguration(text);
    assert.deepEqual(read.kind === 'invalid' ? read.problems : [], [], at);
  }
});

test('JSON is an example of what the code writes', () => {
  const line: unknown = JSON.parse(blockBelow('docs/api.md', 'The result line', 'json'));
  assert.deepEqual(resultLine.parse(line), line);
  const account: unknown = JSON.parse(blockBelow('docs/api.md', 'The batch object', 'json'));
  assert.deepEqual(batchAccount.parse(account), account);
  const estimate: unknown = JSON.parse(blockBelow('docs/api.md', 'A dry run', 'json'));
  assert.deepEqual(batchEstimate.parse(estimate), estimate);
  const report: unknown = JSON.parse(blockBelow('docs/api.md', 'The report', 'json'));
  assert.deepEqual(batchReport.parse(report), report);
  const preview: unknown = JSON.parse(blockBelow('docs/api.md', 'Other thresholds', 'json'));
  assert.deepEqual(redecisionPreview.parse(preview), preview);
  const scaling = JSON.parse(blockBelow('docs/operations.md', 'The scaling signal', 'json')) as object;
  const type =
    /export type Scaling = \{([\s\S]*?)\n\};/.exec(readText('packages/core/src/cascade/scaling.ts'))?.[1] ?? '';
  const keys = [...type.matchAll(/^ {2}readonly (\w+):/gm)].map(([, key = '']) => key);
  assert.deepEqual(Object.keys(scaling), keys);
  const title = 'Thresholds: a number, a budget, or a promise';
  const certificate: unknown = JSON.parse(blockBelow('docs/confidence.md', title, 'json'));
  assert.deepEqual(thresholds.parse([certificate]), [certificate]);
  assert.equal(blocksIn('json').length, 8, 'each example has a test');
});

test('the keys of a result line are explained, all of them', () => {
  const [top, ofStages] = ['Keys of `cascade`:', 'Keys of each of its `stages`:'].map((title) => {
    const text = sectionOf('docs/api.md', 'The result line');
    const rows = tableOf(text.slice(text.indexOf(title)), 'key');
    return new Set(rows.flatMap(([names = '']) => namesIn(names)).map((name) => name.split('.')[0]));
  });
  const { cascade } = resultLine.shape;
  const annotation = cascade.unwrap();
  assert.deepEqual(top, new Set(Object.keys(annotation.shape)));
  assert.deepEqual(ofStages, new Set(Object.keys(annotation.shape.stages.element.shape)));
});

test('the example of a log line has the fields of an attempt', () => {
  const line = JSON.parse(blockBelow('docs/operations.md', 'Log lines', 'json')) as object;
  const source = readText('packages/cascade/src/telemetry/attempt-line.ts');
  const type = /export type AttemptLine = \{([\s\S]*?)\n\};/.exec(source)?.[1] ?? '';
  const fields = [...type.matchAll(/^ {2}readonly (\w+):/gm)].map(([, name = '']) => name);
  assert.ok(fields.length > 10);
  assert.deepEqual(Object.keys(line), ['level', 'time', 'service', 'pid', ...fields, 'msg']);
});

test('lines of JSON are lines of JSON, and a key file is one', () => {
  for (const { at, text } of blocksIn('jsonl')) {
    for (const line of text.trimEnd().split('\n')) assert.doesNotThrow(() => JSON.parse(line), at);
  }
  const { entries, problems } = parseKeys(blockBelow('docs/configuration.md', 'The key file', 'jsonl'));
  assert.deepEqual([entries.length, problems], [2, []]);
});

const scripts = (JSON.parse(readText('package.json')) as { scripts: Record<string, string> }).scripts;

/** The commands of a block: comments and continued lines are put away. */
const commandsOf = ({ text }: Block): string[] =>
  text
    .replaceAll('\\\n', ' ')
    .split(/\n|&&/)
    .map((line) => line.replace(/(^|\s)#.*$/, '').trim())
    .filter((line) => line !== '');

/** Commands in sentences, such as `npm run calibrate -- --batch …`. */
const inSentences = (path: string): string[] =>
  namesIn(proseOf(path)).filter((name) => /^(npm|npx|docker|kubectl) /.test(name));

const COMMANDS = COMPARED.flatMap((path) => [
  ...blocksOf(path)
    .filter(({ language }) => language === 'bash')
    .flatMap((block) => commandsOf(block).map((command) => ({ at: block.at, command }))),
  ...inSentences(path).map((command) => ({ at: path, command })),
]);

const isAssignment = (word: string): boolean => /^[A-Z_]+=/.test(word);

/** The words of a command, without the variables before it; quoted ones are one. */
const wordsOf = (command: string): string[] => command.match(/(?:'[^']*'|"[^"]*"|\S)+/g) ?? [];

test('npm scripts that are named are there, and take the options that they are given', () => {
  let checked = 0;
  for (const { at, command } of COMMANDS) {
    const words = wordsOf(command).filter((word) => !isAssignment(word));
    if (words[0] !== 'npm' || words[1] !== 'run') continue;
    const [name = '', ...rest] = words.slice(2).filter((word) => word !== '-s');
    const script = scripts[name];
    assert.ok(script !== undefined, `${at}: npm run ${name}`);
    const [, main = '', folder = ''] = /([\w/.-]+\.ts)(?: (\w+))?$/.exec(script) ?? [];
    for (const option of rest.flatMap((word) => /^\[?--([a-z-]+)/.exec(word)?.[1] ?? [])) {
      assert.ok(main !== '' && takes(join(dirname(main), folder), option), `${at}: npm run ${name} -- --${option}`);
      checked += 1;
    }
  }
  assert.ok(checked > 15, `${checked} options`);
});

/** Whether a program's folder, or that of its command, knows an option. */
function takes(folder: string, option: string): boolean {
  const files = readdirSync(join(ROOT, folder)).filter((name) => name.endsWith('.ts'));
  return files.some((name) =>
    new RegExp(`(^ +'?${option}'?: \\{|'--${option}')`, 'm').test(readText(join(folder, name))),
  );
}

test('files that commands name are there', () => {
  for (const { at, command } of COMMANDS) {
    for (const path of command.match(/\b(?:test|k8s|services|packages|compose)\/[\w./-]*\w/g) ?? []) {
      assert.ok(existsSync(join(ROOT, path)), `${at}: ${path}`);
    }
  }
});

test('what Compose is asked for is in its file', async () => {
  const { services } = await readCompose();
  const profiles = new Set(Object.values(services).flatMap((service) => service.profiles ?? []));
  const asked = COMMANDS.filter(({ command }) => command.includes('docker compose'));
  assert.ok(asked.length >= 6);
  for (const { at, command } of asked) {
    for (const [, profile = ''] of command.matchAll(/--profile (\w+)/g))
      assert.ok(profiles.has(profile), `${at}: ${profile}`);
    for (const [, name = ''] of command.matchAll(/--scale (\w+)=|\blogs (\w+)|\brun --rm (\w+)/g)) {
      if (name !== '') assert.ok(name in services, `${at}: ${name}`);
    }
    const words = wordsOf(command);
    const name = words[words.indexOf('logs') + 1];
    if (words.includes('logs')) assert.ok(name !== undefined && name in services, `${at}: ${name}`);
  }
});

test('variables that commands set are documented', () => {
  const documented = ['docs/configuration.md', 'docs/operations.md'].flatMap((path) =>
    namesIn(proseOf(path)).filter((name) => /^[A-Z][A-Z0-9_]+$/.test(name)),
  );
  // The README's own, of its client in curl.
  const known = new Set([...documented, 'API', 'FILE', 'BATCH']);
  for (const { at, command } of COMMANDS) {
    for (const word of wordsOf(command).filter(isAssignment)) {
      const [name = ''] = word.split('=');
      assert.ok(known.has(name), `${at}: ${name}`);
    }
  }
});

test('each folder of tests has its script', () => {
  const named = Object.keys(scripts).filter((name) => name.startsWith('test:'));
  const rows = tableOf(sectionOf('CONTRIBUTING.md', 'Where does a test go?'), 'folder');
  const documented = rows.flatMap(([, , command = '']) => namesIn(command)).map((name) => name.replace('npm run ', ''));
  assert.deepEqual(documented.toSorted(), named.toSorted());
});

test('the trace and the demo are shown with the words that they say', () => {
  const trace = sectionOf('docs/operations.md', 'Traces');
  const waterfall = readText('packages/cli/src/trace/waterfall.ts');
  for (const word of ['hand-off', 'queue.wait', 'accept_at', 'escalated to', 'sequential wait:']) {
    assert.ok(trace.includes(word) && waterfall.includes(word), word);
  }
  const demo = blockBelow('README.md', 'Try it', 'text');
  const summary = readText('services/playground/src/demo/summary.ts');
  const labels = [...summary.matchAll(/\bline\(\s*'([a-z ]+)'/g)].map(([, label = '']) => label);
  assert.ok(labels.length >= 8);
  for (const label of labels.filter((one) => one !== 'error file')) {
    assert.match(demo, new RegExp(`^  ${label} {2,}`, 'm'), label);
  }
  for (const text of ['from enqueueing to the answer, queues included', 'hand-off', "drafter's queue"]) {
    assert.ok(demo.includes(text) && summary.includes(text), text);
  }
  const says = readText('services/playground/src/demo/demo.ts');
  for (const [, text = ''] of says.matchAll(/screen\.line\('([^']+)'\)/g)) assert.ok(demo.includes(text), text);
});
