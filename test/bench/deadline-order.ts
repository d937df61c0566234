import { figuresOf, type Figures } from '../support/order/figures.ts';

/** What the order by deadlines is worth, over a thousand simulated mixes of batches: see docs/architecture.md. */
const MIXES = Number(process.argv[2] ?? 1_000);

const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

const rowOf = (name: string, { keepable, missed, kept, shares }: Figures): string => {
  const below = shares.filter((share) => share < 0.9).length;
  const least = (shares[0] ?? 1).toFixed(3);
  return `${name}: misses ${missed} of ${keepable} (${percent(missed / keepable)}), keeps ${kept} in all; least share of a tenant ${least}, ${below} of ${shares.length} below 0.9`;
};

const { windows, before, rule } = figuresOf(Array.from({ length: MIXES }, (_, seed) => seed));
process.stdout.write(`${MIXES} mixes, ${windows} windows, a clairvoyant schedule keeps ${rule.keepable}\n`);
process.stdout.write(`${rowOf('before', before)}\n${rowOf('rule', rule)}\n`);
