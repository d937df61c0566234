import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addCounts, NO_COUNTS, stageCounter, type Counts, type StageCounter } from '../accounting/counts.ts';
import { MAX_USD_KEY } from '../batch/metadata.ts';
import type { CascadeRules } from '../cascade/rules.ts';
import { isAtRisk } from './at-risk.ts';
import { addNote, askedTotal, nextNoteAtMs, noteOf, readNotes, writeNotes, type ProgressNote } from './notes.ts';
import { progressInTheEnd, progressOf, type BatchInWork } from './progress.ts';
import { timeLeft } from './time-left.ts';

const PRICE = { input: 1, output: 1 };

const rulesOf = (models: readonly string[], price: typeof PRICE | null = PRICE): CascadeRules => ({
  stages: models.map((model) => ({
    model,
    ask: 'answer',
    judge: null,
    limits: { contextTokens: null, images: true, tools: true },
    price,
  })),
  shadow: false,
  onDeadline: 'error',
  annotate: true,
});

const cascades = { test: rulesOf(['small', 'large']) };

type Staged = readonly [stage: number, counter: StageCounter, count: number];

const countsOf = (counts: Partial<Counts>, ...staged: readonly Staged[]): Counts =>
  addCounts(NO_COUNTS, {
    ...counts,
    ...Object.fromEntries(staged.map(([stage, name, count]) => [stageCounter('test', stage, name), count])),
  });

/** A batch that a second after the other settles so many documents of each stage. */
function steady(seconds: number, perSecond: { drafts: number; answers: number; escalated: number }): ProgressNote[] {
  return Array.from({ length: seconds + 1 }, (_, at) => {
    const drafted = at * perSecond.drafts;
    const handedOff = Math.round(drafted * perSecond.escalated);
    const answered = Math.min(handedOff, at * perSecond.answers);
    return {
      atMs: at * 1_000,
      settled: drafted - handedOff + answered,
      stages: [
        { reached: 1_000, left: drafted },
        { reached: handedOff, left: answered },
      ],
    };
  });
}

const rounded = (ms: number | undefined): number => Math.round((ms ?? Number.NaN) / 1_000);

test('where the documents of a batch are is told by the counts of settled ones and by its part of the queues', () => {
  const counts = countsOf({ completed: 39, failed: 1 }, [0, 'accepted', 30], [0, 'escalated', 9], [0, 'skipped', 1]);
  const of = (queued: number[], enqueued = 100) => noteOf({ enqueued, counts, cascades, queued }, 7).stages;
  const expected = [
    { reached: 100, left: 60 },
    { reached: 30, left: 10 },
  ];
  assert.deepEqual(of([40, 20]), expected);
  assert.deepEqual(of([400, 200]), expected, 'others have documents in the same queues');
  const settled = [
    { reached: 40, left: 40 },
    { reached: 10, left: 10 },
  ];
  assert.deepEqual(of([9, 9], 30), settled, 'after a loss not all of them are passed over yet');
  assert.deepEqual(of([0, 0]), [
    { reached: 100, left: 40 },
    { reached: 10, left: 10 },
  ]);
});

test('copies are settled with the others, and no stage has anything to do for them', () => {
  const counts = { ...countsOf({ completed: 89, failed: 1 }, [0, 'accepted', 39]), copied: 50 };
  const note = noteOf({ enqueued: 100, counts, cascades, queued: [60, 0] }, 7);
  assert.deepEqual([note.settled, note.stages[0]], [90, { reached: 100, left: 40 }]);
  const notes = steady(20, { drafts: 10, answers: 9, escalated: 0.3 });
  assert.equal(askedTotal({ total: 3_000, copies: 500 }, notes), 2_500);
  assert.equal(askedTotal({ total: 1_200, copies: 500 }, notes), 1_000, 'as many came to the first stage');
  assert.equal(askedTotal({ total: 700 }, []), 700);
  const shown = progressOf(inWork({ total: 5_000, copies: 4_000 }), 21_000);
  assert.deepEqual(shown.left_seconds, progressOf(inWork(), 21_000).left_seconds, 'as long as without them');
  assert.deepEqual(shown.projected_usd, progressOf(inWork(), 21_000).projected_usd, 'and as dear');
});

