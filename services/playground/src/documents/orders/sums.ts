import type { Random } from '../random.ts';
import type { OrderLabel } from './words.ts';

/** One labelled sum of an order, in hundredths; a rate of tax stands behind its label. */
interface OrderSum {
  readonly label: OrderLabel;
  readonly cents: number;
  readonly rate?: number;
}

/** The sums of an order in their usual order, and the three that are asked for: `net + vat = total`. */
export interface OrderSums {
  readonly lines: readonly OrderSum[];
  readonly netCents: number;
  readonly vatCents: number;
  readonly totalCents: number;
}

const RATES = [5, 7, 8, 10, 19, 20, 25] as const;

function drawCents(random: Random, digits: number): number {
  const low = 10 ** (digits - 1);
  const cents = random.between(low, low * 10 - 1);
  return random.chance(0.2) ? Math.ceil(cents / 100) * 100 : cents;
}

/** What leads to the net sum, for the reader who takes the first sum for it. */
function drawBeforeNet(random: Random, netCents: number, trap: () => boolean): OrderSum[] {
  if (!trap()) return [];
  const part = Math.max(1, Math.round((netCents * random.between(1, 3)) / 20));
  return random.chance(0.5)
    ? [
        { label: 'goods', cents: netCents - part },
        { label: 'shipping', cents: part },
      ]
    : [
        { label: 'goods', cents: netCents + part },
        { label: 'discount', cents: part },
      ];
}

/** What follows the total, for the reader who takes the last sum for it. */
function drawAfterTotal(random: Random, totalCents: number, trap: () => boolean): OrderSum[] {
  if (trap()) {
    const deposit = Math.round((totalCents * random.between(2, 8)) / 10);
    return [
      { label: 'deposit', cents: deposit },
      { label: 'payable', cents: totalCents - deposit },
    ];
  }
  return trap() && random.chance(0.5) ? [{ label: 'creditLimit', cents: drawCents(random, 6) }] : [];
}

/** Draws the sums of an order; `trap` says each time whether one more misleading sum is written. */
export function drawOrderSums(random: Random, trap: () => boolean): OrderSums {
  const netCents = drawCents(random, random.between(4, 6));
  const rate = random.pick(RATES);
  const vatCents = Math.round((netCents * rate) / 100);
  const totalCents = netCents + vatCents;
  const rated = random.chance(0.3) ? { rate } : {};
  const lines: OrderSum[] = [
    ...drawBeforeNet(random, netCents, trap),
    { label: 'net', cents: netCents },
    { label: 'vat', cents: vatCents, ...rated },
    { label: 'total', cents: totalCents },
    ...drawAfterTotal(random, totalCents, trap),
  ];
  return { lines, netCents, vatCents, totalCents };
}
