import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { calibrationArtefact, readCalibration, resultLine, seededRandom, serverDigest } from '@spillway/core';
import type { CalibrationReport } from '../../packages/cli/src/calibrate/report.ts';
import { startModelServer, type ModelRequest, type ModelServer, type Scripted } from '../support/model-server.ts';
import { install } from '../support/packages.ts';
import { sharedSystem } from '../support/shared-system.ts';
import { System, until } from '../support/system.ts';
import { plainEnv } from '../support/plain-env.ts';
import { isVerdictCall, says } from '../support/verdict-server.ts';

const script = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));
const run = promisify(execFile);

let directory: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'spillway-calibrate-'));
});

after(async () => {
  await rm(directory, { recursive: true, force: true });
});

type Run = { readonly code: number; readonly stdout: string; readonly stderr: string };

/** Runs the command as a user does. */
function calibrate(system: System, ...args: readonly string[]): Promise<Run> {
  return start(system, args).ended;
}

/** The same, while it runs. */
function start(system: System, args: readonly string[]) {
  const { promise, resolve } = Promise.withResolvers<Run>();
  const env = { ...plainEnv(), SPILLWAY_URL: system.client.baseURL };
  const child = execFile(
    process.execPath,
    [script, 'calibrate', ...args],
    { env, cwd: directory },
    (error, stdout, stderr) => resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
  );
  return { child, ended: promise };
}

/** Writes labels, one a line, and says where. */
async function labelsFile(name: string, lines: readonly unknown[]): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'));
  return path;
}

const yesFor = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ custom_id: `doc-${index}`, answer: 'Yes.' }));

const reportOf = async (name: string): Promise<CalibrationReport> =>
  JSON.parse(await readFile(join(directory, `${name}.report.json`), 'utf8')) as CalibrationReport;

const promptOf = ({ body }: ModelRequest): string => (body['messages'] as { content: string }[]).at(-1)?.content ?? '';

/** How sure a drafter is of a prompt, and whether it is right: drawn for each by its number, whoever comes first. */
function drawnFor(prompt: string, seed = 1_000): { readonly p: number; readonly right: boolean } {
  const random = seededRandom(seed + Number(prompt.split(' ').at(-1)));
  const p = 0.3 + 0.69 * random();
  return { p, right: random() < p };
}

const say = (text: string, p: number): Scripted => {
  const top = [
    { token: text, logprob: Math.log(p), bytes: null },
    { token: 'other', logprob: Math.log(1 - p), bytes: null },
  ];
  return {
    kind: 'completion',
    text,
    logprobs: { content: [{ token: text, logprob: Math.log(p), bytes: null, top_logprobs: top }] },
  };
};

/** Asked for a total both answer in JSON, in which the total alone is unsure. */
const totalled = (total: string): string => `{"kind": "invoice", "total": "${total}"}`;

function sayTotal(word: string, p: number): Scripted {
  const text = totalled(word);
  const content = text.split(/((?<=total": ")\w+)/).map((token, at) => {
    const logprob = at === 1 ? Math.log(p) : -0.001;
    return { token, logprob, bytes: null, top_logprobs: [{ token, logprob, bytes: null }] };
  });
  return { kind: 'completion', text, logprobs: { content } };
}

const pair = {
  drafter: {
    answer: (request: ModelRequest): Scripted => {
      const { p, right } = drawnFor(promptOf(request));
      const word = right ? 'yes' : 'no';
      if (promptOf(request).startsWith('total')) return sayTotal(word, p);
      return say(request.body['response_format'] === undefined ? word : JSON.stringify(word), p);
    },
  },
  expert: {
    answer: (request: ModelRequest): Scripted => ({
      kind: 'completion',
      text: promptOf(request).startsWith('total') ? totalled('yes') : 'yes',
    }),
  },
  models: { large: { price: { input: 10, output: 20 } } },
};

const prompts = Array.from({ length: 500 }, (_, index) => `question ${index}`);

