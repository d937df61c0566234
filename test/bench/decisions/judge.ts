import { binomialTail, planSample, seededRandom } from '@spillway/core';
import { drawBatch, optimumOf, type Outcome } from './batch.ts';
import type { Ranked } from './rows.ts';
import { rulesFor, type Cell, type Rule } from './rules.ts';

/** How a rule did over many batches; shares 0 to 1. */
export type RuleVerdict = {
  readonly rule: string;
  /** How many documents both tiers are asked about beforehand; null: it decides as it goes. */
  readonly sample: number | null;
  /** Of the batches: those whose final answers agree with the expert's less often than promised. */
  readonly broken: number;
  /** Clopper and Pearson's interval of it, 95 %. */
  readonly brokenInterval: readonly [number, number];
  /** Of the documents: those that the expert is asked about, the sample included. */
  readonly expertShare: number;
  /** The standard error of it. */
  readonly expertShareError: number;
  /** Of the batches: those in which every draft is escalated. */
  readonly nothingAccepted: number;
};

export type PromiseVerdict = Cell & {
  readonly batches: number;
  /** Whether a batch may have a document several times, as there are fewer than it takes. */
  readonly replaced: boolean;
  /** The least share for the expert by any threshold of this score, for whoever knows all answers and samples nothing. */
  readonly optimum: number;
  readonly rules: readonly RuleVerdict[];
};

export type Asked = {
  readonly batches: number;
  /** The most documents of a batch that are sampled. */
  readonly sample: number;
  readonly seed: number;
};

/** Judges every rule on the same batches. */
export function judgePromise(ranked: Ranked, cell: Cell, { batches, sample, seed }: Asked): PromiseVerdict {
  const { agreement, delta, size } = cell;
  const n = Math.min(sample, size);
  const plan = planSample({ target: agreement, delta, populationSize: size }, n);
  const rules = rulesFor(cell, { n, planned: plan.kind === 'planned' ? plan.n : n });
  const counts = rules.map(() => ({ broken: 0, nothing: 0, share: 0, squares: 0 }));
  const mayBeWrong = Math.floor((1 - agreement) * size + 1e-9 * size);
  const random = seededRandom(seed);
  let optimum = 0;
  for (let drawn = 0; drawn < batches; drawn += 1) {
    const batch = drawBatch(ranked, { size, sampled: n }, random);
    optimum += 1 - optimumOf(batch, mayBeWrong) / size;
    for (const [at, rule] of rules.entries()) {
      const count = counts[at];
      if (count !== undefined) add(count, rule.decide(batch, random), { size, mayBeWrong });
    }
  }
  return {
    ...cell,
    batches,
    replaced: size > ranked.size,
    optimum: optimum / batches,
    rules: rules.map((rule, at) => verdictOf(rule, counts[at] as Count, batches)),
  };
}

type Count = { broken: number; nothing: number; share: number; squares: number };

function add(count: Count, { accepted, wrong }: Outcome, of: { size: number; mayBeWrong: number }): void {
  const share = 1 - accepted / of.size;
  count.broken += Number(wrong > of.mayBeWrong);
  count.nothing += Number(accepted === 0);
  count.share += share;
  count.squares += share * share;
}

function verdictOf({ name, n }: Rule, { broken, nothing, share, squares }: Count, batches: number): RuleVerdict {
  const mean = share / batches;
  return {
    rule: name,
    sample: n,
    broken: broken / batches,
    brokenInterval: intervalOf(broken, batches),
    expertShare: mean,
    expertShareError: Math.sqrt(Math.max(0, squares / batches - mean * mean) / batches),
    nothingAccepted: nothing / batches,
  };
}

/** Clopper and Pearson's interval of a share, 95 %. */
export function intervalOf(found: number, of: number): [number, number] {
  const solve = (isBelow: (p: number) => boolean): number => {
    let [low, high] = [0, 1];
    for (let halving = 0; halving < 50; halving += 1) {
      const middle = (low + high) / 2;
      if (isBelow(middle)) low = middle;
      else high = middle;
    }
    return (low + high) / 2;
  };
  return [
    found === 0 ? 0 : solve((p) => 1 - binomialTail(found - 1, of, p) < 0.025),
    found === of ? 1 : solve((p) => binomialTail(found, of, p) > 0.025),
  ];
}
