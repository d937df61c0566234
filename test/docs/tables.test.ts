import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  ASK_REASONS,
  classOf,
  decideFault,
  ESCALATION_REASONS,
  modelFindings,
  NEXT_STATUS,
  readConfiguration,
  settingsShape,
  SIGNALS,
  type Fault,
  type SignalName,
} from '@spillway/core';
import { shownMetrics } from '@spillway/runtime';
import { parse } from 'yaml';
import { ROOT } from '../support/compose.ts';
import type { ServiceName } from '../support/service.ts';
import { variablesOf } from '../support/variables.ts';
import { blockBelow, namesIn, readText, sectionOf, sourcesOf, tableOf } from './documents.ts';

const first = (cells: readonly string[]): string => cells[0] ?? '';
const namesOfFirst = (rows: readonly string[][]): string[] => rows.flatMap((cells) => namesIn(first(cells)));
const sorted = (names: Iterable<string>): string[] => [...new Set(names)].toSorted();

/** Cells are padded, and a pipe in them is escaped. */
const plain = (text: string): string => text.replaceAll('\\|', '|');

test('the reasons of an escalation are those of the code, in its words', () => {
  const rows = tableOf(sectionOf('docs/confidence.md', 'Why a document is escalated'), 'reason');
  assert.deepEqual(
    rows.map(([reason = '', meaning = '']) => ({ reason: reason.replaceAll('`', ''), meaning: plain(meaning) })),
    ESCALATION_REASONS,
  );
});

test('the reasons to ask for a whole answer are those of the code, in its words', () => {
  const rows = tableOf(sectionOf('docs/cascades.md', 'When the whole answer is asked for'), 'reason');
  assert.deepEqual(
    rows.map(([reason = '', meaning = '']) => ({ reason: reason.replaceAll('`', ''), meaning: plain(meaning) })),
    ASK_REASONS,
  );
});

test('the signals are those of the code, with their parameters and what they say without a calibration', () => {
  const rows = tableOf(sectionOf('docs/confidence.md', 'Signals'), '`signal`');
  assert.deepEqual(sorted(namesOfFirst(rows)), sorted(Object.keys(SIGNALS)));
  for (const [name = '', parameters = '', , without = ''] of rows) {
    const signal = SIGNALS[name.replaceAll('`', '') as SignalName];
    const known = Object.keys(signal.spec.shape).filter((key) => key !== 'name');
    const named = namesIn(parameters.replaceAll(/: `[^`]+` or `[^`]+`/g, ''));
    assert.deepEqual(named, known, name);
    assert.equal(without === 'needs one', signal.probability === null, name);
  }
});

/** The services that each word of the table of variables means. */
const OF: Readonly<Record<string, readonly string[]>> = {
  api: ['api'],
  dispatcher: ['dispatcher'],
  workers: ['drafter', 'expert'],
  services: ['api', 'dispatcher', 'drafter', 'expert'],
  playground: ['playground'],
  terminal: ['terminal'],
};

/** What the processes read that are no services. */
const OTHERS = { playground: 'services/playground/src/server/config.ts', terminal: 'packages/cli/src/settings.ts' };

test('the variables are those that each process reads', () => {
  const read = new Map<string, string[]>();
  const add = (name: string, by: string): void => void read.set(name, [...(read.get(name) ?? []), by].toSorted());
  for (const service of ['api', 'dispatcher', 'drafter', 'expert'] satisfies ServiceName[]) {
    for (const name of variablesOf(service, join(ROOT, 'spillway.yaml'))) add(name, service);
  }
  for (const [name, path] of Object.entries(OTHERS)) {
    for (const [, variable = ''] of readText(path).matchAll(/(?:env|environment)\['(\w+)'\]/g)) {
      if (read.get(variable)?.includes(name) !== true) add(variable, name);
    }
  }
  const rows = tableOf(sectionOf('docs/configuration.md', 'Environment'), 'variable');
  const documented = rows.flatMap(([names = '', of = '']) => {
    const processes = of.split(', ').flatMap((word) => OF[word] ?? assert.fail(`who is "${word}"?`));
    return namesIn(names).map((name) => [name, processes.toSorted()] as const);
  });
  assert.deepEqual(Object.fromEntries(documented), Object.fromEntries(read));
  assert.equal(documented.length, read.size, 'a variable stands there twice');
});