test('by agreement with the expert on a sample: an artefact that the service takes, a report, a page', async () => {
  await using system = await System.start(pair);
  const { id } = await system.submit(prompts);
  await system.settled(id);
  const { code, stdout, stderr } = await calibrate(
    system,
    '--batch',
    id,
    '--sample',
    '400',
    '--out',
    'test.json',
    '--accuracy',
    '0.9',
  );
  assert.equal(code, 0, stderr);
  assert.match(
    stdout,
    /Running 400 of 500 documents through every stage, for about \$[\d.e-]+ by what this batch took/,
  );
  assert.match(stdout, /^The sample is batch_\w+\. Ctrl-C stops looking at it, and it goes on\.$/m);
  assert.match(
    stdout,
    /^pays: accept_at [\d.]+: [\d.]+ % escalated; accuracy 9\d\.\d % \(.*\); saves [\d.]+ % \(.*\)/m,
  );
  const text = await readFile(join(directory, 'test.json'), 'utf8');
  const artefact = calibrationArtefact.parse(JSON.parse(text));
  assert.deepEqual([artefact.cascade, artefact.model, artefact.labels], ['test', 'small', 400]);
  const server = serverDigest(system.drafterModel.baseURL);
  assert.deepEqual(artefact.made_with, { server, formats: ['text'] });
  assert.ok(stdout.includes(`made with the model server ${server}; response_format: text\n`), stdout);
  assert.ok(artefact.measured.ece < 0.08 && (artefact.measured.auroc ?? 0) > 0.6, JSON.stringify(artefact.measured));
  const other = ['--batch', id, '--sample', '300', '--signal', 'head'];
  await writeFile(join(directory, 'test.calibration.json'), text);
  const refused = await calibrate(system, ...other);
  assert.match(
    refused.stderr,
    /test\.calibration\.json is a calibration of test, stage 1, small and .*: name a file with --out/,
  );
  await rm(join(directory, 'test.calibration.json'));
  await writeFile(join(directory, 'notes.json'), '{}');
  const kept = await calibrate(system, ...other, '--out', 'notes.json');
  assert.match(kept.stderr, /notes\.json is there and is no calibration/);
  assert.deepEqual([refused.code, kept.code, await readFile(join(directory, 'notes.json'), 'utf8')], [1, 1, '{}']);
  const head = await calibrate(system, ...other, '--out', 'head.json');
  assert.equal(head.code, 0, head.stderr);
  // A head is taken by a cascade with that signal, and works on documents that it has not seen.
  await writeFile(join(system.directory, 'head.json'), await readFile(join(directory, 'head.json')));
  const path = join(system.directory, 'spillway.yaml');
  const yaml = await readFile(path, 'utf8');
  await writeFile(
    path,
    yaml.replace('accept_at: 0.8', 'accept_at: 0.8, confidence: { signal: head, calibration: head.json }'),
  );
  for (const service of system.services) await service.stop();
  await Promise.all([system.run('api'), system.run('dispatcher'), system.run('drafter'), system.run('expert')]);
  const next = await system.submit(prompts.slice(0, 50));
  const batch = await system.settled(next.id);
  const lines = await system.lines(batch.output_file_id);
  const decided = lines.flatMap((line) => resultLine.parse(line).cascade ?? []);
  const confidences = new Set(decided.map(({ stages }) => stages[0]?.confidence));
  assert.ok(confidences.size > 40, `${confidences.size} confidences`);
  assert.ok(decided.some(({ role }) => role === 'drafter') && decided.some(({ escalated }) => escalated));
  assert.ok(decided.every(({ stages }) => stages[0]?.calibrated === true));

  // Answers of another kind than it was made with are judged by it all the same, and that is told.
  const body = { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'string' } } } };
  const json = await system.submit(prompts.slice(0, 20), { body });
  const ended = await system.settled(json.id);
  for (const line of await system.lines(ended.output_file_id)) {
    const { response_format: format, stages } = resultLine.parse(line).cascade ?? assert.fail();
    assert.deepEqual([format, stages[0]?.calibrated, typeof stages[0]?.confidence], ['json_schema', false, 'number']);
  }
  const told = () =>
    system.services
      .flatMap((service) => service.lines)
      .filter(({ msg }) => /calibration (was made|may not)/.test(String(msg)))
      .map((line) => [line['batch'], line['stage'], line['response_format'], line['made_with']]);
  await until(() => Promise.resolve(told().length > 0));
  assert.deepEqual(told(), [[json.id, 1, 'json_schema', ['text']]]);
});

