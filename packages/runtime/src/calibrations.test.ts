import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { calibrationArtefact, readConfiguration, type CalibrationArtefact } from '@spillway/core';
import { Calibrations } from './calibrations.ts';
import { EnvReader } from './env.ts';
import { openLog } from './log.ts';

const MODELS = Object.fromEntries(
  ['small', 'medium', 'large'].map((name) => [name, { base_url: 'http://127.0.0.1:1/v1', model: `${name}-4b` }]),
);

const artefact = (of: Partial<CalibrationArtefact>): string =>
  JSON.stringify(
    calibrationArtefact.parse({
      kind: 'spillway.calibration',
      v: 2,
      cascade: 'long',
      stage: 1,
      ask: 'answer',
      accept_before: [],
      model: 'small-4b',
      signal: { name: 'sum_logprob' },
      calibration: { method: 'platt', a: 1, b: 0 },
      labels: 100,
      right: 60,
      createdAt: '2026-01-01T00:00:00.000Z',
      measured: { ece: 0.01, brier: 0.1, auroc: 0.8 },
      ...of,
    }),
  );

/** What is read of a configuration beside these files, and its problems. */
function load(cascades: unknown, files: Readonly<Record<string, string>>) {
  const directory = mkdtempSync(join(tmpdir(), 'spillway-calibrations-'));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
    const read = readConfiguration(JSON.stringify({ models: MODELS, cascades }));
    if (read.kind === 'invalid') throw new Error(JSON.stringify(read.problems));
    const reader = new EnvReader({ SPILLWAY_CONFIG: join(directory, 'spillway.yaml') });
    const calibrations = Calibrations.load(reader, read.configuration, openLog('test', 'silent'));
    let problems = '';
    try {
      reader.check();
    } catch (error) {
      problems = (error as Error).message.replaceAll(`${directory}/`, '');
    }
    return { calibrations: calibrations.current(), problems };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const rule = (calibration: string) => ({ confidence: { signal: 'sum_logprob', calibration }, accept_at: 0.9 });
const LONG = {
  long: {
    stages: [
      { model: 'small', ...rule('first.json') },
      { model: 'medium', ...rule('second.json') },
      { model: 'large' },
    ],
  },
};

test('each stage has the calibration of its own file', () => {
  const second = { stage: 2, model: 'medium-4b', accept_before: [0.9], labels: 70 };
  const { calibrations, problems } = load(LONG, { 'first.json': artefact({}), 'second.json': artefact(second) });
  assert.equal(problems, '');
  assert.deepEqual(
    [...calibrations].map(([key, { labels }]) => [key, labels]),
    [
      ['long/1', 100],
      ['long/2', 70],
    ],
  );
});

test("a file of another stage or model is a problem, with the file and the stage's place", () => {
  const { calibrations, problems } = load(LONG, { 'second.json': artefact({}) });
  assert.equal(calibrations.size, 0);
  assert.match(
    problems,
    /first\.json: cannot be read \(ENOENT\) \(cascades\.long\.stages\.0\.confidence\.calibration\)/,
  );
  assert.match(problems, /second\.json: made for the stage 1, not for 2 \(cascades\.long\.stages\.1\.confidence\.cal/);
  assert.match(
    problems,
    /second\.json: made for the drafter small-4b, not for medium-4b \(cascades\.long\.stages\.1\./,
  );
});

test('the place is that of the form that was written', () => {
  const short = { short: { drafter: 'small', expert: 'large', ...rule('short.json') } };
  const { problems } = load(short, { 'short.json': artefact({}) });
  assert.match(problems, /short\.json: made for the cascade long, not for short \(cascades\.short\.confidence\.calibr/);
  const good = load(short, { 'short.json': artefact({ cascade: 'short' }) });
  assert.deepEqual([...good.calibrations.keys()], ['short/1']);
  const long = { two: { stages: [{ model: 'small', ...rule('two.json') }, { model: 'large' }] } };
  assert.match(load(long, {}).problems, /two\.json: cannot be read .* \(cascades\.two\.stages\.0\.confidence\.calibr/);
});