test('the variables of Compose are those that its file reads, beside those of the services', () => {
  const rows = tableOf(sectionOf('docs/operations.md', 'One machine: Compose'), 'variable');
  const compose = new Set([...readText('docker-compose.yml').matchAll(/\$\{(\w+)/g)].map(([, name = '']) => name));
  const ofServices = namesOfFirst(tableOf(sectionOf('docs/configuration.md', 'Environment'), 'variable'));
  const own = [...compose].filter((name) => !ofServices.includes(name) || name === 'REDIS_URL');
  assert.deepEqual(sorted(namesOfFirst(rows)), sorted(own));
});

/** The keys of an object of a schema, as they stand in the source between two lines. */
function keysBetween(path: string, from: string, to: string): string[] {
  const text = readText(path);
  const start = text.indexOf(from);
  const inner = text.slice(start + from.length, text.indexOf(to, start));
  return [...inner.matchAll(/^ {2}(\w+)[:,]/gm)].map(([, key = '']) => key);
}

test('the keys of the YAML are those of the code, and the example has all of them', () => {
  const config = 'packages/core/src/config.ts';
  const settings = Object.keys(settingsShape);
  const scaling = ['drain_s', 'cold_start_s', 'max_replicas'].map((key) => `scaling.${key}`);
  const section = sectionOf('docs/configuration.md', '`spillway.yaml`');
  const namesBelow = (title: string): string[] => sorted(namesOfFirst(tableOf(section, title)));
  const ofModel = keysBetween(config, 'const model = z.strictObject({', '\n});').filter((key) => key !== 'scaling');
  assert.deepEqual(namesBelow('key of `models.<name>`'), sorted([...ofModel, ...settings, ...scaling]));
  const spec = 'packages/core/src/cascade/spec.ts';
  const ofStage = keysBetween(spec, 'const stage = z.strictObject({', '\n});');
  const ofValue = ['fields.<pointer>.accept_at', 'fields.<pointer>.calibration'];
  const inner = ['verify.tolerance', ...ofValue, 'verdict.accept_at', 'verdict.calibration'];
  const outer = new Set(inner.map((name) => name.slice(0, name.indexOf('.'))));
  const shown = [...ofStage.filter((key) => !outer.has(key)), ...inner];
  assert.deepEqual(namesBelow('key of a stage'), sorted([...shown, ...settings]));
  const aims = keysBetween(spec, 'const AIMS = {', '\n};');
  const ofForms = ['const longForm = z.strictObject({', 'const shortForm = z.strictObject({'].flatMap((from) =>
    keysBetween(spec, from, '\n});'),
  );
  const ofCascade = [...ofForms, ...aims];
  assert.deepEqual(namesBelow('key of `cascades.<name>`'), sorted(ofCascade));
  const ofWebhook = keysBetween(config, 'const webhook = z.strictObject({', '\n});');
  assert.deepEqual(namesBelow('key of `webhooks.<name>`'), sorted(ofWebhook));

  const text = blockBelow('docs/configuration.md', '`spillway.yaml`', 'yaml');
  assert.equal(readConfiguration(text).kind, 'valid');
  const written = parse(text) as {
    models: Record<string, object>;
    cascades: Record<string, { stages?: object[] }>;
    webhooks: Record<string, object>;
  };
  const keysOf = (objects: readonly object[]): string[] => sorted(objects.flatMap((one) => Object.keys(one)));
  assert.deepEqual(keysOf(Object.values(written.models)), sorted([...ofModel, ...settings, 'scaling']));
  const cascades = Object.values(written.cascades);
  assert.deepEqual(keysOf(cascades.flatMap(({ stages = [] }) => stages)), sorted([...ofStage, ...settings]));
  assert.deepEqual(keysOf(cascades), sorted(ofCascade));
  assert.deepEqual(keysOf(Object.values(written.webhooks)), sorted(ofWebhook));
});

test('the keys that no setting may touch are those that are refused', () => {
  const text = sectionOf('docs/configuration.md', 'Requests to a model');
  const line = text.split('\n').find((one) => one.startsWith('These keys cannot be set')) ?? '';
  // `format` is refused in `text` only.
  const named = namesIn(line).filter((key) => !['format', 'text'].includes(key));
  assert.ok(named.length > 5);
  const refused = (key: string): boolean =>
    readConfiguration(
      `models: { a: { base_url: http://x/v1, model: a, drop: [${key}] }, b: { base_url: http://x/v1, model: b } }\n` +
        'cascades: { c: { drafter: a, expert: b, accept_at: 0.5 } }',
    ).kind === 'invalid';
  for (const key of named) assert.ok(refused(key), key);
  const all = keysOfSet('packages/core/src/cascade/settings.ts', 'const RESERVED');
  assert.deepEqual(sorted(named), sorted(all));
  assert.ok(!refused('logit_bias'));
});

/** The texts of a set that stands in a source. */
function keysOfSet(path: string, from: string): string[] {
  const text = readText(path);
  const start = text.indexOf(from);
  return [...text.slice(start, text.indexOf(']);', start)).matchAll(/'(\w+)'/g)].map(([, key = '']) => key);
}

/** The codes that the sources below a folder give errors. */
function codesIn(...folders: readonly string[]): string[] {
  const patterns = [
    /\bcode: '([a-z_]+)'/g,
    /\bcode = '([a-z_]+)'/g,
    /\b(?:conflict|tooMany|bad|field)\([^;]*?, '([a-z]+_[a-z_]+)'\)/g,
  ];
  const found = folders.flatMap(sourcesOf).flatMap((text) => patterns.flatMap((one) => [...text.matchAll(one)]));
  return sorted(found.map(([, code = '']) => code).filter((code) => !OF_ZOD.has(code)));
}

const OF_ZOD = new Set(['custom', 'too_big', 'too_small', 'invalid_key']);

test('the errors over HTTP are those that the API makes, with their status', () => {
  const section = sectionOf('docs/api.md', 'Errors');
  const rows = tableOf(section, 'status');
  const named = rows.flatMap(([, code = '']) => namesIn(code));
  assert.deepEqual(sorted(named), codesIn('services/api/src'));
  const text = sourcesOf('services/api/src').join('\n');
  for (const [status = '', code = ''] of rows) {
    const [name = ''] = namesIn(code);
    const made = [...text.matchAll(new RegExp(`new ApiError\\(\\s*(\\d{3}),[^;]*?code: '${name}'`, 'g'))];
    for (const [, own = ''] of made.filter(([all]) => all.split('new ApiError').length === 2)) {
      const says = rows.find((cells) => cells[1] === code);
      assert.ok(own === status || says?.[2]?.includes(own), `${name}: ${status} is ${own} in the code`);
    }
  }
});

test("the codes of a failed batch's lines are those that validation finds", () => {
  const rows = tableOf(sectionOf('docs/api.md', 'Lines of a failed batch'), 'code');
  const named = namesOfFirst(rows);
  const request = readText('packages/core/src/document/request.ts');
  const found = [
    ...[...request.matchAll(/\b(?:bad|field)\(\s*'([a-z_0-9]+)'/g)].map(([, code = '']) => code),
    ...codesOf('packages/core/src/document/request.ts'),
    ...codesIn('packages/core/src/endpoints'),
    ...[...readText('packages/storage/src/input-check.ts').matchAll(/code: '([a-z_]+)'/g)].map(([, code = '']) => code),
    ...codesOf('packages/storage/src/labels.ts'),
    'max_usd_reached',
  ];
  assert.deepEqual(sorted(named), sorted(found));
});

test('the codes of error lines are those that stages and endings write', () => {
  const named = namesOfFirst(tableOf(sectionOf('docs/api.md', 'Lines of the error file'), 'code'));
  const written = [
    ...codesIn('packages/cascade/src'),
    ...codesOf('services/dispatcher/src/seal.ts'),
    'max_usd_reached',
  ];
  const ofStages = [...readText('packages/cascade/src/failed-call.ts').matchAll(/'(request_timeout|server_error)'/g)];
  assert.deepEqual(sorted(named), sorted([...written, ...ofStages.map(([, code = '']) => code)]));
});

const codesOf = (path: string): string[] =>
  [...readText(path).matchAll(/code: '([a-z_]+)'/g)].map(([, code = '']) => code);

test('the metrics are the catalogue, by the names that Prometheus has for them', () => {
  const rows = tableOf(sectionOf('docs/operations.md', 'Metrics'), 'metric');
  assert.deepEqual(
    rows.map(([name = '', kind]) => ({ name: name.replaceAll('`', ''), kind })),
    shownMetrics(),
  );
});

test('the runbook has a section for every alert, and no other', () => {
  const { spec } = parse(readText('k8s/components/monitoring/alerts.yaml')) as {
    spec: { groups: { rules: { alert: string; annotations: { runbook_url: string } }[] }[] };
  };
  const rules = spec.groups.flatMap((group) => group.rules);
  const alerts = rules.map(({ alert }) => alert);
  // An address ends with the heading as links name it.
  for (const { alert, annotations } of rules)
    assert.match(annotations.runbook_url, new RegExp(`^https://\\S+/docs/operations\\.md#${alert.toLowerCase()}$`));
  const runbook = sectionOf('docs/operations.md', 'Runbook');
  const headings = [...runbook.matchAll(/^### (.+)$/gm)].map(([, title = '']) => title);
  assert.deepEqual(headings, alerts);
  for (const alert of alerts) assert.ok(sectionOf('docs/operations.md', alert).trim().split('\n\n').length >= 2, alert);
});

test('every log line that the documents name is one that a process writes', () => {
  const rows = tableOf(sectionOf('docs/operations.md', 'Log lines'), 'other lines');
  const sources = ['packages', 'services'].flatMap(sourcesOf).join('\n');
  const messages = rows
    .flatMap(([lines = '']) => namesIn(lines))
    .filter((name) => !['info', 'debug', 'warn'].includes(name));
  assert.ok(messages.length > 10);
  for (const message of messages) assert.ok(sources.includes(`'${message}'`), message);
});

test('the states of a batch are those of its one table', () => {
  const [diagram = ''] = [...sectionOf('docs/architecture.md', 'States').matchAll(/```mermaid\n([\s\S]*?)```/g)].map(
    ([, inner = '']) => inner,
  );
  const ways = [...diagram.matchAll(/^ +(\w+) --> (\w+)/gm)].map(([, from = '', to = '']) => `${from} ${to}`);
  const known = Object.entries(NEXT_STATUS).flatMap(([from, next]) => next.map((to) => `${from} ${to}`));
  assert.deepEqual(sorted(ways), sorted(known));
});

const faultOf = (name: string): Fault => {
  if (/^\d+$/.test(name))
    return { kind: 'http', status: Number(name), body: null, retryAfterMs: null, requestId: null };
  if (name === 'garbled') return { kind: 'garbled', status: 200, message: '' };
  return { kind: name as 'unreachable' | 'timeout' | 'reset', message: '' };
};

test('the table of failures is what the code decides', () => {
  const rows = tableOf(sectionOf('docs/architecture.md', 'What a failure means'), 'fault');
  const seen = new Set<string>();
  for (const [faults = '', cause = '', decision = ''] of rows) {
    // What is said of a status with a body of some kind stands behind it, in words.
    for (const name of namesIn(faults.split(';')[0] ?? '')) {
      seen.add(name);
      const fault = faultOf(name);
      const decided = decideFault(fault, { usedAttempts: 1, refusals: 0, jitter: 0 });
      const said = decided.kind === 'final' && decided.rejected ? 'final, rejected' : decided.kind;
      assert.deepEqual([said, `\`${classOf(fault)}\``], [decision, cause], `${name} ${faults}`);
    }
  }
  for (const kind of ['unreachable', 'timeout', 'reset', 'garbled', '400', '401', '429', '502', '503', '529'])
    assert.ok(seen.has(kind), kind);
});

type Override = {
  readonly files: readonly string[];
  readonly rules: { readonly 'no-restricted-imports'?: unknown };
};

test('what packages may import is what the linter allows', () => {
  const { overrides } = JSON.parse(readFileSync(join(ROOT, '.oxlintrc.json'), 'utf8')) as { overrides: Override[] };
  const allowed = overrides.flatMap(({ files, rules }) => {
    const [folder = ''] = files;
    if (!/^(packages|services)\/\w+\/src\/\*\*$/.test(folder)) return [];
    const names = [...JSON.stringify(rules['no-restricted-imports']).matchAll(/"!@spillway\/(\w+)"/g)].map(
      ([, name = '']) => name,
    );
    return [[folder.replace('/src/**', ''), names.length === 0 ? 'nothing' : names.toSorted().join(', ')] as const];
  });
  const rows = tableOf(sectionOf('docs/architecture.md', 'The house'), 'package');
  const documented = rows.map(([name = '', imports = '']) => [name.replaceAll('`', ''), imports] as const);
  assert.deepEqual(Object.fromEntries(documented), Object.fromEntries(allowed));
  const packages = ['packages', 'services'].flatMap((root) =>
    readdirSync(join(ROOT, root)).map((name) => `${root}/${name}`),
  );
  assert.deepEqual(sorted(Object.keys(Object.fromEntries(documented))), sorted(packages));
});

test('what a check finds is explained, all of it', () => {
  const rows = tableOf(sectionOf('docs/operations.md', 'The check of every model'), 'key');
  assert.deepEqual(namesOfFirst(rows), Object.keys(modelFindings.shape));
});

test('the options of the terminal are those that it takes', () => {
  const source = readText('packages/cli/src/calibrate/options.ts');
  const known = source.slice(source.indexOf('const KNOWN'), source.indexOf('} as const'));
  const options = [...known.matchAll(/^ {2}'?([\w-]+)'?: \{/gm)].map(([, name = '']) => `--${name}`);
  const rows = tableOf(sectionOf('docs/confidence.md', 'Calibrate a stage'), 'option');
  assert.deepEqual(sorted(namesOfFirst(rows)), sorted(options));
});

test('each threat is stopped by something that a test shows, and the test is there', () => {
  const rows = tableOf(sectionOf('docs/operations.md', 'Threats'), 'what');
  assert.ok(rows.length > 0);
  for (const row of rows) {
    const [, path = '', , title] = /^\[`([^`]+)`\]\([^)]+\)(: "(.+)")?$/.exec(row[3] ?? '') ?? [];
    assert.notEqual(path, '', `${row[1]}: no test`);
    if (title !== undefined) assert.ok(readText(path).includes(title), `${path} has no test "${title}"`);
  }
});
