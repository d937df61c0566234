import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfiguration, readResultLine, type ResultLine } from '@spillway/core';
import { DEMO } from '../../../services/playground/src/demo/cascade.ts';
import { verdictOf } from '../figure.ts';
import { aimsOf } from './aims.ts';
import { handledBy, NO_TOKENS, type Handled } from './handled.ts';
import { measuredOf, type PlaceMeasured, type Run } from './measure.ts';
import { OptionError, readOptions } from './options.ts';
import { timePicture, workPicture } from './picture.ts';
import { notesOf, timeTable, workTable } from './table.ts';
import { spreadOf } from './tally.ts';
import { cascadeName, EXACT, EXPERT_ONLY, FIELDS, ORDER_WAYS, PLAIN, STOPPING, WAYS } from './ways.ts';

const usage = (input: number, output: number) => ({ input_tokens: input, cached_tokens: 4, output_tokens: output });
const stage = { signal: null, score: null, confidence: null, calibrated: false, accept_at: null, attempts: 1 };

function lineOf(expert: object | null, draft: object): ResultLine {
  const drafter = {
    model: 'small',
    role: 'drafter',
    ask: 'answer',
    outcome: expert === null ? 'accepted' : 'escalated',
    ...stage,
    reason: null,
    usage: usage(80, 20),
    wait_ms: { queue: 100, call: 40, hand_off: 5 },
    ...draft,
  };
  const rest = { role: 'expert', outcome: 'answered', reason: null, usage: usage(90, 6) };
  const own = { model: 'large', ...stage, ...rest, wait_ms: { queue: 10, call: 30, hand_off: null }, ...expert };
  const line = {
    id: 'one',
    custom_id: 'a',
    response: { status_code: 200, request_id: 'r', body: { choices: [{ message: { content: 'yes' } }] } },
    error: null,
    cascade: {
      name: 'c',
      stage: 1,
      model: 'm',
      role: 'expert',
      escalated: expert !== null,
      certificate: null,
      trace_id: null,
      stages: expert === null ? [drafter] : [drafter, own],
      wait_ms: { sequential: expert === null ? null : 155, total: expert === null ? 140 : 187 },
    },
  };
  return readResultLine(JSON.stringify(line)) ?? assert.fail('no line');
}

test('a line says what each model took, how long the slow path was, and what of the draft was wasted', () => {
  const text = '0123456789';
  const verified = handledBy(lineOf({ ask: 'verify', kept_characters: 7 }, { draft: { text } }));
  assert.deepEqual(verified.slow, { queueAndCallsMs: 40, toAnswerMs: 47 });
  assert.deepEqual([verified.sequentialMs, verified.wasted, verified.asked], [155, 6, 'verify']);
  assert.deepEqual(verified.expert, { inputTokens: 90, cachedTokens: 4, outputTokens: 6 });
  const whole = handledBy(lineOf({ ask: 'answer', ask_reason: 'nothing_kept' }, { draft: { text } }));
  assert.deepEqual([whole.wasted, whole.asked], [20, 'answer: nothing_kept']);
  const stopped = { stopped: { text: text.slice(0, 5), score_at_most: -1 } };
  assert.equal(handledBy(lineOf({ ask: 'verify', kept_characters: 5 }, stopped)).wasted, 0);
  const values = { ask: 'fields', asked_fields: ['/b'] };
  assert.equal(handledBy(lineOf(values, { draft: { text: '{"a":1,"b":"12"}' } })).wasted, 5, 'of 16 characters 4');
  const accepted = handledBy(lineOf(null, {}));
  assert.deepEqual([accepted.wasted, accepted.slow, accepted.escalated, accepted.answer], [0, null, false, 'yes']);
});

const RIGHT = 'right';
const documents = ['a', 'b', 'c', 'd'].map((customId) => ({
  customId,
  isRight: (answer: string) => answer === RIGHT,
}));

const handled = (customId: string, more: Partial<Handled>): Handled => ({
  customId,
  answer: RIGHT,
  escalated: true,
  drafter: NO_TOKENS,
  expert: NO_TOKENS,
  wasted: 0,
  readInside: null,
  sequentialMs: null,
  slow: null,
  asked: 'answer',
  draft: null,
  keptCharacters: null,
  ...more,
});

/** A way in which the last document goes as is said, and the others are answered right by the drafter. */
const runOf = (last: Partial<Handled>): Run => ({
  round: {
    handled: documents.map(({ customId }, at) => handled(customId, at === 3 ? last : { escalated: false })),
    makespanS: 2,
  },
  did: null,
});

const tokens = (inputTokens: number, outputTokens: number) => ({ inputTokens, cachedTokens: 0, outputTokens });