test('notes are taken ever more rarely, so many are kept, and those of before a loss are not', () => {
  let notes: readonly ProgressNote[] = [];
  let taken = 0;
  for (let atMs = 0; atMs <= 7 * 86_400_000; taken += 1, atMs = nextNoteAtMs(notes)) {
    notes = addNote(notes, { atMs, settled: taken, stages: [] });
  }
  assert.equal(notes.length, 48);
  assert.ok(taken < 400, `${taken} in a week`);
  const [first, last] = [notes[0]?.atMs ?? 0, notes.at(-1)?.atMs ?? 0];
  assert.ok(first < last / 4, 'they reach back');
  assert.deepEqual(readNotes(writeNotes(notes)), notes);
  assert.ok(writeNotes(steady(47, { drafts: 1_000, answers: 100, escalated: 0.2 })).length < 2_000);
  const after = { atMs: last + 1, settled: 1, stages: [] };
  assert.deepEqual(addNote(notes, after), [after]);
  for (const text of [undefined, '', '{}', '1', '1 2 3', '1 a']) assert.deepEqual(readNotes(text), []);
});

test('the stage that takes longest decides how long a batch takes', () => {
  const drafters = timeLeft(steady(20, { drafts: 10, answers: 9, escalated: 0.3 }), 1_000);
  // 800 drafts at 10 a second, and a little more, as what goes on for long is sooner slowed down than sped up.
  assert.equal(rounded(drafters?.likely), 91);
  assert.deepEqual([rounded(drafters?.low), rounded(drafters?.high)], [57, 190]);
  const experts = timeLeft(steady(20, { drafts: 40, answers: 2, escalated: 0.3 }), 1_000);
  // 240 escalated, and a share of the last 200 documents, less the 40 that were answered, at 2 a second.
  assert.equal(rounded(experts?.likely), 151);
});

test('nothing is said before there is something to judge by', () => {
  const notes = steady(20, { drafts: 10, answers: 2, escalated: 0.3 });
  assert.equal(timeLeft([], 1_000), null);
  assert.equal(timeLeft(notes.slice(0, 3), 1_000), null, 'three notes');
  const unanswered = notes.map((note) => ({
    ...note,
    stages: [note.stages[0] ?? assert.fail(), { reached: 60, left: 0 }],
  }));
  assert.equal(timeLeft(unanswered, 1_000), null, 'no expert has answered yet');
  const still = notes.map((note) => ({ ...note, stages: note.stages.map(() => ({ reached: 9, left: 5 })) }));
  assert.equal(timeLeft(still, 1_000), null, 'nothing moved');
  assert.notEqual(timeLeft(notes, 1_000), null);
});

test('a window is at risk when even the short end lies beyond it, or when half of it was idle', () => {
  const notes = steady(20, { drafts: 10, answers: 9, escalated: 0.3 });
  const risk = (expiresS: number) =>
    isAtRisk(notes, { total: 1_000, settled: 200, createdAtMs: 0, expiresAtMs: expiresS * 1_000 }, 20_000);
  assert.deepEqual([risk(75), risk(78)], [true, false]);
  const idle = { total: 1_000, settled: 0, createdAtMs: 0, expiresAtMs: 100_000 };
  assert.deepEqual([isAtRisk([], idle, 49_000), isAtRisk([], idle, 50_000)], [null, true]);
  assert.equal(isAtRisk([], { ...idle, settled: 1 }, 90_000), null);
});

const inWork = (more: Partial<BatchInWork> = {}): BatchInWork => ({
  total: 1_000,
  // 200 drafts at 10, of which 60 were escalated and answered at 100.
  counts: countsOf(
    { completed: 200, allExpertNanoUsd: 200 * 90e6 },
    [0, 'accepted', 140],
    [0, 'escalated', 60],
    [0, 'nanoUsd', 200 * 10e6],
    [1, 'answered', 60],
    [1, 'nanoUsd', 60 * 100e6],
  ),
  cascades,
  metadata: null,
  notes: steady(20, { drafts: 10, answers: 9, escalated: 0.3 }),
  inProgressAtMs: 0,
  createdAtMs: 0,
  expiresAtMs: 86_400_000,
  ...more,
});

