import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { calibrationArtefact, readConfiguration, serverDigest, type CalibrationArtefact } from '@spillway/core';
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

type Files = Readonly<Record<string, string>>;

/** What is read of a configuration beside these files, some of which `changed` since; its problems, and what is logged. */
function load(cascades: unknown, files: Files, changed: Files = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'spillway-calibrations-'));
  const write = (all: Files): void => {
    for (const [name, text] of Object.entries(all)) writeFileSync(join(directory, name), text);
  };
  const lines: Record<string, unknown>[] = [];
  const to = { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) };
  try {
    write(files);
    const read = readConfiguration(JSON.stringify({ models: MODELS, cascades }));
    if (read.kind === 'invalid') throw new Error(JSON.stringify(read.problems));
    const reader = new EnvReader({ SPILLWAY_CONFIG: join(directory, 'spillway.yaml') });
    const calibrations = Calibrations.load(reader, read.configuration, openLog('test', 'info', to));
    let problems = '';
    try {
      reader.check();
    } catch (error) {
      problems = (error as Error).message.replaceAll(`${directory}/`, '');
    }
    write(changed);
    calibrations.current();
    return { calibrations: calibrations.current(), problems, lines };
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

test('a verdict has a calibration, too, which says that it is of one', () => {
  const file = artefact({ stage: 2, model: 'large-4b', ask: 'verdict', signal: { name: 'self_assessment' } });
  const verdict = { ask: 'verdict', verdict: { accept_at: 0.9, calibration: 'v.json' } };
  const long = {
    long: {
      stages: [
        { model: 'small', accept_at: 0.9 },
        { model: 'large', ...verdict },
      ],
    },
  };
  const good = load(long, { 'v.json': file });
  assert.deepEqual([good.problems, [...good.calibrations.keys()]], ['', ['long/2']]);
  const drafted = artefact({ stage: 2, model: 'large-4b', signal: { name: 'self_assessment' } });
  assert.match(
    load(long, { 'v.json': drafted }).problems,
    /v\.json: made for drafts by ask: answer, not by verdict \(cascades\.long\.stages\.1\.verdict\.calibration\)/,
  );
  const short = { long: { drafter: 'small', expert: 'large', accept_at: 0.9, ...verdict } };
  assert.match(load(short, {}).problems, /v\.json: cannot be read .* \(cascades\.long\.verdict\.calibration\)/);
});

test('a value may have a calibration of its own, which names it; one of another value is a problem', () => {
  const fields = { '/total': { calibration: 'total.json' }, '/items/*/price': { accept_at: 0.95 } };
  const short = { long: { drafter: 'small', expert: 'large', accept_at: 0.9, fields } };
  const { calibrations, problems } = load(short, { 'total.json': artefact({ field: '/total', labels: 7 }) });
  assert.equal(problems, '');
  assert.deepEqual(
    [...calibrations].map(([key, { labels }]) => [key, labels]),
    [['long/1#/total', 7]],
  );
  const place = String.raw`\(cascades\.long\.fields\.\/total\.calibration\)`;
  const problemOf = (own: Partial<CalibrationArtefact>): string =>
    load(short, { 'total.json': artefact(own) }).problems;
  assert.match(problemOf({ field: '/tax' }), new RegExp(`made for the value /tax, not for the value /total ${place}`));
  assert.match(problemOf({}), new RegExp(`made for whole answers, not for the value /total ${place}`));
  const stage = { long: { stages: [{ model: 'small', ...rule('first.json'), fields }, { model: 'large' }] } };
  const wrong = load(stage, { 'first.json': artefact({ field: '/total' }) });
  assert.match(
    wrong.problems,
    /first\.json: made for the value \/total, not for whole answers \(cascades\.long\.stages\.0\.conf/,
  );
  assert.match(
    wrong.problems,
    /total\.json: cannot be read .* \(cascades\.long\.stages\.0\.fields\.\/total\.calibration\)/,
  );
});

test('a calibration that was made with another model server is used, and that is told once per load of its file', () => {
  const server = serverDigest('http://127.0.0.1:1/v1');
  const other = serverDigest('http://127.0.0.1:2/v1');
  const made = (by: string, labels: number) => artefact({ labels, made_with: { server: by, formats: ['text'] } });
  const second = artefact({ stage: 2, model: 'medium-4b', accept_before: [0.9] });
  const good = load(LONG, { 'first.json': made(server, 100), 'second.json': second });
  assert.deepEqual([good.problems, good.lines], ['', []], 'the same server, and a calibration that does not say');

  const moved = load(LONG, { 'first.json': made(other, 100), 'second.json': second });
  assert.equal(moved.problems, '');
  assert.equal(moved.calibrations.get('long/1')?.labels, 100);
  const warned = ({ lines }: typeof moved) =>
    lines.map(({ level, cascade, stage, detail, msg }) => [level, cascade, stage, detail, msg]);
  const detail =
    `made with the model server ${other}, and ${server} is configured now, which may give other log-probs: ` +
    'calibrate again';
  const warning = ['warn', 'long', 1, detail, 'a calibration may not hold here'];
  assert.deepEqual(warned(moved), [warning]);
  assert.ok(!JSON.stringify(moved.lines).includes('127.0.0.1'));

  const files = { 'first.json': made(server, 100), 'second.json': second };
  const changed = load(LONG, files, { 'first.json': made(other, 1_000) });
  assert.equal(changed.calibrations.get('long/1')?.labels, 1_000);
  const used = ['info', 'long', 1, undefined, 'a calibration changed and is used from now on'];
  assert.deepEqual(warned(changed), [warning, used]);
});
