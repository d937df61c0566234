import { binomialMass } from './tail.ts';

/** What an audit of accepted drafts watches over. */
export type AuditTerms = {
  /** The share of the accepted drafts that may disagree with the expert, 0 to 1. */
  readonly mayDisagree: number;
  /** The probability that it ever alarms though it should not, 0 to 1, both exclusive, however long it runs. */
  readonly delta: number;
};

/** What is known after some audits, in the order in which they came in; plain numbers, to be kept as JSON. */
export type Audit = {
  readonly audits: number;
  readonly disagreements: number;
  /** The evidence against the terms: a capital that begins at 1. */
  readonly evidence: number;
  /** At which audit, from 1, it alarmed; null: not yet. An alarm stays. */
  readonly alarmAt: number | null;
  /** What was bet on each of `WORSE`, and what it became; and what is still to be bet. */
  readonly stakes: readonly number[];
  readonly waiting: number;
};

/**
 * The rates that are bet on, as odds that are so many times those that may be, and how the capital is split over them:
 * most on twice the rate, which a watch should see soon, a little on rates that are hardly or far too high.
 */
const WORSE: readonly { readonly odds: number; readonly part: number }[] = [
  { odds: 1.4, part: 0.08 },
  { odds: 2.1, part: 0.86 },
  { odds: 5, part: 0.06 },
];

/** The part of the capital that is bet from the first audit on; the rest is for a rate that rises later. */
const AT_FIRST = 0.92;
/** What waits is bet in shares that get smaller, so that some of it is left after any number of audits. */
const laterShare = (audits: number): number => 0.5 / (audits + 50);

export const startAudit = (): Audit => ({
  audits: 0,
  disagreements: 0,
  evidence: 1,
  alarmAt: null,
  stakes: WORSE.map(() => 0),
  waiting: 1,
});

/**
 * What is known after one more audit.
 *
 * The evidence is a capital that bets on disagreements (Shafer, "Testing by betting", 2021; Waudby-Smith and Ramdas,
 * "Estimating means of bounded random variables by betting", 2024): a stake on a rate q > p is multiplied by q / p at a
 * disagreement and by (1 − q)/(1 − p) otherwise, p being the rate that may be. While each audit disagrees with a
 * probability of at most p, whatever came before, no stake grows in expectation, and neither does their sum with what is
 * not yet bet, whenever it is bet: it is a non-negative supermartingale that begins at 1, so it ever reaches 1/δ with a
 * probability of at most δ (Ville 1939). One may look at it after each audit. Bets that begin later (the mixture over
 * change points of Shin, Ramdas and Rinaldo, "E-detectors", 2022, with prior weights that sum to 1) are there because
 * a stake that stood through a thousand good audits is worth nothing any more.
 *
 * Measured with δ = .05 where 5 % may disagree (`npm run bench:decisions -- --audit`): at 10 % the alarm comes after 122
 * audits in the median, at 15 % after 48, at 7 % after 865; after 1,000 audits at 3 % and then at 10 % 454 after the
 * change. With the whole capital on 10 % from the first audit on, which nobody knows beforehand, these are 117 and, for
 * the last, 1,590. At 5 % all along 4.0 % of the runs alarm within 20,000 audits.
 */
export function audited(terms: AuditTerms, before: Audit, agrees: boolean): Audit {
  const { mayDisagree, delta } = terms;
  if (!(mayDisagree >= 0 && mayDisagree <= 1)) {
    throw new RangeError(`mayDisagree: expected 0 to 1, got ${mayDisagree}`);
  }
  if (!(delta > 0 && delta < 1)) throw new RangeError(`delta: expected more than 0 and less than 1, got ${delta}`);
  const audits = before.audits + 1;
  const counts = { audits, disagreements: before.disagreements + Number(!agrees) };
  // After its alarm the capital has done its work, and would grow without a bound.
  if (before.alarmAt !== null) return { ...before, ...counts };
  if (mayDisagree === 0 && !agrees) return { ...before, ...counts, evidence: 1 / delta, alarmAt: audits };
  const bet = before.waiting * (audits === 1 ? AT_FIRST : laterShare(audits));
  const stakes = WORSE.map(({ odds, part }, at) => {
    const worse = (mayDisagree * odds) / (1 + mayDisagree * (odds - 1));
    const won = agrees ? (1 - worse) / (1 - mayDisagree) : worse / mayDisagree;
    // Where everything may disagree, or nothing does, there is nothing to bet on.
    return ((before.stakes[at] ?? 0) + bet * part) * (Number.isFinite(won) ? won : 1);
  });
  const waiting = before.waiting - bet;
  const evidence = stakes.reduce((sum, stake) => sum + stake, waiting);
  return { ...counts, evidence, alarmAt: evidence >= 1 / delta ? audits : null, stakes, waiting };
}

/**
 * Bounds of the disagreement rate that hold after every number of audits at once with 1 − δ, as long as the rate stays:
 * those p under which the capital of a bettor who spreads it evenly over all rates (Robbins 1970) has not reached 1/δ,
 * which are the p with (n + 1) · P(Bin(n, p) = x) > δ.
 */
export function rateBounds({ audits: n, disagreements: x }: Pick<Audit, 'audits' | 'disagreements'>, delta: number) {
  const isIn = (p: number): boolean => (n + 1) * binomialMass(x, n, p) > delta;
  const middle = n === 0 ? 0 : x / n;
  return { low: edge(isIn, middle, 0), high: edge(isIn, middle, 1) };
}

/** The last p from one that is in towards an end. */
function edge(isIn: (p: number) => boolean, from: number, end: number): number {
  if (isIn(end)) return end;
  let [inside, outside] = [from, end];
  for (let halving = 0; halving < 50; halving += 1) {
    const between = (inside + outside) / 2;
    if (isIn(between)) inside = between;
    else outside = between;
  }
  return outside;
}