let medium: ModelServer;
after(() => medium[Symbol.asyncDispose]());

/** Beside `test`, whose drafts come whole, a cascade of three stages and one that gives drafts up. */
const shared = sharedSystem(async () => {
  const answer = (request: ModelRequest): Scripted => {
    const { p, right } = drawnFor(promptOf(request), 5_000);
    return say(right ? 'yes' : 'no', p);
  };
  medium = await startModelServer({ answer });
  return System.start({
    ...pair,
    stopEarly: false,
    moreModels: `  medium: { base_url: "${medium.baseURL}", model: medium-8b, price: { input: 1, cached_input: 0.1, output: 1 } }`,
    moreCascades: `  three: { stages: [{ model: small, accept_at: 0.7 }, { model: medium, accept_at: 0.8, stop_early: false }, { model: large }] }
  stopping: { drafter: small, expert: large, accept_at: 0.8 }`,
  });
});

test('a later stage is calibrated on the documents that the first one escalates', async () => {
  const system = await shared();
  const { id } = await system.submit(prompts, { model: 'three' });
  await system.settled(id);
  const beyond = await calibrate(system, '--batch', id, '--sample', '500', '--stage', '3');
  assert.match(beyond.stderr, /--stage: expected 1 to 2, the stages of three that judge drafts, got 3/);
  const reached = prompts.filter((prompt) => drawnFor(prompt).p < 0.7).length;
  const sampled = await calibrate(system, '--batch', id, '--sample', '500', '--stage', '2');
  assert.equal(sampled.code, 0, sampled.stderr);
  assert.ok(sampled.stdout.includes(`${reached} of 500 documents come to the stage 2`), sampled.stdout);
  const text = await readFile(join(directory, 'three.medium.calibration.json'), 'utf8');
  const use = {
    cascade: 'three',
    stage: 2,
    ask: 'answer',
    model: 'medium-8b',
    server: serverDigest(medium.baseURL),
    signal: { name: 'sum_logprob' },
  } as const;
  const read = readCalibration(text, use);
  assert.equal(read.kind, 'valid');
  assert.deepEqual(read.warnings, []);
  assert.deepEqual([read.artefact.labels, read.artefact.accept_before], [reached, [0.7]]);

  // The batch itself tells of the same documents: those that came to the second stage.
  const labels = join(directory, 'three.jsonl');
  await writeFile(
    labels,
    prompts.map((_, index) => JSON.stringify({ custom_id: `doc-${index}`, answer: 'yes' })).join('\n'),
  );
  const labelled = await calibrate(system, '--batch', id, '--labels', labels, '--stage', '2', '--out', 'three.json');
  assert.equal(labelled.code, 0, labelled.stderr);
  const second = calibrationArtefact.parse(JSON.parse(await readFile(join(directory, 'three.json'), 'utf8')));
  assert.deepEqual(
    [second.labels, second.right, second.accept_before, second.stage],
    [reached, read.artefact.right, [0.7], 2],
  );
});

