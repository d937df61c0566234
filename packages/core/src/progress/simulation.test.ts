import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../calibration/measures.ts';
import { isAtRisk } from './at-risk.ts';
import { addNote, nextNoteAtMs, type ProgressNote } from './notes.ts';
import { timeLeft } from './time-left.ts';

/** A batch that is simulated in steps: two tiers whose rates vary, stalls, and other batches that take their share. */
type Mix = {
  readonly total: number;
  /** Documents a second, and how much each varies. */
  readonly drafts: number;
  readonly answers: number;
  readonly unrest: number;
  readonly escalated: number;
  /** The share of escalations at the end differs so from that at the beginning: the input is sorted. */
  readonly drift: number;
  /** Others that come, per length of the batch alone, and how long each stays of it. */
  readonly others: number;
  readonly stay: number;
  /** Stalls of a tier, per length of the batch alone, and how long each lasts of it. */
  readonly stalls: number;
  readonly stallLength: number;
  /** Documents that may be enqueued and not settled. */
  readonly inFlight: number;
  /** The window, in lengths of the batch alone. */
  readonly window: number;
};

type Random = () => number;

const normal = (random: Random): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const within = (random: Random, low: number, high: number): number => low + (high - low) * random();
const withinLog = (random: Random, low: number, high: number): number =>
  Math.exp(within(random, Math.log(low), Math.log(high)));
const chance = (random: Random, share: number): boolean => random() < share;

function mixOf(random: Random): Mix {
  const drafts = withinLog(random, 1, 200);
  const escalated = within(random, 0.03, 0.7);
  const total = Math.round(withinLog(random, 300, 100_000));
  return {
    total,
    drafts,
    // From a tier that is never short of anything to one that holds everything up.
    answers: drafts * escalated * withinLog(random, 0.2, 5),
    unrest: within(random, 0, 0.6),
    escalated,
    drift: chance(random, 0.3) ? within(random, -0.5, 0.5) : 0,
    others: chance(random, 0.6) ? within(random, 0, 5) : 0,
    stay: within(random, 0.05, 0.5),
    stalls: chance(random, 0.3) ? within(random, 0, 2) : 0,
    stallLength: within(random, 0.01, 0.15),
    inFlight: chance(random, 0.5) ? total : Math.max(64, Math.round(total * within(random, 0.02, 0.3))),
    window: chance(random, 0.2) ? within(random, 0.8, 1.5) : withinLog(random, 1.5, 50),
  };
}

/** A rate that varies slowly, as a factor. */
function varying(random: Random, unrest: number, memory: number): () => number {
  let state = normal(random);
  return () => {
    state = memory * state + Math.sqrt(1 - memory ** 2) * normal(random);
    return Math.exp(unrest * state);
  };
}

const STEPS = 1_500;

/** The notes of a batch when so much of its work was done. */
type Look = { readonly share: number; readonly notes: readonly ProgressNote[] };

type Run = {
  readonly mix: Mix;
  readonly endMs: number;
  readonly windowMs: number;
  readonly isKept: boolean;
  readonly looks: readonly Look[];
  /** When the window was said to be at risk; null: it was not. */
  readonly toldAtMs: number | null;
};

const LOOKS = [0.1, 0.3, 0.5, 0.8];

/** Whether each tier stands still in a step: stalls come at any time, and are as long as it comes. */
function stalling({ stalls, stallLength }: Mix, random: Random): (tier: number) => boolean {
  const left = [0, 0];
  return (tier) => {
    const begins = chance(random, stalls / STEPS);
    left[tier] = begins ? -Math.log(1 - random()) * stallLength * STEPS : Math.max(0, (left[tier] ?? 0) - 1);
    return left[tier] > 0;
  };
}

/** How many other batches there are in a step. */
function others({ others: coming, stay }: Mix, random: Random): () => number {
  let count = 0;
  return () => {
    if (chance(random, coming / STEPS)) count += 1;
    if (count > 0 && chance(random, count / (stay * STEPS))) count -= 1;
    return count;
  };
}

/** The two tiers of a batch, step by step. */
class Tiers {
  enqueued = 0;
  drafted = 0;
  handedOff = 0;
  answered = 0;
  readonly #mix: Mix;
  readonly #random: Random;

  constructor(mix: Mix, random: Random) {
    this.#mix = mix;
    this.#random = random;
  }

  get settled(): number {
    return Math.floor(this.drafted) - this.handedOff + Math.floor(this.answered);
  }

