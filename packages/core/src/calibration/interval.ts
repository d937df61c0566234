import { binomialTail } from '../promise/tail.ts';

/**
 * The exact interval of a share of which `count` of `total` were seen (Clopper and Pearson 1934): those p under which
 * neither as many nor as few would be rarer than (1 − level)/2. 0 to 1 where nothing was seen. Throws a RangeError for
 * what are no counts.
 */
export function shareInterval(count: number, total: number, level = 0.95): readonly [number, number] {
  if (!Number.isInteger(count) || !Number.isInteger(total) || count < 0 || count > total)
    throw new RangeError(`expected a count of a total, got ${count} of ${total}`);
  const rare = (1 - level) / 2;
  const low = count === 0 ? 0 : edge((p) => 1 - binomialTail(count - 1, total, p) < rare);
  const high = count === total ? 1 : edge((p) => binomialTail(count, total, p) >= rare);
  return [low, high];
}

/** Where what holds at 0 ceases to hold, by halving. */
function edge(holds: (p: number) => boolean): number {
  let [inside, outside] = [0, 1];
  for (let halving = 0; halving < 50; halving += 1) {
    const between = (inside + outside) / 2;
    if (holds(between)) inside = between;
    else outside = between;
  }
  return (inside + outside) / 2;
}
