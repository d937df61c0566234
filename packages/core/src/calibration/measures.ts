/** A document that both models have answered: how sure the drafter was, and who was right. */
export type JudgedDocument = {
  readonly confidence: number;
  readonly drafterRight: boolean;
  readonly expertRight: boolean;
};

type Judged = Pick<JudgedDocument, 'confidence' | 'drafterRight'>;

const byConfidence = <Row extends Judged>(rows: readonly Row[]): Row[] =>
  rows.toSorted((left, right) => left.confidence - right.confidence);

/** Documents of equal confidence, least sure first. */
function ties<Row extends Judged>(rows: readonly Row[]): Row[][] {
  const groups: Row[][] = [];
  for (const row of byConfidence(rows)) {
    const last = groups.at(-1);
    if (last?.[0]?.confidence === row.confidence) last.push(row);
    else groups.push([row]);
  }
  return groups;
}

const shareOf = <Row>(rows: readonly Row[], holds: (row: Row) => boolean): number =>
  rows.length === 0 ? Number.NaN : rows.filter(holds).length / rows.length;

/** The probability that a right draft is surer than a wrong one; a tie counts half. Null with one class only. */
export function areaUnderRoc(rows: readonly Judged[]): number | null {
  let [wrongBelow, won] = [0, 0];
  for (const group of ties(rows)) {
    const right = group.filter(({ drafterRight }) => drafterRight).length;
    const wrong = group.length - right;
    won += right * (wrongBelow + wrong / 2);
    wrongBelow += wrong;
  }
  const pairs = wrongBelow * (rows.length - wrongBelow);
  return pairs === 0 ? null : won / pairs;
}

/** The mean gap between confidence and share of right drafts, over bins of equally many documents. */
export function calibrationError(rows: readonly Judged[], bins = 15): number {
  const sorted = byConfidence(rows);
  let gap = 0;
  for (let bin = 0; bin < bins; bin += 1) {
    const at = (edge: number): number => Math.floor((edge * sorted.length) / bins);
    const members = sorted.slice(at(bin), at(bin + 1));
    const confidence = members.reduce((sum, row) => sum + row.confidence, 0);
    gap += Math.abs(confidence - members.filter(({ drafterRight }) => drafterRight).length);
  }
  return gap / rows.length;
}

/** The mean square of confidence against 1 for right and 0 for wrong drafts (Brier 1950). */
export const brierScore = (rows: readonly Judged[]): number =>
  rows.reduce((sum, { confidence, drafterRight }) => sum + (confidence - Number(drafterRight)) ** 2, 0) / rows.length;

/** A point of a deferral curve: the accuracy when this share of the documents goes to the expert. */
export type DeferralPoint = { readonly escalated: number; readonly accuracy: number };

/** The deferral curve, least sure first; between the documents of a tie it is straight, as if drawn at random. */
export function deferralCurve(rows: readonly JudgedDocument[]): DeferralPoint[] {
  const drafter = shareOf(rows, ({ drafterRight }) => drafterRight);
  const points: DeferralPoint[] = [{ escalated: 0, accuracy: drafter }];
  let [escalated, right] = [0, drafter * rows.length];
  for (const group of ties(rows)) {
    escalated += group.length;
    for (const row of group) right += Number(row.expertRight) - Number(row.drafterRight);
    points.push({ escalated: escalated / rows.length, accuracy: right / rows.length });
  }
  return points;
}

/** The area under a deferral curve: its mean accuracy over all shares. */
export function areaUnderDeferral(points: readonly DeferralPoint[]): number {
  let area = 0;
  for (const [at, point] of points.entries()) {
    const before = points[at - 1];
    if (before !== undefined) area += ((point.accuracy + before.accuracy) / 2) * (point.escalated - before.escalated);
  }
  return area;
}

/** The curve of whoever knows beforehand: first what the expert mends, last what it would spoil. */
export const oracleCurve = (rows: readonly JudgedDocument[]): DeferralPoint[] =>
  deferralCurve(rows.map((row) => ({ ...row, confidence: Number(row.drafterRight) - Number(row.expertRight) })));

export type Deferral = {
  readonly audc: number;
  readonly random: number;
  readonly oracle: number;
  readonly gain: number | null;
};

/** AUDC beside those of drawing at random and of knowing beforehand, and gain = (AUDC − random) / (oracle − random). */
export function deferralOf(rows: readonly JudgedDocument[]): Deferral {
  const audc = areaUnderDeferral(deferralCurve(rows));
  const random =
    (shareOf(rows, ({ drafterRight }) => drafterRight) + shareOf(rows, ({ expertRight }) => expertRight)) / 2;
  const oracle = areaUnderDeferral(oracleCurve(rows));
  const most = oracle - random;
  return { audc, random, oracle, gain: most > 1e-12 ? (audc - random) / most : null };
}

/** What a cascade gives that escalates every draft below `acceptAt`. */
export function cascadeAt(rows: readonly JudgedDocument[], acceptAt: number): DeferralPoint {
  return {
    escalated: shareOf(rows, ({ confidence }) => confidence < acceptAt),
    accuracy: shareOf(rows, (row) => (row.confidence < acceptAt ? row.expertRight : row.drafterRight)),
  };
}

/** The least threshold that sends at least this share of the documents to the expert, or fewer where ties forbid it. */
export function thresholdFor(rows: readonly Judged[], escalated: number): number {
  const sorted = byConfidence(rows);
  return sorted[Math.min(sorted.length - 1, Math.floor(escalated * sorted.length))]?.confidence ?? 1;
}

/** A sample with replacement, in the order of the rows: sorting one of sorted rows takes nothing. */
function resampled<Row>(rows: readonly Row[], random: () => number): Row[] {
  const times = new Uint32Array(rows.length);
  for (let drawn = 0; drawn < rows.length; drawn += 1) {
    const at = Math.floor(random() * rows.length);
    times[at] = (times[at] ?? 0) + 1;
  }
  const sample: Row[] = [];
  for (const [at, row] of rows.entries()) for (let left = times[at] ?? 0; left > 0; left -= 1) sample.push(row);
  return sample;
}

/**
 * A bootstrap interval (Efron 1979, percentiles) of a measure, which does not depend on the rows' order: `random` is
 * uniform in [0, 1). Samples that the measure cannot be taken of (null) are left out.
 */
export function bootstrapInterval<Row>(
  rows: readonly Row[],
  measure: (sample: readonly Row[]) => number | null,
  {
    random,
    samples = 200,
    level = 0.95,
  }: { readonly random: () => number; readonly samples?: number; readonly level?: number },
): readonly [number, number] | null {
  const values: number[] = [];
  for (let at = 0; at < samples; at += 1) {
    const value = measure(resampled(rows, random));
    if (value !== null && !Number.isNaN(value)) values.push(value);
  }
  if (values.length === 0) return null;
  const sorted = values.toSorted((left, right) => left - right);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  return [at((1 - level) / 2), at((1 + level) / 2)];
}

/** Uniform numbers in [0, 1) from a seed: mulberry32 (T. Ettinger), good enough to draw samples that others can draw again. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
