import { clairvoyantWindows, keptWindows } from './clairvoyant.ts';
import { mixOf, type Mix } from './mixes.ts';
import { ruleOf } from './rule.ts';
import { simulate, type Order, type Run } from './simulation.ts';

/** How often the dispatcher decides; a simulated tier needs minutes for what a queue holds. */
const DECIDES_EVERY_S = 20;
/** Of a tenant that has less coming than this the share says which job happened to be first. */
const MIN_SHARE_DOCUMENTS = 1_000;

/** What an order is worth over some mixes. */
export type Figures = {
  /** Windows that the clairvoyant schedule keeps, and of these the ones that the order misses. */
  readonly keepable: number;
  missed: number;
  /** All windows that it keeps. */
  kept: number;
  /** What each tenant was given of the tiers' time, as a share of what was its, least first. */
  shares: number[];
};

/** Figures of today's rule and of the order before there was one, over the mixes of some seeds. */
export function figuresOf(seeds: Iterable<number>): { windows: number; before: Figures; rule: Figures } {
  let [windows, keepable] = [0, 0];
  const orders = { before: newTally(), rule: newTally() };
  for (const seed of seeds) {
    const mix = mixOf(seed);
    const clairvoyant = clairvoyantWindows(mix);
    windows += clairvoyant.length;
    keepable += clairvoyant.filter(Boolean).length;
    count(orders.before, { mix, clairvoyant, order: { kind: 'before' } });
    count(orders.rule, { mix, clairvoyant, order: { kind: 'rule', decide: ruleOf(mix), everyS: DECIDES_EVERY_S } });
  }
  return { windows, before: { keepable, ...orders.before }, rule: { keepable, ...orders.rule } };
}

type Tally = Omit<Figures, 'keepable'>;

const newTally = (): Tally => ({ missed: 0, kept: 0, shares: [] });

type Counted = { readonly mix: Mix; readonly clairvoyant: readonly boolean[]; readonly order: Order };

function count(tally: Tally, { mix, clairvoyant, order }: Counted): void {
  const run = simulate(mix, order);
  const kept = keptWindows(mix, run);
  tally.kept += kept.filter(Boolean).length;
  tally.missed += clairvoyant.filter((isKeepable, index) => isKeepable && kept[index] !== true).length;
  tally.shares = [...tally.shares, ...sharesOf(mix, run)].toSorted((left, right) => left - right);
}

/** By tenant: seconds of both tiers that it was given, of those that an even share would have been. */
function sharesOf({ perSecond }: Mix, { services }: Run): number[] {
  return services.flatMap(({ drafter, expert }) => {
    if (drafter.share + expert.share < MIN_SHARE_DOCUMENTS) return [];
    const given = drafter.given / perSecond.drafter + expert.given / perSecond.expert;
    return [given / (drafter.share / perSecond.drafter + expert.share / perSecond.expert)];
  });
}