test('verdicts are calibrated by the agreement of the drafts that they are on with the answers of the same stage', async () => {
  const judged = 'ask: verdict, verdict: { accept_at: 0.9 }';
  await using system = await System.start({
    drafter: {
      answer: (request) => say(drawnFor(promptOf(request)).right ? 'yes' : 'no', 0.5),
    },
    expert: {
      answer: ({ body }) => {
        const [asked] = body['messages'] as { content: string }[];
        return isVerdictCall(body)
          ? says('Y', drawnFor(asked?.content ?? '').p)
          : { kind: 'completion', text: 'yes', usage: { prompt_tokens: 9, completion_tokens: 1, total_tokens: 10 } };
      },
    },
    moreCascades: `  judged: { drafter: small, expert: large, accept_at: 0.8, ${judged} }`,
  });
  const { id } = await system.submit(prompts, { model: 'judged' });
  await system.settled(id);
  const { code, stdout, stderr } = await calibrate(system, '--batch', id, '--sample', '400', '--stage', '2');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /400 of 400 documents come to the stage 2/);
  const text = await readFile(join(directory, 'judged.large.calibration.json'), 'utf8');
  const artefact = calibrationArtefact.parse(JSON.parse(text));
  assert.deepEqual([artefact.ask, artefact.stage, artefact.labels], ['verdict', 2, 400]);
  assert.deepEqual([artefact.accept_before, artefact.signal], [[0.8], { name: 'self_assessment' }]);
  assert.ok(artefact.measured.ece < 0.1 && (artefact.measured.auroc ?? 0) > 0.6, JSON.stringify(artefact.measured));

  // A cascade that names the file goes by it.
  await writeFile(join(system.directory, 'verdicts.json'), text);
  const path = join(system.directory, 'spillway.yaml');
  const yaml = await readFile(path, 'utf8');
  await writeFile(path, yaml.replace('{ accept_at: 0.9 }', '{ accept_at: 0.6, calibration: verdicts.json }'));
  for (const service of system.services) await service.stop();
  await Promise.all([system.run('api'), system.run('dispatcher'), system.run('drafter'), system.run('expert')]);
  const again = await system.submit(prompts.slice(0, 40), { model: 'judged' });
  const ended = await system.settled(again.id);
  const stages = (await system.lines(ended.output_file_id)).map(({ cascade }) => cascade?.stages[1]);
  assert.deepEqual(new Set(stages.map((one) => one?.outcome)), new Set(['accepted', 'answered']));
  assert.ok(stages.every((one) => one?.calibrated === true && one.accept_at === 0.6));
  assert.ok(stages.every((one) => (one?.outcome === 'accepted') === Number(one?.confidence) >= 0.6));
});

test('one value of JSON answers is calibrated by itself, and the file is good for that value only', async () => {
  const system = await shared();
  const { id } = await system.submit(prompts.slice(0, 100).map((prompt) => `total ${prompt}`));
  await system.settled(id);
  const done = await calibrate(system, '--batch', id, '--sample', '100', '--field', '/total');
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stdout, /^100 values at \/total in 100 drafts$/m);
  const text = await readFile(join(directory, 'test.total.calibration.json'), 'utf8');
  const right = prompts.slice(0, 100).filter((prompt) => drawnFor(prompt).right).length;
  const artefact = calibrationArtefact.parse(JSON.parse(text));
  assert.deepEqual([artefact.field, artefact.labels, artefact.right], ['/total', 100, right]);
  const { cascade, stage, ask, model, signal } = artefact;
  const use = { cascade, stage, ask, model, server: artefact.made_with?.server ?? '', signal };
  assert.equal(readCalibration(text, { ...use, field: '/total' }).kind, 'valid');
  assert.equal(readCalibration(text, use).kind, 'invalid');
  const other = await calibrate(system, '--batch', id, '--sample', '100', '--field', 'total');
  assert.match(other.stderr, /--field: expected a JSON pointer such as \/total, got "total"/);
});

