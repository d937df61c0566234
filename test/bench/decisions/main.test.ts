import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { seededRandom } from '@spillway/core';
import type { ShiftFigure } from './shift.ts';

const script = fileURLToPath(new URL('main.ts', import.meta.url));

let directory: string;
let table: string;

/** Answers of a drafter that is right as often as it is sure, in four letters; a tenth is equally sure. */
function linesOf(rows: number): string[] {
  const random = seededRandom(11);
  const lines = Array.from({ length: rows }, (_, id) => {
    const p1 = random() < 0.1 ? 0.9 : Number((0.4 + 0.6 * Math.sqrt(random())).toFixed(3));
    const p2 = Number((0.9 * (1 - p1)).toFixed(5));
    const answer = random() < p1 ? 'A' : 'B';
    return `${id},${answer},${p1},${p2},${(1 - p1).toFixed(4)},A,0.9,0.05,0.3`;
  });
  return ['id,small.ans,small.p1,small.p2,small.H,large.ans,large.p1,large.p2,large.H', ...lines];
}

const written = async (name: string, lines: readonly string[], zip = true): Promise<string> => {
  const path = join(directory, name);
  const text = `${lines.join('\r\n')}\r\n`;
  await writeFile(path, zip ? gzipSync(text) : text);
  return path;
};

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'spillway-decisions-'));
  table = await written('table.csv.gz', linesOf(1_200));
});
after(() => rm(directory, { recursive: true, force: true }));

type Run = { readonly code: number; readonly stdout: string; readonly stderr: string };

function bench(...args: readonly string[]): Promise<Run> {
  const { promise, resolve } = Promise.withResolvers<Run>();
  execFile(process.execPath, [script, ...args], (error, stdout, stderr) =>
    resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
  );
  return promise;
}

const pair = (data: string): string[] => ['--data', data, '--drafter', 'small', '--expert', 'large'];
const few = [
  '--batches',
  '60',
  '--sizes',
  '1000,2000',
  '--agreements',
  '0.9,0.95',
  '--deltas',
  '0.1',
  '--sample',
  '300',
];

test('--json says only the promises, a share of each', async () => {
  const { code, stdout, stderr } = await bench(...pair(table), ...few, '--json');
  assert.equal(stderr, '');
  assert.equal(code, 0);
  const found = JSON.parse(stdout) as Record<string, unknown> & { promises: Record<string, unknown>[] };
  assert.equal(found['score'], 'p1');
  assert.equal(found['rows'], 1_200);
  assert.deepEqual(
    found.promises.map(({ agreement, delta, size, batches, drawn }) => [agreement, delta, size, batches, drawn]),
    [
      [0.9, 0.1, 1_000, 60, 'without replacement'],
      [0.9, 0.1, 2_000, 60, 'with replacement'],
      [0.95, 0.1, 1_000, 60, 'without replacement'],
      [0.95, 0.1, 2_000, 60, 'with replacement'],
    ],
  );
  for (const { broken, expertShare, optimum, sample } of found.promises as Record<string, number>[]) {
    assert.ok(broken !== undefined && broken >= 0 && broken <= 0.3, String(broken));
    assert.ok(expertShare !== undefined && optimum !== undefined && optimum > 0 && expertShare < 1);
    assert.ok(expertShare > optimum, 'hindsight is cheaper');
    assert.ok(sample !== undefined && sample <= 300);
  }
  const again = await bench(...pair(table), ...few, '--json');
  assert.equal(again.stdout, stdout, 'a seed says everything');
  const other = await bench(...pair(table), ...few, '--json', '--seed', '2');
  assert.notEqual(other.stdout, stdout);
});

test('every score can be judged, and the table names all rules', async () => {
  for (const score of ['p1', 'margin', 'entropy', 'head']) {
    const cell = ['--batches', '5', '--sizes', '500', '--agreements', '.9', '--deltas', '.2', '--score', score];
    const { code, stdout, stderr } = await bench(...pair(table), ...cell);
    assert.equal(code, 0, stderr);
    assert.match(stdout, new RegExp(`small → large by ${score}: 1200 documents`));
    for (const rule of ['promise', 'binomial', 'plug_in', 'conformal_risk_control', 'bargain']) {
      assert.ok(stdout.includes(`  ${rule} `), rule);
    }
  }
});

