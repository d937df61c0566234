import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS, readConfiguration } from '@spillway/core';
import { namesIn, readText, sectionOf, sourcesOf, tableOf } from './documents.ts';

const count = (value: number): string => value.toLocaleString('en-US');
const MIB = 1024 ** 2;
const mib = (bytes: number): string => (bytes >= 1024 * MIB ? `${bytes / MIB / 1024} GiB` : `${bytes / MIB} MiB`);

const UNITS = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
] as const;

/** Seconds in their largest unit: `7 days`. */
function time(seconds: number): string {
  const [name, unit] = UNITS.find(([, one]) => seconds % one === 0) ?? assert.fail(`${seconds} s`);
  return `${seconds / unit} ${name}${seconds === unit ? '' : 's'}`;
}

test('the limits are those of the code', () => {
  const rows = tableOf(sectionOf('docs/api.md', 'Limits'), 'what');
  const atOnce = /MAX_AT_ONCE = (\d+)/.exec(readText('services/api/src/direct/direct-answers.ts'))?.[1] ?? '';
  const dryRuns = /MAX_AT_ONCE = (\d+)/.exec(readText('services/api/src/dry-run/dry-run.ts'))?.[1] ?? '';
  const { metadataKeys, metadataKeyCharacters, metadataValueCharacters } = LIMITS;
  const expected: Readonly<Record<string, string>> = {
    'bytes of a file': `${mib(LIMITS.uploadBytes)} (\`SPILLWAY_MAX_UPLOAD_BYTES\`)`,
    'requests of a batch': `${count(LIMITS.batchLines)} (\`SPILLWAY_MAX_LINES\`)`,
    'bytes of a line': `${mib(LIMITS.lineBytes)} (\`SPILLWAY_MAX_LINE_BYTES\`, at most ${mib(LIMITS.lineBytesMax)})`,
    'inline `requests`': `${mib(LIMITS.inlineRequestsBytes)}, ${count(LIMITS.inlineRequests)} lines`,
    'characters of a `custom_id`': count(LIMITS.customIdCharacters),
    'labels of a batch, characters of a name, of a value': `${metadataKeys}, ${metadataKeyCharacters}, ${metadataValueCharacters}`,
    'characters of an `Idempotency-Key`': count(LIMITS.idempotencyKeyCharacters),
    'depth of a JSON body': count(LIMITS.jsonDepth),
    'values of a JSON body, of each inline request': count(LIMITS.jsonValues),
    'values of all inline requests together': count(LIMITS.inlineValues),
    'time for a body that is no file to come': `${LIMITS.bodyMs / 1000} seconds`,
    'completion window': `${time(LIMITS.completionWindowMinMs / 1000)} to ${time(LIMITS.completionWindowMaxMs / 1000)}`,
    'expiry of a file': `${time(LIMITS.fileExpiryMinSeconds)} to ${time(LIMITS.fileExpiryMaxSeconds)}`,
    'documents of a pilot': count(LIMITS.pilotDocuments),
    'a dry run': `${time(LIMITS.dryRunCheckMs / 1000)} for its input, ${time(LIMITS.pilotMs / 1000)} for its pilot, ${dryRuns} at a time`,
    'a direct answer': `${time(LIMITS.directAnswerMs / 1000)}, ${atOnce} at a time`,
    'body of a direct answer': mib(LIMITS.requestBodyBytes),
    'retries in a row': count(LIMITS.retryDepth),
    'stages of a cascade': count(LIMITS.cascadeStages),
  };
  assert.deepEqual(Object.fromEntries(rows.map(([what = '', limit = '']) => [what, limit])), expected);
  const held = tableOf(sectionOf('docs/operations.md', 'Backpressure'), 'what').map(([, bound = '']) => bound);
  assert.deepEqual(held, [
    mib(LIMITS.waitingBytesPerTier),
    mib(LIMITS.inFlightBytesPerWay),
    `${LIMITS.enqueueMemoryShare * 100} % of \`maxmemory\``,
    `${LIMITS.createMemoryShare * 100} % of \`maxmemory\``,
  ]);
});

const PLAIN = `
models:
  a: { base_url: http://x/v1, model: a }
  b: { base_url: http://x/v1, model: b }
cascades:
  c: { drafter: a, expert: b, accept_at: 0.5 }
`;

test('the defaults of the YAML are those of the code', () => {
  const read = readConfiguration(PLAIN);
  assert.ok(read.kind === 'valid');
  const { models, cascades } = read.configuration;
  const section = sectionOf('docs/configuration.md', '`spillway.yaml`');
  const check = (title: string, of: object): number => {
    const rows = tableOf(section, title).filter(([, , text = '']) => /^(`.+`|\d+)$/.test(text));
    for (const [name = '', , text = ''] of rows) {
      const value = (namesIn(name)[0] ?? '')
        .split('.')
        .reduce<unknown>((inner, key) => (inner as Record<string, unknown>)[key], of);
      assert.equal(String(value), text.replaceAll('`', ''), name);
    }
    return rows.length;
  };
  assert.ok(check('key of `models.<name>`', models['a'] ?? {}) >= 9);
  assert.ok(check('key of `cascades.<name>`', cascades['c'] ?? {}) >= 2);
  assert.deepEqual(cascades['c']?.stages[0]?.judge?.confidence, { signal: { name: 'sum_logprob' }, calibration: null });
});

test('the defaults of whole-number variables are those of the code', () => {
  const sources = [
    'packages/runtime/src',
    'packages/worker/src',
    'services/api/src',
    'services/dispatcher/src',
  ].flatMap(sourcesOf);
  const fallbacks = new Map<string, number>();
  for (const text of sources) {
    for (const [, name = '', value = ''] of text.matchAll(/'([A-Z_]+)', \{\s*fallback: ([\w.]+)/g)) {
      const limit = LIMITS[value.replace('LIMITS.', '') as keyof typeof LIMITS];
      fallbacks.set(name, limit ?? Number(value.replaceAll('_', '')));
    }
  }
  const rows = tableOf(sectionOf('docs/configuration.md', 'Environment'), 'variable');
  const shown = new Map(
    rows.flatMap(([names = '', , , text = '']) => {
      const values = text.split(', ');
      return namesIn(names).map((name, index) => [name, values[index]] as const);
    }),
  );
  let checked = 0;
  for (const [name, value] of fallbacks) {
    const text = shown.get(name)?.replace(/;.*$/, '') ?? '';
    if (!/^\d+$/.test(text)) continue;
    assert.equal(Number(text), value, name);
    checked += 1;
  }
  assert.ok(checked >= 15, `${checked} variables`);
  const share = /LOGGED_SHARE = ([\d.]+)/.exec(readText('packages/runtime/src/configuration.ts'))?.[1];
  assert.equal(shown.get('SPILLWAY_LOG_ATTEMPT_SHARE'), share);
});