  step(drafts: number, answers: number): void {
    const { total, inFlight, escalated, drift } = this.#mix;
    this.enqueued = Math.min(total, Math.max(this.enqueued, this.settled + inFlight));
    const before = Math.floor(this.drafted);
    this.drafted = Math.min(this.enqueued, this.drafted + drafts);
    const share = Math.min(0.98, Math.max(0, escalated * (1 + drift * (2 * (this.drafted / total) - 1))));
    for (let one = before; one < Math.floor(this.drafted); one += 1)
      if (chance(this.#random, share)) this.handedOff += 1;
    this.answered = Math.min(this.handedOff, this.answered + answers);
  }

  /** As the dispatcher would note it. Whose documents are in queues that others use is not exactly known. */
  note(atMs: number, isAlone: boolean): ProgressNote {
    const unsettled = this.enqueued - this.settled;
    const guess = isAlone ? 1 : Math.exp(0.3 * normal(this.#random));
    const experts = Math.min(unsettled, (this.handedOff - this.answered) * guess);
    const answered = Math.floor(this.answered);
    const stages = [
      { reached: this.enqueued, left: Math.round(this.enqueued - unsettled + experts) },
      { reached: Math.round(answered + experts), left: answered },
    ];
    return { atMs, settled: this.settled, stages };
  }
}

/** Runs a mix until it is done or its window is over, taking notes as the dispatcher does. */
function run(mix: Mix, random: Random): Run {
  const aloneS = Math.max(mix.total / mix.drafts, (mix.total * mix.escalated) / mix.answers);
  const stepMs = (aloneS * 1000) / STEPS;
  const windowMs = mix.window * aloneS * 1000;
  const memory = Math.exp(-1 / (STEPS * within(random, 0.01, 0.3)));
  const speeds = [varying(random, mix.unrest, memory), varying(random, mix.unrest, memory)] as const;
  const [countOthers, isStalled] = [others(mix, random), stalling(mix, random)];
  const tiers = new Tiers(mix, random);
  const looks: Look[] = [];
  let notes: readonly ProgressNote[] = [];
  let toldAtMs: number | null = null;
  let atMs = 0;
  while (tiers.settled < mix.total && atMs < windowMs) {
    const share = 1 / (1 + countOthers());
    const [drafts, answers] = [mix.drafts, mix.answers].map((perSecond, tier) =>
      isStalled(tier) ? 0 : (perSecond * (speeds[tier]?.() ?? 1) * share * stepMs) / 1000,
    );
    tiers.step(drafts ?? 0, answers ?? 0);
    atMs += stepMs;
    if (atMs >= nextNoteAtMs(notes)) {
      notes = addNote(notes, tiers.note(atMs, share === 1));
      const { settled } = tiers;
      const window = { total: mix.total, settled, createdAtMs: 0, expiresAtMs: windowMs };
      if (toldAtMs === null && isAtRisk(notes, window, atMs) === true) toldAtMs = atMs;
    }
    const next = LOOKS[looks.length];
    if (next !== undefined && tiers.settled >= next * mix.total) looks.push({ share: next, notes });
  }
  return { mix, endMs: atMs, windowMs, isKept: tiers.settled >= mix.total, looks, toldAtMs };
}

const quantile = (values: readonly number[], part: number): number =>
  values.toSorted((left, right) => left - right)[Math.floor(values.length * part)] ?? Number.NaN;

const runs = Array.from({ length: 1_000 }, (_, at) => {
  const random = seededRandom(at + 1);
  return run(mixOf(random), random);
});

/** What was expected of the batches when so much was done, and what came. */
function judged(share: number) {
  return runs.flatMap(({ looks, windowMs, endMs, mix }) => {
    const notes = looks.find((look) => look.share === share)?.notes ?? [];
    const expected = timeLeft(notes, mix.total);
    if (expected === null) return [];
    const nowMs = notes.at(-1)?.atMs ?? 0;
    const low = Math.min(expected.low, expected.atBest, windowMs - nowMs);
    const high = Math.min(expected.high, windowMs - nowMs);
    return [{ low, high, trueMs: endMs - nowMs, isCalm: mix.others === 0 && mix.stalls === 0 && mix.unrest < 0.3 }];
  });
}

/** Shown are whole seconds. */
const SECOND = 1_000;

for (const [share, known, width, calmWidth] of [
  [0.1, 0.75, 1.8, 1.9],
  [0.3, 0.9, 1.5, 1.5],
  [0.5, 0.9, 1.5, 1.4],
  [0.8, 0.9, 1.6, 1.2],
] as const) {
  test(`at ${share * 100} % of the work the range holds the true end in nine of ten batches, and is of use`, (context) => {
    const reached = runs.filter(({ looks }) => looks.some((look) => look.share === share)).length;
    const all = judged(share);
    const isHeld = ({ low, high, trueMs }: (typeof all)[number]): boolean =>
      trueMs >= low - SECOND && trueMs <= high + SECOND;
    const held = all.filter(isHeld).length / all.length;
    const widths = all.map(({ low, high, trueMs }) => (high - low) / trueMs);
    const calm = widths.filter((_, at) => all[at]?.isCalm === true);
    const [median, medianCalm] = [quantile(widths, 0.5), quantile(calm, 0.5)];
    context.diagnostic(
      `${(held * 100).toFixed(1)} % of ${all.length} ranges of ${reached} batches; median width ${median.toFixed(2)} ` +
        `of the time left, ${medianCalm.toFixed(2)} of ${calm.length} calm ones`,
    );
    assert.ok(held >= 0.9, `${held}`);
    assert.ok(all.length / reached > known, `nothing is said of ${reached - all.length} of ${reached}`);
    assert.ok(median < width && medianCalm < calmWidth, `${median} and ${medianCalm} of the time left`);
  });
}

test('of windows that are missed nearly all are told in time, and hardly any other', (context) => {
  const missed = runs.filter(({ isKept }) => !isKept);
  const told = missed.filter(({ toldAtMs }) => toldAtMs !== null);
  const kept = runs.filter(({ isKept }) => isKept);
  const wrong = kept.filter(({ toldAtMs }) => toldAtMs !== null);
  const ahead = told.map(({ toldAtMs, windowMs }) => 1 - (toldAtMs ?? 0) / windowMs);
  context.diagnostic(
    `${told.length} of ${missed.length} missed, when ${quantile(ahead, 0.5).toFixed(2)} of the window was left; ` +
      `${wrong.length} of ${kept.length} kept`,
  );
  assert.ok(missed.length > 50 && told.length / missed.length > 0.9, `${told.length} of ${missed.length}`);
  assert.ok(quantile(ahead, 0.5) > 0.3);
  assert.ok(wrong.length / kept.length < 0.03, `${wrong.length} of ${kept.length}`);
});