test("by the user's labels, without a call; what is wrong with a file is named by its line", async () => {
  const system = await shared();
  const [{ id }, { id: stopped }] = await Promise.all([
    system.submit(prompts.slice(0, 200)),
    system.submit(prompts.slice(0, 50), { model: 'stopping' }),
  ]);
  await system.settled(id);
  await system.settled(stopped);
  const received = system.drafterModel.received;
  const labels = join(directory, 'labels.jsonl');
  const write = (lines: readonly unknown[]) => labelsFile('labels.jsonl', lines);
  await write(yesFor(200));
  const byLabels = ['--batch', id, '--labels', labels, '--method', 'platt', '--out', 'labelled.json'];
  const labelled = await calibrate(system, ...byLabels);
  assert.equal(labelled.code, 0, labelled.stderr);
  assert.equal(system.drafterModel.received, received, 'nothing was asked');
  assert.match(labelled.stdout, /^drafter only: its score tells right from wrong \(AUROC /m);
  assert.match(labelled.stdout, /the expert was not asked about \d+ of the 200 labelled documents/);
  assert.match(labelled.stdout, /no threshold is recommended: --accuracy SHARE/);
  const { judgement } = await reportOf('labelled');
  assert.deepEqual(
    [judgement.verdict.kind, judgement.expert_accuracy, judgement.gain.value],
    ['drafter_only', null, null],
  );
  assert.ok(judgement.labels.expert_unasked > 0 && judgement.labels.expert_unasked < 200);
  assert.ok(calibrationArtefact.parse(JSON.parse(await readFile(join(directory, 'labelled.json'), 'utf8'))));
  const wished = await calibrate(system, ...byLabels, '--accuracy', '0.8');
  assert.match(
    wished.stdout,
    /^for an accuracy of 80\.0 % among the accepted drafts: accept_at .* right of those accepted/m,
  );
  assert.match(wished.stdout, /^accept_at: 0\.\d+$/m);
  await write(yesFor(50));
  const unknown = await calibrate(system, '--batch', stopped, '--labels', labels, '--out', 'stopped.json');
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /\d+ of 50 drafts were given up early, so that nobody knows how sure they were/);
  await write([
    { custom_id: 'doc-1', correct: true },
    'no JSON',
    { custom_id: 'doc-1', correct: false },
    { custom_id: 'nobody', answer: 'x' },
    { id: 'doc-2' },
  ]);
  const refused = await calibrate(system, '--batch', id, '--labels', labels);
  assert.equal(refused.code, 1);
  for (const problem of [
    /line 2: expected a JSON object/,
    /line 3: the document "doc-1" has a label before/,
    /line 4: the batch has no document "nobody"/,
    /line 5: expected \{"custom_id"/,
  ]) {
    assert.match(refused.stderr, problem);
  }
  await write([{ custom_id: 'doc-1', correct: true }]);
  const few = await calibrate(system, '--batch', id, '--labels', labels, '--out', 'few.json');
  assert.match(few.stdout, /cannot be judged: 1 labels with evidence are too few/);
  assert.match((await calibrate(system, '--batch', id)).stderr, /npm run calibrate -- --batch ID/);
  assert.match(
    (await calibrate(system, '--batch', id, '--labels', labels, '--signal', 'entropy')).stderr,
    /does not tell of the signal/,
  );
});

test('by labels on a sample both tiers are judged; the sample is paid for once, and looked at again', async () => {
  // The expert is wrong about every tenth document, which nobody knows who only asks the expert.
  const expert = {
    answer: (request: ModelRequest): Scripted => ({
      kind: 'completion',
      text: promptOf(request).endsWith('0') ? 'no' : 'yes',
    }),
  };
  await using system = await System.start({ ...pair, expert });
  const { id } = await system.submit(prompts.slice(0, 300));
  await system.settled(id);
  const labels = await labelsFile('both.jsonl', yesFor(280));
  const asked = system.expertModel.received;
  const args = ['--batch', id, '--labels', labels, '--accuracy', '0.8'];
  const both = await calibrate(system, ...args, '--sample', '400', '--out', 'both.json');
  assert.equal(both.code, 0, both.stderr);
  assert.match(both.stdout, /Running 280 of 280 documents through every stage/);
  assert.equal(system.expertModel.received, asked + 280, 'labelled documents only');
  const report = await reportOf('both');
  const { judgement, signals, accept_at: acceptAt } = report;
  const sample = report.sample ?? assert.fail();
  assert.equal(judgement.expert_accuracy, 252 / 280);
  assert.deepEqual([judgement.labels.total, judgement.labels.expert_unknown, acceptAt], [280, 0, 0.8]);
  assert.match(both.stdout, /^pays: /m);
  const reached = judgement.verdict.recommended ?? assert.fail();
  assert.ok((reached.accuracy ?? 0) >= 0.8 && (reached.saved ?? 0) > 0);
  assert.ok(judgement.today !== null && judgement.today.escalated > 0.5, 'more is escalated than not at .8');
  assert.deepEqual(
    signals.map(({ signal }) => signal.name),
    ['sum_logprob', 'mean_logprob', 'min_logprob', 'quantile_logprob', 'margin', 'margin', 'entropy', 'head'],
  );
  assert.ok(judgement.sure_and_wrong.every(({ draft, wanted }) => draft === 'no' && wanted === 'Yes.'));

  // Another signal of the same sample, without a call.
  const calls = [system.drafterModel.received, system.expertModel.received];
  const from = ['--from', sample, '--labels', labels, '--out', 'again.json'];
  const again = await calibrate(system, ...from, '--signal', 'margin');
  assert.equal(again.code, 0, again.stderr);
  assert.deepEqual([system.drafterModel.received, system.expertModel.received], calls);
  const second = await reportOf('again');
  assert.deepEqual([second.batch, second.sample, second.signal], [id, sample, { name: 'margin', over: 'min' }]);
  assert.equal(second.judgement.expert_accuracy, 252 / 280);
  const agreeing = await calibrate(system, '--from', sample, '--out', 'agreeing.json');
  assert.equal(agreeing.code, 0, agreeing.stderr);
  assert.equal((await reportOf('agreeing')).judgement.expert_accuracy, 1, 'by agreement the expert is what is right');
  const ordinary = await calibrate(system, '--from', id);
  assert.match(ordinary.stderr, /is no shadow run: --from names the batch of a sample/);
  const foreign = await calibrate(system, '--from', sample, '--batch', 'batch_other');
  assert.match(foreign.stderr, /was drawn from batch_\w+, not from batch_other/);
  const two = await calibrate(system, '--from', sample, '--sample', '100');
  assert.match(two.stderr, /at most one of --sample, which draws documents, and --from/);

  // A label of the user's draft says of the expert only what it says itself.
  const judged = prompts.slice(0, 280).map((prompt, index) => ({
    custom_id: `doc-${index}`,
    correct: drawnFor(prompt).right,
  }));
  const told = await labelsFile('correct.jsonl', judged);
  const partial = await calibrate(system, '--from', sample, '--labels', told, '--out', 'correct.json');
  assert.match(partial.stdout, /^drafter only: .*the labels do not say whether the expert is right/m);
});

test('what decides nothing is refused before anything is paid for', async () => {
  const constant = { answer: (): Scripted => say('yes', 0.7) };
  await using system = await System.start({ ...pair, drafter: constant, stopEarly: false });
  const { id } = await system.submit(prompts.slice(0, 60));
  await system.settled(id);
  const received = system.drafterModel.received;
  const sampled = (...args: readonly string[]) => calibrate(system, '--batch', id, ...args);
  const few = await labelsFile('few.jsonl', yesFor(20));
  const one = await labelsFile('one.jsonl', yesFor(60));
  const unknown = await labelsFile('unknown.jsonl', [{ custom_id: 'nobody', answer: 'x' }]);
  for (const [args, problem] of [
    [['--sample', '60'], /all 60 scores of this batch are the same \(-0\.35.*\): they tell nothing apart/],
    [['--sample', '20', '--signal', 'entropy'], /fewer than 50 documents decides nothing: --sample asks for 20/],
    [['--sample', '60', '--signal', 'entropy', '--labels', few], /decides nothing: there are 20 labelled documents/],
    [['--sample', '60', '--signal', 'entropy', '--labels', one], /by their labels all 60 drafts are right/],
    [['--sample', '60', '--labels', unknown], /line 1: the batch has no document "nobody"/],
  ] as const) {
    const { code, stderr } = await sampled(...args);
    assert.equal(code, 1);
    assert.match(stderr, problem);
  }
  assert.equal(system.drafterModel.received, received);
});

test('whoever stops looking at a sample is told how to go on with it, and pays once', async () => {
  let isHeld = false;
  const gate = Promise.withResolvers<void>();
  const expert = {
    answer: async (): Promise<Scripted> => {
      if (isHeld) await gate.promise;
      return { kind: 'completion', text: 'yes' };
    },
  };
  await using system = await System.start({ ...pair, expert });
  const { id } = await system.submit(prompts.slice(0, 80));
  await system.settled(id);
  isHeld = true;
  const { child, ended } = start(system, [
    '--batch',
    id,
    '--sample',
    '60',
    '--accuracy',
    '0.9',
    '--out',
    'stopped.json',
  ]);
  let seen = '';
  child.stdout?.on('data', (text: string) => (seen += text));
  await until(() => Promise.resolve(/The sample is batch_/.test(seen)));
  child.kill('SIGINT');
  const { code, stdout } = await ended;
  assert.equal(code, 130);
  const [, sample = '', rest = ''] = /npm run calibrate -- --from (batch_\w+) (.*)/.exec(stdout) ?? [];
  assert.equal(rest, `--batch ${id} --accuracy 0.9 --out stopped.json`);
  isHeld = false;
  gate.resolve();
  await system.settled(sample);
  const received = system.drafterModel.received;
  const resumed = await calibrate(system, '--from', sample, ...rest.split(' '));
  assert.equal(resumed.code, 0, resumed.stderr);
  assert.equal(system.drafterModel.received, received);
});

test('a signal that a shadow run does not record is refused before anything is paid for', async () => {
  const system = await shared();
  const { id } = await system.submit(['a', 'b']);
  await system.settled(id);
  const { received } = system.drafterModel;
  const signal = '{"name":"quantile_logprob","alpha":0.2}';
  const { code, stderr } = await calibrate(system, '--batch', id, '--sample', '2', '--signal', signal);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /a sample says nothing of the signal \{"name":"quantile_logprob","alpha":0\.2\}: make it the stage's/,
  );
  assert.equal(system.drafterModel.received, received);
});

test('a drafter without log-probs is refused before anything is paid for', async () => {
  await using system = await System.start({ drafter: { answer: () => ({ kind: 'completion', logprobs: null }) } });
  const { id } = await system.submit(prompts.slice(0, 5));
  await system.settled(id);
  const received = system.drafterModel.received;
  const { code, stderr } = await calibrate(system, '--batch', id, '--sample', '5');
  assert.equal(code, 1);
  assert.match(stderr, /no draft of this batch has a score/);
  assert.equal(system.drafterModel.received, received);
});

test('the page is whole in a browser', async (context) => {
  const lacking = await install(['chromium'], ['chromium']);
  if (lacking !== null) return context.skip(lacking);
  const page = join(directory, 'test.report.html');
  const args = ['--headless', '--no-sandbox', '--disable-gpu', '--enable-logging=stderr', '--virtual-time-budget=2000'];
  const { stdout, stderr } = await run('chromium', [...args, '--dump-dom', `file://${page}`], { timeout: 60_000 });
  assert.equal(stdout.match(/<polyline/g)?.length, 7);
  assert.match(stdout, /The cascade pays/);
  assert.doesNotMatch(stderr, /CONSOLE.*(error|refused)/i);
});
