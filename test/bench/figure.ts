/** What a ratio is to be. */
export type Aim = { readonly atLeast: number } | { readonly atMost: number };

/** One round: what was measured, and its reference in the same run, in the same unit. */
export type Pair = { readonly measured: number; readonly reference: number };

/** A line of the table of aims. */
export type Figure = {
  readonly figure: string;
  readonly reference: string;
  readonly unit: string;
  readonly rounds: readonly Pair[];
  readonly aim: Aim;
  /** What one must know to read it, such as which core was missing. */
  readonly notes: readonly string[];
};

/** The middle of some numbers, and the least and the most of them. */
export type Spread = { readonly median: number; readonly least: number; readonly most: number };

export type Verdict = {
  readonly measured: Spread;
  readonly reference: Spread;
  /** Of each round's own two numbers, so that what slows the machine down for a while slows both. */
  readonly ratio: Spread;
  /** Whether the median ratio is as aimed; null: nothing was measured. */
  readonly isMet: boolean | null;
};

/** The value below which a share lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** The middle number; of an even count, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const [low, high] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[Math.floor(sorted.length / 2)]];
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2;
}

const spreadOf = (values: readonly number[]): Spread => ({
  median: median(values),
  least: Math.min(...values),
  most: Math.max(...values),
});

export function verdictOf({ rounds, aim }: Pick<Figure, 'rounds' | 'aim'>): Verdict {
  const ratio = spreadOf(rounds.map(({ measured, reference }) => measured / reference));
  const isAsAimed = 'atLeast' in aim ? ratio.median >= aim.atLeast : ratio.median <= aim.atMost;
  return {
    measured: spreadOf(rounds.map(({ measured }) => measured)),
    reference: spreadOf(rounds.map(({ reference }) => reference)),
    ratio,
    isMet: rounds.length === 0 ? null : isAsAimed,
  };
}

/** The rounds of two lists of numbers that were measured in turn. */
export const pairs = (measured: readonly number[], reference: readonly number[]): Pair[] =>
  measured.flatMap((one, at) => {
    const other = reference[at];
    return other === undefined ? [] : [{ measured: one, reference: other }];
  });