test('a batch in work says what it has done and what is expected of the rest', () => {
  const shown = progressOf(inWork(), 21_000);
  assert.deepEqual(shown, {
    elapsed_seconds: 21,
    documents_per_second: 9.52,
    left_seconds: { low: 56, high: 190 },
    at_risk: false,
    spent_usd: 8,
    all_expert_usd: 18,
    projected_usd: { low: shown.projected_usd?.low, high: shown.projected_usd?.high },
  });
  // At 10 and 100 and three tenths it is 40 in the end.
  const { low, high } = shown.projected_usd ?? assert.fail();
  assert.ok(low > 25 && low < 35 && high > 45 && high < 60, `${low} to ${high}`);
});

test('a batch that stands still has a rate of nothing, and what is expected is no longer than its window', () => {
  const moved = steady(20, { drafts: 10, answers: 9, escalated: 0.3 });
  const last = moved.at(-1) ?? assert.fail();
  const stood = Array.from({ length: 40 }, (_, at) => ({ ...last, atMs: 20_000 + (at + 1) * 10_000 }));
  const notes = [...moved, ...stood].slice(-48);
  const shown = progressOf(inWork({ notes, expiresAtMs: 1_000_000 }), 421_000);
  assert.equal(shown.documents_per_second, 0);
  const { low, high } = shown.left_seconds ?? assert.fail();
  assert.equal(high, 579);
  assert.ok(low < 500, `it may go on at any moment: ${low}`);
  const long = progressOf(inWork({ notes: stood, expiresAtMs: 1_000_000 }), 421_000);
  assert.equal(long.left_seconds, null, 'what is kept says nothing of before');
});

test('notes that nobody takes any more say nothing of how long it takes', () => {
  const shown = progressOf(inWork(), 81_000);
  assert.deepEqual([shown.left_seconds, shown.projected_usd, shown.at_risk], [null, null, null]);
  assert.deepEqual([shown.elapsed_seconds, shown.spent_usd], [81, 8]);
});

test('a batch costs no more than its cap, and does not go on beyond it', () => {
  const capped = progressOf(inWork({ metadata: { [MAX_USD_KEY]: '12' } }), 20_000);
  assert.deepEqual(capped.projected_usd, { low: 12, high: 12 });
  const free = progressOf(inWork(), 20_000);
  assert.ok((capped.left_seconds?.high ?? 0) < (free.left_seconds?.high ?? 0) / 4);
  const wide = progressOf(inWork({ metadata: { [MAX_USD_KEY]: '1000' } }), 20_000);
  assert.deepEqual(wide, free);
});

test('without any price nothing is said of money', () => {
  const shown = progressOf(inWork({ cascades: { test: rulesOf(['small', 'large'], null) } }), 20_000);
  assert.deepEqual([shown.spent_usd, shown.all_expert_usd, shown.projected_usd], [null, null, null]);
  assert.notEqual(shown.left_seconds, null);
});

test('what the experts alone would have cost is not said where one that was needed has no price', () => {
  const unpriced = rulesOf(['small', 'large'], null);
  assert.equal(progressOf(inWork({ cascades: { ...cascades, other: unpriced } }), 21_000).all_expert_usd, 18);
  const counts = addCounts(inWork().counts, { ...NO_COUNTS, 'other/1/accepted': 1 });
  assert.equal(progressOf(inWork({ counts, cascades: { ...cascades, other: unpriced } }), 21_000).all_expert_usd, null);
  assert.equal(progressOf(inWork({ counts: NO_COUNTS }), 21_000).all_expert_usd, null);
});

test('a batch that has ended says how long it took, and of the rest nothing', () => {
  assert.deepEqual(progressInTheEnd({ ...inWork(), endedAtMs: 25_000 }), {
    elapsed_seconds: 25,
    documents_per_second: 8,
    left_seconds: null,
    at_risk: null,
    spent_usd: 8,
    all_expert_usd: 18,
    projected_usd: null,
  });
});