test('drafts that cannot be judged escalate, and lines without an answer of the expert are left out', async () => {
  const [head = '', ...rows] = linesOf(600);
  const holes = rows.map((line, at) => {
    const cells = line.split(',');
    if (at % 3 === 0) cells[2] = '';
    if (at % 10 === 1) cells[1] = '';
    if (at % 20 === 2) cells[5] = '';
    return cells.join(',');
  });
  const path = await written('holes.csv', [head, ...holes], false);
  const { code, stdout, stderr } = await bench(...pair(path), ...few, '--json');
  assert.equal(code, 0, stderr);
  const found = JSON.parse(stdout) as {
    rows: number;
    leftOut: number;
    unjudged: number;
    promises: { optimum: number }[];
  };
  assert.equal(found.leftOut, 30);
  assert.equal(found.rows, 570);
  assert.ok(found.unjudged > 200);
  for (const { optimum } of found.promises) assert.ok(optimum > found.unjudged / found.rows - 0.05);
});

test('equal scores: nothing or everything', async () => {
  const [head = '', ...rows] = linesOf(400);
  const same = rows.map((line) => line.replace(/^(\d+),([AB]),[\d.]+,/, '$1,$2,0.7,'));
  const path = await written('same.csv.gz', [head, ...same]);
  const { stdout } = await bench(...pair(path), ...few, '--sizes', '300', '--json');
  const found = JSON.parse(stdout) as { promises: { expertShare: number; optimum: number; broken: number }[] };
  for (const { expertShare, optimum, broken } of found.promises) {
    assert.deepEqual({ expertShare, optimum, broken }, { expertShare: 1, optimum: 1, broken: 0 });
  }
});

test('what is wrong is named', async () => {
  const bad = await written('bad.csv.gz', [...linesOf(30), 'x,A,sure,0.1,0.1,A,0.9,0.05,0.3']);
  const short = await written('short.csv.gz', [...linesOf(30), 'x,A']);
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['--data', table, '--drafter', 'tiny', '--expert', 'large'], /no column tiny\.ans; its models are small, large/],
    [[...pair(table), '--score', 'luck'], /no score luck of small; its scores are p1, margin, entropy, head/],
    [['--data', table], /--data needs --drafter NAME and --expert NAME/],
    [['--drafter', 'small'], /need --data FILE/],
    [pair(join(directory, 'none.csv.gz')), /none\.csv\.gz/],
    [pair(bad), /bad\.csv\.gz, line 32: expected a number as small\.p1, got "sure"/],
    [pair(short), /short\.csv\.gz, line 32: expected 9 cells, got 2/],
    [[...pair(table), '--deltas', '0.1,2'], /--deltas: expected a share between 0 and 1, got "2"/],
    [[...pair(table), '--sample', 'many'], /--sample: expected a whole number from 1/],
    [[...pair(table), '--sizes', '9500,9500'], /--sizes: a value stands there twice/],
    [[...pair(table), '--batch', '3'], /--batch/],
    [[...pair(table), 'more'], /more/],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await bench(...args);
    assert.equal(code, 1, args.join(' '));
    assert.equal(stdout, '');
    assert.match(stderr, /^bench:decisions: /);
    assert.match(stderr, message);
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
  }
});

test('an audit alarms soon where the documents change to such as the drafter is surely wrong about', async () => {
  const shifted = await written(
    'shifted.csv.gz',
    linesOf(1_200).map((line) => line.replace(/^(\d+),[AB],/, '$1,C,')),
  );
  const { code, stdout, stderr } = await bench('--audit', ...pair(table), '--shifted', shifted, '--json');
  assert.equal(code, 0, stderr);
  const { audits, shift } = JSON.parse(stdout) as { audits: unknown; shift: ShiftFigure };
  assert.equal(audits, null);
  assert.ok(shift.usual.accepted > 0 && shift.usual.disagreeing <= 0.03);
  assert.equal(shift.shifted.disagreeing, 1);
  const [fresh, after200] = shift.delays;
  assert.ok(fresh !== undefined && fresh.median !== null && fresh.median <= 6, JSON.stringify(shift));
  assert.ok(after200 !== undefined && after200.median !== null && after200.median <= 20 && after200.tooEarly <= 0.05);
  for (const args of [
    ['--audit', ...pair(table)],
    [...pair(table), '--shifted', shifted],
    ['--audit', '--shifted', shifted],
  ]) {
    assert.equal((await bench(...args)).code, 1, args.join(' '));
  }
});
