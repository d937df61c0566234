import type { ProgressNote, StageProgress } from './notes.ts';

/** What is expected of a figure: `likely`, and a range that holds it in nine of ten cases. */
export type Expected = { readonly low: number; readonly likely: number; readonly high: number };

/** And the least that it takes, if things go from now on as they went at their best. */
export type TimeLeft = Expected & { readonly atBest: number };

/** Fewer answers of a stage say nothing of its rate. */
const MIN_ANSWERS = 8;
/** Nor do fewer notes. */
const MIN_NOTES = 4;

/** The time that the notes span is looked at in so many parts. */
const PARTS = 8;
/** What is to come is taken to be the mean of what the latest so many parts brought. */
const LOOKBACKS = [1, 2, 4, 8] as const;
/** Of a part of which nothing is known this share of the mean is: nothing for a while is not never. */
const PART_PRIOR = 1 / 25;

/** Of a normal distribution 90 % are within so many standard deviations. */
export const Z = 1.645;

/**
 * Of the logarithm of the rate to come: how much more it varies than the parts did, what nobody can know, and how much more
 * of that there is, and how much slower it is expected to be, each time that as much again is ahead as was seen. Found by
 * the simulation beside this, which holds them to what they promise.
 */
const PART_SPREAD = 1.3;
const UNKNOWN = 0.15;
const UNKNOWN_PER_DOUBLING = 0.05;
const SLOWER = 0.03;
const SLOWER_PER_DOUBLING = 0.04;

/** Before anything is known of a share it is as if so many documents of one had been seen. */
const PRIOR = 0.5;

/** The share of a stage's documents that goes on to the next stage. */
function shareOf(from: StageProgress, to: StageProgress): Expected {
  const seen = from.left + 2 * PRIOR;
  const likely = Math.min(1, (to.reached + PRIOR) / seen);
  // The share of those to come may be another: files are sorted, and what others have in the queues is a guess.
  const deviation = Z * (Math.sqrt((likely * (1 - likely)) / seen) + 0.08 * likely * (1 - likely));
  return { low: Math.max(0, likely - deviation), likely, high: Math.min(1, likely + deviation) };
}

/** Of all documents of a batch, those that each stage will have had in the end. */
export function reachOf({ stages }: ProgressNote, total: number): readonly Expected[] {
  const reach: Expected[] = [];
  for (const [stage, progress] of stages.entries()) {
    const [before, from] = [reach[stage - 1], stages[stage - 1]];
    if (before === undefined || from === undefined) {
      reach.push({ low: total, likely: total, high: total });
      continue;
    }
    const share = shareOf(from, progress);
    // What is there is certain; the share is that of what is still to come.
    const through = (all: number, part: number): number => progress.reached + Math.max(0, all - from.left) * part;
    reach.push({
      low: through(before.low, share.low),
      likely: through(before.likely, share.likely),
      high: through(before.high, share.high),
    });
  }
  return reach;
}

/** How many documents a stage was done with in each part of the time that the notes span. */
function parts(notes: readonly ProgressNote[], stage: number): readonly number[] {
  const leftIn = (note: ProgressNote | undefined): number => note?.stages[stage]?.left ?? 0;
  const [firstMs, lastMs] = [notes[0]?.atMs ?? 0, notes.at(-1)?.atMs ?? 0];
  const counts: number[] = [];
  let [after, before] = [1, leftIn(notes[0])];
  for (let part = 1; part <= PARTS; part += 1) {
    const endMs = firstMs + ((lastMs - firstMs) * part) / PARTS;
    while (after < notes.length - 1 && (notes[after]?.atMs ?? 0) < endMs) after += 1;
    const [from, to] = [notes[after - 1], notes[after]];
    const betweenMs = (to?.atMs ?? 0) - (from?.atMs ?? 0);
    const share = betweenMs > 0 ? (endMs - (from?.atMs ?? 0)) / betweenMs : 1;
    const left = leftIn(from) + share * (leftIn(to) - leftIn(from));
    counts.push(Math.max(0, left - before));
    before = left;
  }
  return counts;
}

