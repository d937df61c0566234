import type { Measure } from './measure.ts';
import {
  chooseThreshold,
  dollars,
  measuredAt,
  type MeasuredRow,
  type Row,
  type ThresholdRow,
  type WishedFor,
} from './thresholds.ts';

export type Verdict = {
  readonly kind: 'pays' | 'pays_at_less' | 'does_not_pay' | 'cannot_be_judged' | 'drafter_only';
  readonly why: string;
  /** The threshold to set; null: none is recommended. */
  readonly recommended: MeasuredRow | null;
};

/** What a verdict weighs: of the documents, and of the signal (see `Judgement`). */
type Weighed = {
  readonly labels: {
    readonly total: number;
    readonly expert_unknown: number;
    readonly expert_unasked: number;
  };
  readonly drafter_accuracy: number;
  readonly expert_accuracy: number | null;
  readonly auroc: Measure;
  readonly gain: Measure;
  readonly better: Measure;
  readonly thresholds: readonly ThresholdRow[];
  readonly rows: readonly Row[];
  readonly wish: WishedFor | null;
};

/** An expert that is better by no more than this is not worth its money. */
const AS_GOOD = 0.02;
/** Of what knowing beforehand would gain, so little is no better than drawing at random. */
const AT_CHANCE = 0.1;
const MAX_NEEDED = 20_000;
/** A threshold that saves so much more of the expert's money than the one wished for is told beside it. */
const TRADE = 0.2;

const percent = (value: number): string => `${(100 * value).toFixed(1)} %`;
const range = ([low, high]: readonly [number, number]): string => `${percent(low)} to ${percent(high)}`;

/** Whether a measure is more than nothing, surely no more than `least`, or either. */
function decided({ value, interval }: Measure, least: number): 'yes' | 'no' | 'open' {
  if (value === null || interval === null) return 'open';
  if (interval[0] > 0) return 'yes';
  return interval[1] <= least ? 'no' : 'open';
}

/**
 * About how many labels decide whether a measure is more than nothing or no more than `least`: intervals narrow with the
 * root of their number, and half as many again are for luck.
 */
function neededLabels({ value, interval }: Measure, least: number, labels: number): string {
  const [low, high] = interval ?? [0, 0];
  const middle = value ?? 0;
  const ratio = middle > least / 2 ? (middle - low) / middle : (high - middle) / (least - middle);
  const needed = Math.ceil((1.5 * labels * ratio ** 2) / 50) * 50;
  return needed > MAX_NEEDED || !Number.isFinite(needed) ? `more than ${MAX_NEEDED}` : `about ${Math.max(50, needed)}`;
}

/**
 * Whether a cascade is worth it, by the money and the accuracy of the threshold that would be set: the expert must be
 * better than the drafter, the signal better than chance, and the threshold cheaper than the expert alone.
 */
export function verdictOf(weighed: Weighed): Verdict {
  const { gain, better, drafter_accuracy: drafter, expert_accuracy: expert, labels } = weighed;
  if (expert === null) return drafterOnly(weighed);
  const open = (what: string, measure: Measure, least: number): Verdict => ({
    kind: 'cannot_be_judged',
    why: `${what}; take ${neededLabels(measure, least, labels.total)} labels`,
    recommended: null,
  });
  const isBetter = decided(better, AS_GOOD);
  if (isBetter === 'no') {
    return {
      kind: 'does_not_pay',
      why: `the drafter (${percent(drafter)}) is as good as the expert (${percent(expert)}): use it without an expert`,
      recommended: null,
    };
  }
  if (isBetter === 'open') {
    return open(`whether the expert is better than the drafter is open, by ${shown(better)}`, better, AS_GOOD);
  }
  const isTelling = decided(gain, AT_CHANCE);
  if (isTelling === 'no') {
    return {
      kind: 'does_not_pay',
      why: `the confidence is at chance, its gain is ${shown(gain)}: drawing at random would be as good`,
      recommended: null,
    };
  }
  if (isTelling === 'open') {
    return open(
      `the signal may tell right from wrong or not: the interval of its gain, ${range(gain.interval ?? [0, 0])}, decides nothing`,
      gain,
      AT_CHANCE,
    );
  }
  return byMoney(weighed, expert);
}

const shown = ({ value, interval }: Measure): string =>
  value === null ? 'unknown' : `${percent(value)}${interval === null ? '' : ` (${range(interval)})`}`;

/** By the threshold that is wished for, or else by the one that is furthest above a lottery for the same money. */
function byMoney(weighed: Weighed, expert: number): Verdict {
  const { thresholds, wish, rows, labels } = weighed;
  const wished = wishOf(wish, expert) ?? { accuracy: expert };
  const row = chooseThreshold(thresholds, wished);
  const first = row === null ? null : measuredAt(rows, row.accept_at);
  const best = bestOf(weighed, expert);
  const second = best === null ? null : measuredAt(rows, best.accept_at);
  if (first !== null && isCheaper(first) === 'yes') {
    const isTrade = wish === null && (second?.saved ?? 0) > (first.saved ?? 1) + TRADE;
    const trade = isTrade && second !== null ? `. Less accuracy saves much more: ${rowText(second)}` : '';
    return { kind: 'pays', why: `${rowText(first)}${trade}`, recommended: first };
  }
  const instead = `not with ${wishText(wish, wished)}: ${first === null ? 'no threshold reaches it' : atRow(first)}`;
  if (second !== null && isCheaper(second) === 'yes') {
    return { kind: 'pays_at_less', why: `${instead}. At ${rowText(second)}`, recommended: second };
  }
  const unsure = [first, second].find((one) => one !== null && isCheaper(one) === 'open');
  if (unsure == null) {
    return { kind: 'does_not_pay', why: `${instead}, and no other threshold saves money`, recommended: null };
  }
  const needed = neededLabels({ value: unsure.saved, interval: unsure.intervals.saved }, 0, labels.total);
  return {
    kind: 'cannot_be_judged',
    why: `${rowText(unsure)}, which decides nothing; take ${needed} labels`,
    recommended: null,
  };
}

