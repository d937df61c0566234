import { shareInterval, usd, type PricedTokens } from '@spillway/core';
import { DEMO } from '../../../services/playground/src/demo/cascade.ts';
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

function shareOf(count: number, of: number): Share {
  const [low, high] = shareInterval(count, of);
  return { count, of, low, high };
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

/** By who says whether an answer is right, and the expert's own answers by `custom_id`. */
export function tallyOf(
  { handled, makespanS }: Round,
  isRight: (one: Handled) => boolean,
  own: ReadonlyMap<string, string | null>,
): Tally {
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
    right: shareOf(handled.filter(isRight).length, handled.length),
    asExpert: shareOf(handled.filter(isOwn).length, handled.length),
    escalatedAsExpert: shareOf(escalated.filter(isOwn).length, escalated.length),
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
