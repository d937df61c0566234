import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { resultLine } from '@spillway/core';
import { parse } from 'csv-parse/sync';
import { parquetReadObjects } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import type { ModelRequest, Scripted } from '../support/model-server.ts';
import { plainEnv } from '../support/plain-env.ts';
import { sharedSystem } from '../support/shared-system.ts';
import { System, until } from '../support/system.ts';

/** The command from documents to results and what goes with it, as a user runs it. */

const launcher = fileURLToPath(new URL('../../packages/cli/bin/spillway.js', import.meta.url));

let place: string;
before(async () => {
  place = await mkdtemp(join(tmpdir(), 'spillway-cli-'));
});
after(() => rm(place, { recursive: true, force: true }));

/** Says what it was asked; unsure, held or failing where the prompt says so. */
const held = { gate: Promise.withResolvers<void>() };
const promptOf = ({ body }: ModelRequest): string =>
  typeof body['prompt'] === 'string'
    ? body['prompt']
    : ((body['messages'] as { content: string }[]).at(-1)?.content ?? '');
async function answer(request: ModelRequest): Promise<Scripted> {
  const prompt = promptOf(request);
  if (prompt.includes('HELD')) await held.gate.promise;
  if (prompt.includes('BROKEN'))
    return { kind: 'status', status: 400, body: { error: { message: 'cannot read that' } } };
  const text =
    request.body['response_format'] === undefined
      ? `read: ${prompt}`
      : JSON.stringify({ total: prompt.length, said: prompt });
  return { kind: 'completion', text, logprobs: prompt.includes('UNSURE') ? -2 : -0.01 };
}
const shared = sharedSystem(() => System.start({ drafter: { answer }, expert: { answer } }));

/** Processes beside each other. */
const AT_ONCE = 4;

type Run = { readonly code: number; readonly stdout: string; readonly stderr: string };

const envOf = (system: System) => ({
  ...plainEnv(),
  HOME: place,
  XDG_STATE_HOME: join(place, 'state'),
  SPILLWAY_URL: system.client.baseURL,
});

function start(system: System, args: readonly string[], { input = '', cwd = place, more = {} } = {}) {
  const { promise, resolve } = Promise.withResolvers<Run>();
  const env = { ...envOf(system), ...more };
  const child = execFile(process.execPath, [launcher, ...args], { env, cwd }, (error, stdout, stderr) =>
    resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
  );
  child.stdin?.end(input);
  return { child, ended: promise };
}

const spillway = (system: System, ...args: readonly string[]): Promise<Run> => start(system, args).ended;