const atRow = (row: MeasuredRow): string =>
  row.escalated === 1
    ? 'it accepts nothing, so drafts would only cost'
    : `${percent(row.escalated)} escalated ${costText(row)}`;

/** Whether a threshold costs less than the expert alone; by what it accepts where a price is not known. */
function isCheaper({ saved, escalated, intervals }: MeasuredRow): 'yes' | 'no' | 'open' {
  if (saved === null) return intervals.escalated[1] < 1 && escalated < 1 ? 'yes' : 'no';
  return decided({ value: saved, interval: intervals.saved }, 0);
}

/**
 * The threshold whose accuracy is furthest above that of a lottery for the same money, which sends some documents to the
 * expert and the others to the drafter; by the share of escalations where a price is not known. Null: none is above it.
 */
function bestOf({ thresholds, rows, drafter_accuracy: drafter }: Weighed, expert: number): ThresholdRow | null {
  const draftUsd = dollars(rows, (row) => row.draftUsd);
  const expertUsd = dollars(rows, (row) => row.expertUsd);
  let [best, most]: [ThresholdRow | null, number] = [null, 0];
  for (const row of thresholds) {
    const { accuracy, escalated, usd_per_1000: usd } = row;
    if (accuracy === null || escalated === 1) continue;
    const isPriced = draftUsd !== null && expertUsd !== null && usd !== null && expertUsd > draftUsd;
    const place = isPriced ? (usd - draftUsd) / (expertUsd - draftUsd) : escalated;
    const above = accuracy - (drafter + place * (expert - drafter));
    if (above > most) [best, most] = [row, above];
  }
  return best;
}

/** A cascade is worth it when it keeps nearly all of what the expert gets right. */
const KEPT_SHARE = 0.99;

/** What a threshold was chosen for, as words; by labels alone an accuracy is that of the accepted drafts. */
export function wishText(asked: WishedFor | null, wished: WishedFor, isWhole = true): string {
  if ('expertShare' in wished) return `at most ${percent(wished.expertShare)} escalated`;
  const accuracy = `an accuracy of ${percent(wished.accuracy)}`;
  if (!isWhole) return `${accuracy} among the accepted drafts`;
  return asked === null ? `${accuracy} (99 % of the expert's)` : accuracy;
}

/** What is wished for where nothing was said; null: nothing can be, as the expert's accuracy is not known. */
export const wishOf = (wish: WishedFor | null, expert: number | null): WishedFor | null =>
  wish ?? (expert === null ? null : { accuracy: KEPT_SHARE * expert });

/** What a threshold gives, as words. */
export function rowText({ accept_at: at, escalated, accuracy, intervals, ...row }: MeasuredRow): string {
  const parts = [
    `${percent(escalated)} escalated`,
    ...(accuracy === null ? [] : [`accuracy ${shown({ value: accuracy, interval: intervals.accuracy })}`]),
    ...((accuracy !== null && row.saved !== null) || row.accepted_right === null
      ? []
      : [`right of those accepted ${shown({ value: row.accepted_right, interval: intervals.accepted_right })}`]),
    ...(accuracy === null ? [] : [costText({ ...row, intervals })]),
  ];
  return `accept_at ${at}: ${parts.join('; ')}`;
}

function costText({ saved, intervals }: Pick<MeasuredRow, 'saved' | 'intervals'>): string {
  if (saved === null) return 'what it saves is not known';
  const interval = intervals.saved === null ? '' : ` (${range(intervals.saved)})`;
  return saved > 0 ? `saves ${percent(saved)}${interval}` : `costs ${percent(-saved)} more than the expert alone`;
}

/** By labels of documents that the expert never saw nothing can be said of it. */
function drafterOnly({ auroc, labels }: Weighed): Verdict {
  const [low] = auroc.interval ?? [0];
  const telling =
    low > 0.5
      ? `its score tells right from wrong (AUROC ${figures(auroc)})`
      : `whether its score tells right from wrong cannot be said (AUROC ${figures(auroc)}; take ${neededLabels(shifted(auroc), 0.05, labels.total)} labels)`;
  const { expert_unasked: unasked, expert_unknown: unknown } = labels;
  const lack =
    unasked > 0
      ? `the expert was not asked about ${unasked} of the ${labels.total} labelled documents, and nothing is assumed of it`
      : `of ${unknown} of the ${labels.total} documents the labels do not say whether the expert is right ("answer" does)`;
  return {
    kind: 'drafter_only',
    why: `${telling}; ${lack}: for a verdict run --sample N --labels FILE`,
    recommended: null,
  };
}

const figures = ({ value, interval }: Measure): string =>
  value === null
    ? 'unknown'
    : `${value.toFixed(3)}${interval === null ? '' : `, ${interval[0].toFixed(3)} to ${interval[1].toFixed(3)}`}`;

/** An AUROC as what is above chance. */
const shifted = ({ value, interval }: Measure): Measure => ({
  value: value === null ? null : value - 0.5,
  interval: interval === null ? null : [interval[0] - 0.5, interval[1] - 0.5],
});
