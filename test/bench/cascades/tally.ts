import { usd, type PricedTokens } from '@spillway/core';
import { DEMO } from '../../../services/playground/src/demo/cascade.ts';
import { isCorrect, type Truth } from '../../../services/playground/src/documents/index.ts';
import { quantile } from '../figure.ts';
import { addTokens, NO_TOKENS, type Handled } from './handled.ts';
import type { Round } from './ways.ts';

/** A share of documents, with a 95 % interval. */
export type Share = { readonly count: number; readonly of: number; readonly low: number; readonly high: number };

/** Milliseconds; null: no document has such a time. */
export type Spread = { readonly p50: number; readonly p95: number } | null;

/** What one round of a way comes to. */
export type Tally = {
  readonly right: Share;
  /** Documents whose answer is the expert's own, to the letter. */
  readonly asExpert: Share;
  /** The same of those in which the expert had a part: how many there are is what it is of. */
  readonly escalatedAsExpert: Share;
  readonly drafter: PricedTokens;
  readonly expert: PricedTokens;
  readonly readInside: number | null;
  readonly wasted: number;
  readonly sequentialMs: Spread;
  readonly queueAndCallsMs: Spread;
  readonly toAnswerMs: Spread;
  readonly makespanS: number;
  /** At the demo's list prices: as if nothing were cached, and with the price of what servers said was. */
  readonly usd: number;
  readonly usdWithCache: number;
  /** How often the expert was asked in which way. */
  readonly asked: Readonly<Record<string, number>>;
};

/** The quantile of a normal distribution that leaves 2.5 % on either side. */
const Z = 1.959964;

/** Wilson's score interval of a share (Wilson 1927; as in Brown, Cai, DasGupta 2001, equation 4). */
export function wilson(count: number, of: number): Share {
  if (of === 0) return { count, of, low: 0, high: 1 };
  const [share, z2] = [count / of, Z ** 2];
  const middle = (share + z2 / (2 * of)) / (1 + z2 / of);
  const half = (Z / (1 + z2 / of)) * Math.sqrt((share * (1 - share)) / of + z2 / (4 * of ** 2));
  return { count, of, low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}

/** Dollars for a thousand documents. */
export const perThousand = ({ usd: paid, right }: Pick<Tally, 'usd' | 'right'>): number => (1_000 * paid) / right.of;

export function spreadOf(values: readonly number[]): Spread {
  return values.length === 0 ? null : { p50: quantile(values, 0.5), p95: quantile(values, 0.95) };
}

const sum = (values: readonly number[]): number => values.reduce((total, one) => total + one, 0);

const tokens = (handled: readonly Handled[], of: 'drafter' | 'expert'): PricedTokens =>
  handled.reduce((total, one) => addTokens(total, one[of]), NO_TOKENS);

const numbers = (values: readonly (number | null | undefined)[]): number[] =>
  values.filter((one): one is number => typeof one === 'number');

/** By the truths and the expert's own answers, both by `custom_id`. */
export function tallyOf(
  { handled, makespanS }: Round,
  truths: ReadonlyMap<string, Truth>,
  own: ReadonlyMap<string, string | null>,
): Tally {
  const isRight = ({ customId, answer }: Handled): boolean => {
    const truth = truths.get(customId);
    return truth !== undefined && answer !== null && isCorrect(answer, truth);
  };
  const isOwn = ({ customId, answer }: Handled): boolean => own.get(customId) === answer;
  const escalated = handled.filter((one) => one.escalated);
  const [drafter, expert] = [tokens(handled, 'drafter'), tokens(handled, 'expert')];
  const money = (isCached: boolean): number =>
    [
      { used: drafter, ...DEMO.drafter },
      { used: expert, ...DEMO.expert },
    ].reduce((total, { used, price }) => total + usd(isCached ? used : { ...used, cachedTokens: 0 }, price), 0);
  const read = numbers(handled.map((one) => one.readInside));
  return {
    right: wilson(handled.filter(isRight).length, handled.length),
    asExpert: wilson(handled.filter(isOwn).length, handled.length),
    escalatedAsExpert: wilson(escalated.filter(isOwn).length, escalated.length),
    drafter,
    expert,
    readInside: read.length === 0 ? null : sum(read),
    wasted: sum(handled.map((one) => one.wasted)),
    sequentialMs: spreadOf(numbers(handled.map((one) => one.sequentialMs))),
    queueAndCallsMs: spreadOf(numbers(handled.map(({ slow }) => slow?.queueAndCallsMs))),
    toAnswerMs: spreadOf(numbers(handled.map(({ slow }) => slow?.toAnswerMs))),
    makespanS,
    usd: money(false),
    usdWithCache: money(true),
    asked: Object.fromEntries(
      [...Map.groupBy(handled, ({ asked }) => asked)].map(([asked, all]) => [asked, all.length] as const),
    ),
  };
}