/** The rate in documents a millisecond of the stretch of time in which a fourth of the answers came quickest. */
function bestRate(notes: readonly ProgressNote[], stage: number, answers: number): number {
  let best = 0;
  let from = 0;
  for (const [to, note] of notes.entries()) {
    const countFrom = (at: number): number => (note.stages[stage]?.left ?? 0) - (notes[at]?.stages[stage]?.left ?? 0);
    // Less may be done than before, as where documents are is a guess: no stretch begins behind its end.
    while (from + 1 < to && countFrom(from + 1) >= answers / 4) from += 1;
    const ms = note.atMs - (notes[from]?.atMs ?? 0);
    if (ms > 0 && countFrom(from) >= answers / 4) best = Math.max(best, countFrom(from) / ms);
  }
  return best;
}

const meanOf = (values: readonly number[]): number => values.reduce((sum, one) => sum + one, 0) / values.length;

/**
 * The logarithm of a rate in documents a millisecond, its standard deviation, and the logarithm of the best one until now;
 * null: nothing can be said of it.
 */
function rateOf(
  notes: readonly ProgressNote[],
  stage: number,
  remaining: number,
): { readonly log: number; readonly deviation: number; readonly best: number } | null {
  const spanMs = (notes.at(-1)?.atMs ?? 0) - (notes[0]?.atMs ?? 0);
  const counts = parts(notes, stage);
  const answers = counts.reduce((sum, one) => sum + one, 0);
  if (answers < MIN_ANSWERS || spanMs <= 0) return null;
  const prior = (answers / PARTS) * PART_PRIOR;
  const partMs = (spanMs / PARTS) * (1 + PART_PRIOR);
  const logOf = (some: readonly number[]): number => Math.log((meanOf(some) + prior) / partMs);
  const each = counts.map((one) => logOf([one]));
  const spread = Math.sqrt(meanOf(each.map((one) => (one - meanOf(each)) ** 2)));
  const { unknown, slower } = rateToCome(answers, remaining);
  return {
    best: Math.log(bestRate(notes, stage, answers)),
    log: meanOf(LOOKBACKS.map((latest) => logOf(counts.slice(-latest)))) - slower,
    deviation: Math.sqrt((PART_SPREAD * spread) ** 2 + 1 / answers + 1 / Math.max(1, remaining) + unknown ** 2),
  };
}

/** What nobody can know of the logarithm of a rate to come, and how much slower it is expected to be than was seen. */
export function rateToCome(answers: number, remaining: number): { readonly unknown: number; readonly slower: number } {
  const doublings = Math.log2(1 + remaining / answers);
  return {
    unknown: UNKNOWN + UNKNOWN_PER_DOUBLING * doublings,
    slower: SLOWER + SLOWER_PER_DOUBLING * doublings,
  };
}

/**
 * How many milliseconds a batch still takes, as of its last note; null while there is nothing to judge by. Each stage
 * takes what it has still to answer by its own rate, and the one that takes longest decides: while drafts are quick
 * and experts slow, most documents are soon settled and the batch is far from its end. The range is made of how much
 * the rate varied until now, of how uncertain the share of escalations is, and of what nobody can know, such as which other
 * batches come and go.
 */
export function timeLeft(notes: readonly ProgressNote[], total: number): TimeLeft | null {
  const last = notes.at(-1);
  if (last === undefined || notes.length < MIN_NOTES) return null;
  const all: TimeLeft[] = [];
  for (const [stage, reach] of reachOf(last, total).entries()) {
    const { left, reached } = last.stages[stage] ?? { left: 0, reached: 0 };
    // A stage that no document has come to says nothing, and takes little.
    if (reached === 0 || reach.high - left < 0.5) continue;
    // By a guess of where documents are a stage may have done more than it is likely to have in the end.
    const rate = rateOf(notes, stage, Math.max(0, reach.likely - left));
    if (rate === null) return null;
    const taking = (documents: number, log: number): number => Math.max(0, documents - left) / Math.exp(log);
    all.push({
      low: taking(reach.low, rate.log + Z * rate.deviation),
      likely: taking(reach.likely, rate.log),
      high: taking(reach.high, rate.log - Z * rate.deviation),
      atBest: taking(reach.low, rate.best),
    });
  }
  if (all.length === 0) return null;
  const longest = (of: keyof TimeLeft): number => Math.max(...all.map((one) => one[of]));
  return { low: longest('low'), likely: longest('likely'), high: longest('high'), atBest: longest('atBest') };
}