const RUNS = new Map<string, Run[]>([
  [EXPERT_ONLY, [runOf({ answer: 'own' })]],
  [
    PLAIN,
    [
      runOf({
        answer: 'own',
        wasted: 100,
        expert: tokens(1_000_000, 40),
        slow: { queueAndCallsMs: 1, toAnswerMs: 2_000 },
      }),
    ],
  ],
  [STOPPING, [runOf({ answer: 'own', wasted: 80, asked: 'answer: not_scored' })]],
  [EXACT, [runOf({ answer: 'other', expert: tokens(0, 10), slow: { queueAndCallsMs: 1, toAnswerMs: 1_000 } })]],
]);
const ways = WAYS.filter(({ name }) => RUNS.has(name));
const PLACE: PlaceMeasured = { place: 'gpu', concurrency: 1, load: [0, 0], ...measuredOf(ways, documents, RUNS) };

test('no times have no spread', () => {
  assert.equal(spreadOf([]), null);
});

test('rounds are added up, and held against the expert by itself', () => {
  const [, plain] = PLACE.ways;
  const [tally] = plain?.rounds ?? [];
  assert.deepEqual([tally?.right.count, tally?.asExpert.count, tally?.escalatedAsExpert.of], [3, 4, 1]);
  assert.equal(tally?.usd, DEMO.expert.price.input + (40 * DEMO.expert.price.output) / 1e6);
  assert.deepEqual([plain?.changedDecisions, plain?.unstable], [0, 0]);
  assert.deepEqual(PLACE.differing, [
    { round: 0, customId: 'd', own: 'own', answer: 'other', draft: null, keptCharacters: null, asked: 'answer' },
  ]);
});

test('aims are held to the plain cascade of the same round', () => {
  const verdicts = aimsOf([PLACE], 'documents').map((figure) => [
    figure.figure,
    verdictOf(figure).ratio.median,
    verdictOf(figure).isMet,
  ]);
  assert.deepEqual(verdicts, [
    ["verify: the expert's own answers, GPU-like servers", 0, false],
    ['verify: tokens that the expert writes, GPU-like servers', 0.25, true],
    ['stop early: wasted drafter tokens, GPU-like servers', 0.8, true],
    ['verify: slow path, p50, GPU-like servers', 0.5, true],
  ]);
  assert.deepEqual(aimsOf([], 'documents'), []);
  const fields = new Map([...RUNS, [FIELDS, [runOf({ answer: 'own', expert: tokens(0, 12) })]]]);
  const orders: PlaceMeasured = { ...PLACE, ...measuredOf(ORDER_WAYS, documents, fields) };
  const [written, right] = aimsOf([orders], 'orders').slice(-2).map(verdictOf);
  assert.deepEqual([written?.ratio.median, written?.isMet, right?.isMet], [0.3, true, true]);
  const { changedDecisions } = orders.ways.find(({ name }) => name === FIELDS) ?? assert.fail();
  assert.equal(changedDecisions, null, 'at another threshold other drafts are final');
});

test('the tables have a line for each way, the notes say what is not as it should be, and pictures are whole', () => {
  for (const table of [workTable(PLACE), timeTable(PLACE)]) {
    const lines = table.split('\n');
    assert.equal(lines.length, 2 + ways.length);
    assert.equal(new Set(lines.map((line) => line.split('|').length)).size, 1);
    for (const { name } of ways) assert.ok(table.includes(`| ${name} `));
  }
  const notes = notesOf(PLACE);
  assert.ok(notes.includes('stop early: 1 × answer: not_scored'));
  assert.ok(notes.some((note) => note.startsWith('verify, round 1, d ')));
  for (const picture of [workPicture(PLACE, 'a < b'), timePicture(PLACE, 'a < b')]) {
    assert.doesNotMatch(picture, /NaN|undefined|Infinity/);
    assert.match(picture, /a &lt; b/);
  }
});

test('the configuration of every way is one', () => {
  for (const own of [WAYS, ORDER_WAYS]) {
    const cascades = own.flatMap((way) =>
      way.kind === 'cascade' ? [[cascadeName(way), { drafter: 's', expert: 'l', accept_at: 0.7, ...way.spec }]] : [],
    );
    const model = { base_url: 'http://x/v1', model: 'm' };
    const read = readConfiguration(
      JSON.stringify({ models: { s: model, l: model }, cascades: Object.fromEntries(cascades) }),
    );
    assert.equal(read.kind, 'valid', JSON.stringify(read));
    assert.equal(new Set(own.map(cascadeName)).size, own.length, 'no two are called alike');
  }
});

test('options are strict', () => {
  assert.deepEqual(readOptions([]), {
    work: 'documents',
    documents: 1000,
    rounds: 3,
    seed: 1,
    on: ['embedded', 'gpu'],
    only: null,
    speed: 1,
    scale: 11,
    json: false,
    out: null,
  });
  assert.deepEqual(readOptions(['--only', 'verify; stop early', '--on', 'gpu']).only, ['verify', 'stop early']);
  const wrong = [
    '--documents=0',
    '--documents=1.5',
    '--rounds=x',
    '--seed=-1',
    '--on=tpu',
    '--work=none',
    '--speed=0',
    '--scale=',
    '--what',
    'gpu',
  ];
  for (const one of wrong) assert.throws(() => readOptions([one]), OptionError, one);
});