async function files(folder: string, contents: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
  for (const [name, content] of Object.entries(contents)) {
    const path = join(place, folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  }
  return folder;
}

const csv = async (name: string): Promise<Record<string, string>[]> =>
  parse(await readFile(join(place, name)), { columns: true });
const jsonl = async (name: string): Promise<Record<string, unknown>[]> =>
  (await readFile(join(place, name), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
const batchIn = (text: string): string => /batch_\w+/.exec(text)?.[0] ?? assert.fail(text);

/** A PDF of one page with one line. */
function pdfOf(text: string): string {
  const stream = `BT /F1 12 Tf 72 720 Td (${text}) Tj ET`;
  const objects = [
    '<</Type/Catalog/Pages 2 0 R>>',
    '<</Type/Pages/Kids[3 0 R]/Count 1>>',
    '<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>',
    `<</Length ${stream.length}>>stream\n${stream}\nendstream`,
    '<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>',
  ];
  let body = '%PDF-1.4\n';
  const offsets = objects.map((object, at) => {
    const offset = body.length;
    body += `${at + 1} 0 obj${object}endobj\n`;
    return `${String(offset).padStart(10, '0')} 00000 n \n`;
  });
  return `${body}xref\n0 6\n0000000000 65535 f \n${offsets.join('')}trailer<</Size 6/Root 1 0 R>>\nstartxref\n${body.length}\n%%EOF`;
}

test('a folder of mixed files: a row for each document in order, also for what cannot be read', async () => {
  const system = await shared();
  const folder = await files('mixed', {
    'a.txt': 'a plain letter',
    'b.md': '# UNSURE *notes*',
    'd.html': `${'<div>'.repeat(20_000)}deep`,
    'c.html': '<html><head><title>t</title><script>no()</script></head><body><p>one &amp; two</p></body></html>',
    'd.pdf': pdfOf('Hello from a PDF'),
    'e.pdf': 'no PDF at all',
    'f.png': Buffer.from([0x89, 0x50, 0xff, 0xfe, 0x00]),
    'g/empty.txt': '',
    'g/h.csv': 'name,n\nx,1\ny\n',
    'i.jsonl': '{"name":"z","n":[1]}\nnot json\n',
    '.hidden': 'no document',
  });
  const prompt = 'Who wrote this? {{text}}';
  const unknown = await spillway(system, 'run', folder, '--prompt', prompt, '--out', 'mixed.csv', '--yes');
  assert.equal(unknown.code, 1, 'a table in it has no such column');
  assert.match(unknown.stderr, /asks for \{\{text\}\}, and g\/h\.csv:1 has no such column: there are .*\{\{name\}\}/);
  await rm(join(place, folder, 'g/h.csv'));
  await rm(join(place, folder, 'i.jsonl'));
  const { code, stderr, stdout } = await spillway(
    system,
    'run',
    folder,
    '--prompt',
    prompt,
    '--out',
    'mixed.csv',
    '--yes',
  );
  assert.equal(code, 3, stderr);
  assert.equal(stdout, '');
  assert.match(stderr, /skipped: e\.pdf is no PDF that can be read/);
  assert.match(stderr, /skipped: f\.png is no text in UTF-8\nskipped: g\/empty\.txt is empty/);
  assert.match(stderr, /4 documents \(2 text, 1 html, 1 pdf\), 4 unreadable and skipped/);
  assert.match(stderr, /8 rows in mixed\.csv, 4 without an answer/);
  const rows = await csv('mixed.csv');
  assert.deepEqual(
    rows.map(({ custom_id: id, answer: text, role, error }) => [id, text, role, (error ?? '').split(':')[0]]),
    [
      ['a.txt', 'read: Who wrote this? a plain letter', 'drafter', ''],
      ['b.md', 'read: Who wrote this? # UNSURE *notes*', 'expert', ''],
      ['c.html', 'read: Who wrote this? one & two', 'drafter', ''],
      ['d.html', '', '', 'unreadable'],
      ['d.pdf', 'read: Who wrote this? Hello from a PDF', 'drafter', ''],
      ['e.pdf', '', '', 'unreadable'],
      ['f.png', '', '', 'unreadable'],
      ['g/empty.txt', '', '', 'unreadable'],
    ],
  );
  const stopped = await spillway(
    system,
    'run',
    folder,
    '--prompt',
    prompt,
    '--out',
    'x.csv',
    '--yes',
    '--on-unreadable',
    'stop',
  );
  assert.equal(stopped.code, 1);
  assert.match(stopped.stderr, /d\.html is no page .*--on-unreadable skip goes on without it/);
  assert.equal(existsSync(join(place, 'x.csv')), false);
});

test('a hostile table keeps every cell; the schema’s fields are columns; so it is as Parquet and as JSON lines', async () => {
  const system = await shared();
  const cells = [
    ['1', 'plain', ''],
    ['2', 'with "quotes", commas\nand lines', '=HYPERLINK("x")'],
    ['3', ' spaces \r', '-1+1'],
    ['4', 'BROKEN', '@x'],
    ['5', 'UNSURE é😀\u2028', '+2'],
  ];
  const quoted = (cell: string): string => `"${cell.replaceAll('"', '""')}"`;
  await files('tables', {
    'in.csv': `\uFEFFkey;note;note\r\n${cells.map((row) => row.map(quoted).join(';')).join('\r\n')}\r\n6;short\r\n`,
    'schema.json': JSON.stringify({
      type: 'object',
      properties: { total: { type: 'integer' }, note: { type: 'string' } },
    }),
    'prompt.md': 'Say {{note}} / {{note_2}}',
  });
  const args = ['--prompt', 'tables/prompt.md', '--schema', 'tables/schema.json', '--yes'];
  const { code, stderr } = await spillway(system, 'run', 'tables/in.csv', ...args, '--id', 'key', '--out', 'out.csv');
  assert.equal(code, 3, stderr);
  assert.match(stderr, /skipped: tables\/in\.csv:6 has 2 cells, the header has 3/);
  const rows = await csv('out.csv');
  assert.deepEqual(Object.keys(rows[0] ?? {}).slice(0, 6), [
    'custom_id',
    'key',
    'note',
    'note_2',
    'total',
    'answer.note',
  ]);
  assert.deepEqual(
    rows.slice(0, 5).map((row) => [row['custom_id'], row['note'], row['note_2']]),
    cells,
  );
  assert.match(rows[3]?.['error'] ?? '', /^400: cannot read that$/);
  assert.deepEqual(
    [rows[4]?.['role'], rows[4]?.['escalated'], rows[4]?.['reason']],
    ['expert', 'true', 'low_confidence'],
  );
  assert.equal(rows[0]?.['total'], String('Say plain / '.length));
  const asParquet = await spillway(system, 'run', 'out.csv', '--prompt', '{{note}}', '--out', 'again.parquet', '--yes');
  assert.equal(asParquet.code, 3, asParquet.stderr);
  const asLines = await spillway(
    system,
    'run',
    'again.parquet',
    '--prompt',
    '{{note}}',
    '--out',
    'again.jsonl',
    '--yes',
  );
  assert.equal(asLines.code, 3, asLines.stderr);
  const again = await jsonl('again.jsonl');
  assert.deepEqual(
    again.slice(0, 5).map((row) => [row['custom_id'], row['note'], row['note_2']]),
    cells,
  );
});

test('rows of Parquet with their types; JSON lines from standard input, results to standard output', async () => {
  const system = await shared();
  const bytes = parquetWriteBuffer({
    columnData: [
      { name: 'custom_id', data: ['p1', 'p2'], type: 'STRING' },
      { name: 'n', data: [1n, 2n], type: 'INT64' },
      { name: 'x', data: [1.5, null], type: 'DOUBLE' },
      { name: 'at', data: [new Date(0), new Date(1e12)], type: 'TIMESTAMP' },
    ],
  });
  await files('typed', { 'in.parquet': new Uint8Array(bytes) });
  const { code, stderr } = await spillway(
    system,
    'run',
    'typed/in.parquet',
    '--prompt',
    '{{n}} {{x}} {{at}}',
    '--out',
    'typed.parquet',
    '--yes',
  );
  assert.equal(code, 0, stderr);
  const rows = await parquetReadObjects({ file: new Uint8Array(await readFile(join(place, 'typed.parquet'))).buffer });
  assert.deepEqual(
    rows.map(({ custom_id: id, n, x, answer: text }) => [id, n, x, text]),
    [
      ['p1', 1n, 1.5, 'read: 1 1.5 1970-01-01T00:00:00.000Z'],
      ['p2', 2n, null, 'read: 2  2001-09-09T01:46:40.000Z'],
    ],
  );
  const input = '{"a":"one","deep":{"b":[1,2]}}\n\n{"a":"two","deep":null}\n[1]\n';
  const piped = await start(system, ['run', '-', '--prompt', '{{a}}: {{deep}}', '--yes'], { input }).ended;
  assert.equal(piped.code, 3, piped.stderr);
  const lines = piped.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    lines.map(({ custom_id: id, deep, answer: text }) => [id, deep, text]),
    [
      ['stdin:1', { b: [1, 2] }, 'read: one: {"b":[1,2]}'],
      ['stdin:2', null, 'read: two: '],
      ['stdin:3', null, null],
    ],
  );
  const requests = ['r1', 'r2'].map((id) =>
    JSON.stringify({ custom_id: id, method: 'POST', url: '/v1/completions', body: { prompt: id } }),
  );
  await files('typed', { 'requests.jsonl': requests.join('\n') });
  const asTheyAre = await spillway(system, 'run', 'typed/requests.jsonl', '--out', 'requests.csv', '--yes');
  assert.match(asTheyAre.stderr, /2 documents/);
  assert.deepEqual(
    (await csv('requests.csv')).map((row) => row['custom_id']),
    ['r1', 'r2'],
  );
});

test('what is wrong costs nothing and is one line that says what to do', async () => {
  const system = await shared();
  await files('wrong', {
    'a.csv': 'id,b\n1,x\n1,y\n',
    'latin.csv': Buffer.from('a\nB\xFCro\n', 'latin1'),
    'open.csv': 'a,b\n1,"x\n',
  });
  await mkdir(join(place, 'wrong/nothing'), { recursive: true });
  const earlier = await system.client.batches.list();
  const run = ['run', 'wrong/a.csv', '--out', 'wrong.csv', '--yes'];
  const wrong: [readonly string[], number, RegExp][] = [
    [['run', 'wrong/a.csv', '--prompt', '{{b}}', '--out', 'wrong.csv'], 2, /nobody can be asked here .* --yes/],
    [run, 1, /several columns: say with --prompt what to ask/],
    [
      [...run, '--prompt', '{{c}}'],
      1,
      /\{\{c\}\}, and wrong\/a\.csv:1 has no such column: there are \{\{id\}\}, \{\{b\}\}/,
    ],
    [[...run, '--prompt', '{{b}}', '--id', 'id'], 1, /wrong\/a\.csv:2 has the id "1", as an earlier document has/],
    [[...run, '--prompt', '{{b}}', '--cascade', 'tset'], 2, /there is no cascade tset: there is test/],
    [['run', 'wrong/a.csv', '--prompt', '{{b}}', '--out', 'wrong/a.csv', '--yes'], 2, /both read and written/],
    [[...run, '--prompt', '{{b}}', '--out', 'no/such/x.csv'], 1, /no\/such\/x\.csv cannot be written \(ENOENT\)/],
    [['run', 'wrong/none', '--out', 'x.csv', '--yes'], 2, /there is no wrong\/none/],
    [['run', 'wrong/nothing', '--out', 'x.csv', '--yes'], 1, /no document can be read in wrong\/nothing/],
    [['run', 'wrong/latin.csv', '--out', 'x.csv', '--yes'], 1, /latin\.csv is no text in UTF-8 \(near byte 0\)/],
    [
      ['run', 'wrong/open.csv', '--out', 'x.csv', '--yes'],
      1,
      /open\.csv cannot be read beyond row 0: Quote Not Closed/,
    ],
    [['watch', 'batch_none'], 1, /No batch found/],
    [['wacth', 'batch_none'], 2, /unknown command 'wacth'/],
  ];
  const check = async ([args, expected, message]: (typeof wrong)[number]): Promise<void> => {
    const { code, stderr, stdout } = await spillway(system, ...args);
    assert.deepEqual([code, message.test(stderr)], [expected, true], `${args.join(' ')}\n${stderr}`);
    assert.equal(stdout, '');
    assert.doesNotMatch(stderr, /\n\s+at /);
  };
  for (let at = 0; at < wrong.length; at += AT_ONCE) await Promise.all(wrong.slice(at, at + AT_ONCE).map(check));
  const { data } = await system.client.batches.list();
  assert.equal(data.length, earlier.data.length);
  assert.deepEqual(await readdir(join(place, 'state/spillway/runs')), []);
  const away = await start(system, ['list'], { more: { SPILLWAY_URL: 'http://127.0.0.1:1' } }).ended;
  assert.deepEqual([away.code, /Nothing answers at http:\/\/127\.0\.0\.1:1/.test(away.stderr)], [1, true]);
});

test('Ctrl-C leaves the batch running; watching it ends the run; with a state nothing is asked twice', async () => {
  const system = await shared();
  await files('again', { 'a.txt': 'a', 'b.txt': 'HELD b', 'c.txt': 'UNSURE c' });
  const args = ['run', 'again', '--out', 'again.csv', '--state', 'answers', '--yes'];
  const { child, ended } = start(system, args);
  let said = '';
  child.stderr?.on('data', (text: string) => (said += text));
  await until(() => Promise.resolve(/2 of 3 documents/.test(said)));
  child.kill('SIGINT');
  const { code, stderr } = await ended;
  const id = batchIn(stderr);
  assert.equal(code, 130, stderr);
  assert.match(stderr, new RegExp(`${id} goes on. spillway watch ${id} shows it and then writes again.csv`));
  assert.equal(existsSync(join(place, 'again.csv')), false);
  const early = await spillway(system, 'results', id);
  assert.equal(early.code, 0);
  assert.match(early.stderr, /so far \(the batch goes on\)/);
  const second = start(system, args);
  let more = '';
  second.child.stderr?.on('data', (text: string) => (more += text));
  await until(() => Promise.resolve(/2 of 3 documents/.test(more)));
  held.gate.resolve();
  const resumed = await second.ended;
  assert.equal(resumed.code, 0, resumed.stderr);
  assert.match(resumed.stderr, new RegExp(`${id} of an earlier run is finished first`));
  assert.match(resumed.stderr, /Nothing is to be asked: all of it was answered before/);
  assert.equal((await csv('again.csv')).length, 3);
  const asked = system.drafterModel.received;
  await files('again', { 'b.txt': 'b is another', 'd.txt': 'new' });
  const third = await spillway(system, ...args, '--json');
  assert.equal(third.code, 0, third.stderr);
  assert.equal(system.drafterModel.received, asked + 2);
  assert.match(third.stderr, /2 were answered before and are not asked about again/);
  assert.deepEqual([JSON.parse(third.stdout).answered, JSON.parse(third.stdout).unanswered], [4, 0]);
  assert.deepEqual(
    (await csv('again.csv')).map((row) => [row['custom_id'], row['answer']]),
    [
      ['a.txt', 'read: a'],
      ['b.txt', 'read: b is another'],
      ['c.txt', 'read: UNSURE c'],
      ['d.txt', 'read: new'],
    ],
  );
  held.gate = Promise.withResolvers();
  await files('watched', { 'a.txt': 'HELD again' });
  const first = start(system, ['run', 'watched', '--out', 'watched.csv', '--yes']);
  let watched = '';
  first.child.stderr?.on('data', (text: string) => (watched += text));
  await until(() => Promise.resolve(/under way/.test(watched)));
  first.child.kill('SIGINT');
  const other = batchIn((await first.ended).stderr);
  held.gate.resolve();
  const end = await spillway(system, 'watch', other);
  assert.equal(end.code, 0, end.stderr);
  assert.match(end.stderr, /is completed · 1 of 1 document answered/);
  assert.equal((await csv('watched.csv'))[0]?.['answer'], 'read: HELD again');
});

test('a promise is asked for in a word, and what came of it is said', async () => {
  const system = await shared();
  // An UNSURE draft says what the expert says, too: there is something to promise.
  const rows = Array.from({ length: 120 }, (_, at) => `${at},${at % 4 === 0 ? 'UNSURE' : 'sure'} ${at}`);
  const table = await files('promised', { 'rows.csv': `n,body\n${rows.join('\n')}\n` });
  const args = [
    'run',
    join(table, 'rows.csv'),
    '--prompt',
    'Read {{body}}',
    '--yes',
    '--out',
    'promised.csv',
    '--json',
  ];
  const made = await spillway(system, ...args, '--promise', '90%', '--certainty', '0.9');
  assert.equal(made.code, 0, made.stderr);
  assert.match(
    made.stderr,
    /promise: certified: at least 90 % of the answers say what the expert would, with 90 % cert/,
  );
  const told = JSON.parse(made.stdout) as { batch: string; thresholds: { outcome: string; sampled: number }[] };
  assert.equal(told.thresholds[0]?.outcome, 'certified');
  assert.match((await spillway(system, 'report', told.batch)).stdout, /promise: certified/);
  assert.match((await spillway(system, 'list')).stdout, new RegExp(`${told.batch} .* 90 %  `));
  const sampled = await spillway(system, 'results', told.batch, '--where', 'sampled');
  assert.equal(sampled.stdout.trim().split('\n').length, told.thresholds[0].sampled);
  const decided = await spillway(system, 'redecide', told.batch, '--budget', '20%');
  assert.equal(decided.code, 0, decided.stderr);
  await system.settled(batchIn(decided.stdout));
  assert.match((await spillway(system, 'report', batchIn(decided.stdout))).stdout, /budget: about 20 % to the expert/);
  const few = await spillway(system, ...args, '--promise', '99.9%');
  assert.equal(few.code, 0);
  assert.match(
    few.stderr,
    /promise: NOT certified \(a sample that could show it .*\), so all of it is answered by the expert/,
  );
  const effort = ['--metadata', 'spillway.promise=agreement=0.999,otherwise=best_effort'];
  assert.equal((await spillway(system, ...args, ...effort)).code, 4);
  for (const wrong of [
    ['--promise', '95'],
    ['--promise', '95%', '--budget', '20%'],
    ['--certainty', '0.9'],
  ]) {
    assert.equal((await spillway(system, ...args, ...wrong)).code, 2, wrong.join(' '));
  }
  assert.equal((await spillway(system, 'redecide', told.batch)).code, 2);
});

test('what a batch is and holds: list, report, results by a condition, show, retry and cancel', async () => {
  const system = await shared();
  const { id } = await system.submit(['a sure one', 'an UNSURE one', 'a BROKEN one', 'another']);
  await system.settled(id);
  const [list, report, machine, watched] = await Promise.all([
    spillway(system, 'list'),
    spillway(system, 'report', id),
    spillway(system, 'report', id, '--json'),
    spillway(system, 'watch', id, '--json'),
  ]);
  assert.match(list.stdout, new RegExp(`^batch +status .*\n(.*\n)*${id} +completed +test +4 +4 +1 `));
  assert.match(report.stdout, /3 of 4 documents answered · 1 without an answer/);
  assert.match(report.stdout, /1 +test +small +drafter +2 +2 .*low_confidence 1/);
  assert.match(report.stdout, /1 × 400: cannot read that/);
  assert.equal(JSON.parse(machine.stdout).object, 'batch.report');
  assert.deepEqual([watched.code, JSON.parse(watched.stdout).status], [3, 'completed']);
  const some = await spillway(system, 'results', id, '--where', 'confidence < .8 and role = expert and not error');
  assert.equal(some.code, 0, some.stderr);
  const lines = some.stdout
    .trim()
    .split('\n')
    .map((line) => resultLine.parse(JSON.parse(line)));
  assert.deepEqual(
    lines.map((line) => line.custom_id),
    ['doc-1'],
  );
  const table = await spillway(system, 'results', id, '--format', 'csv', '--where', 'answer ~ sure or status = 400');
  assert.deepEqual(
    (parse(table.stdout, { columns: true }) satisfies unknown[] as Record<string, string>[]).map((row) => [
      row['custom_id'],
      row['answer'],
      row['error'],
    ]),
    [
      ['doc-0', 'read: a sure one', ''],
      ['doc-1', 'read: an UNSURE one', ''],
      ['doc-2', '', '400: cannot read that'],
    ],
  );
  const shown = await spillway(system, 'show', id, 'doc-1');
  for (const part of ['expert large', 'draft of small', 'read: an UNSURE one', '"content": "an UNSURE one"']) {
    assert.ok(shown.stdout.includes(part), part);
  }
  const said = { custom_id: 'doc-1', verdict: 'corrected', answer: 'UNSURE' };
  await system.client.post(`/batches/${id}/reviews`, { body: said });
  const labels = await spillway(system, 'reviews', id);
  assert.equal(labels.stdout, '{"custom_id":"doc-1","answer":"UNSURE"}\n');
  const retried = await spillway(system, 'retry', id, '--json');
  assert.equal(JSON.parse(retried.stdout).metadata['spillway.retry_of'], id);
  const refused = await spillway(system, 'cancel', id);
  assert.equal(refused.code, 1);
  assert.match((await spillway(system, 'open', id)).stdout, /^http:\/\/127\.0\.0\.1:\d+\/#\/batches\/batch_\w+\n$/);
});

const hasScript = spawnSync('script', ['--version']).status === 0;

test(
  'on a terminal it asks before money is spent, and shows a bar in place',
  { skip: hasScript ? false : 'no script(1) here' },
  async () => {
    const system = await shared();
    // The last one is answered once there is a bar.
    held.gate = Promise.withResolvers();
    const texts = Array.from({ length: 30 }, (_, at) => [`${at}.txt`, at === 29 ? 'HELD' : `document ${at}`]);
    await files('seen', Object.fromEntries(texts) as Record<string, string>);
    const inTerminal = (answered: string, out: string) => {
      const command = `stty cols 100 rows 30; exec '${process.execPath}' '${launcher}' run seen --out ${out} --max-usd 5`;
      const child = spawn('script', ['-qec', command, '/dev/null'], {
        cwd: place,
        env: { ...envOf(system), TERM: 'xterm' },
      });
      const { promise, resolve } = Promise.withResolvers<{ readonly code: number | null; readonly said: string }>();
      let said = '';
      let isAnswered = false;
      child.stdout.on('data', (text: Buffer) => {
        said += text.toString();
        if (/[█░]{5}/.test(said)) held.gate.resolve();
        if (isAnswered || !said.includes('Ask about 30 documents for at most $5? [y/N]')) return;
        isAnswered = true;
        child.stdin.write(answered);
      });
      child.once('close', (code) => resolve({ code, said }));
      return promise;
    };
    const no = await inTerminal('n\r', 'no.csv');
    assert.equal(no.code, 1, no.said);
    assert.match(no.said, /Nothing was asked/);
    const ctrlC = await inTerminal('\u0003', 'no.csv');
    assert.equal(ctrlC.code, 130, ctrlC.said);
    assert.equal(existsSync(join(place, 'no.csv')), false);
    const yes = await inTerminal('y\r', 'seen.csv');
    assert.equal(yes.code, 0, yes.said);
    assert.match(yes.said, /[█░]{5}/);
    assert.ok(yes.said.includes('\u001B['), 'colours and a bar that is written over');
    assert.equal((await csv('seen.csv')).length, 30);
    assert.equal((await csv('seen.csv'))[0]?.['custom_id'], '0.txt');
  },
);
