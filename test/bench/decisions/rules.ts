import { allowedDisagreements, binomialTail, certifyAgreement } from '@spillway/core';
import { bargain } from './bargain.ts';
import { outcomeOf, sampleOf, type Batch, type Outcome } from './batch.ts';

/** What is to be promised of batches of a size. */
export type Cell = { readonly agreement: number; readonly delta: number; readonly size: number };

/** A way to decide which drafts of a batch are final. */
export type Rule = {
  readonly name: string;
  /** How many documents it asks both tiers about beforehand; null: it decides as it goes. */
  readonly n: number | null;
  readonly decide: (batch: Batch, random: () => number) => Outcome;
};

/** The rules that ours is compared with sample `n` documents; ours samples `planned`. */
export function rulesFor(cell: Cell, { n, planned }: { readonly n: number; readonly planned: number }): Rule[] {
  const { agreement, delta, size } = cell;
  const may = 1 - agreement;
  const counted = (name: string, allowed: number): Rule => ({ name, n, decide: (batch) => byCount(batch, n, allowed) });
  return [
    certified('promise', cell, planned),
    certified('promise_whole_sample', cell, n),
    counted(
      'sampled_as_others',
      allowedDisagreements({ target: agreement, delta, populationSize: size }, n, 'as_others'),
    ),
    // Clopper and Pearson's upper bound of the sample's share at the chosen threshold is at most 1 − agreement.
    counted(
      'binomial',
      greatest(n, (k) => binomialTail(k, n, may) <= delta),
    ),
    // Angelopoulos, Bates, Fisch, Lei, Schuster, "Conformal risk control" (2024): (n R + 1) / (n + 1) ≤ α; holds in the mean.
    counted(
      'conformal_risk_control',
      greatest(n, (k) => (k + 1) / (n + 1) <= may),
    ),
    counted(
      'plug_in',
      greatest(n, (k) => k <= may * n + 1e-9),
    ),
    { name: 'bargain', n: null, decide: (batch, random) => bargain(batch, cell, random) },
  ];
}

/** The greatest number up to n that something holds for which holds for all less, too; −1: it holds for none. */
function greatest(n: number, holds: (k: number) => boolean): number {
  let most = -1;
  while (most < n && holds(most + 1)) most += 1;
  return most;
}

function certified(name: string, { agreement, delta, size }: Cell, n: number): Rule {
  const terms = { target: agreement, delta, populationSize: size };
  return {
    name,
    n,
    decide: (batch) => {
      const { ranked } = batch;
      const sample = sampleOf(batch, n);
      const found = certifyAgreement(
        terms,
        Array.from(sample, (at) => ({
          score: at < ranked.judged ? (ranked.scores[at] ?? null) : null,
          agrees: ranked.wrong[at] === 0,
        })),
      );
      if (found.kind === 'not_certified') return { accepted: 0, wrong: 0 };
      const { acceptAt } = found.certificate;
      return outcomeOf(batch, acceptAt === null ? ranked.judged : firstBelow(batch, acceptAt), sample);
    },
  };
}

/** How many ranked documents have at least a score. */
function firstBelow({ ranked }: Batch, score: number): number {
  let [end, below] = [0, ranked.judged];
  while (end < below) {
    const middle = Math.floor((end + below) / 2);
    if ((ranked.scores[middle] ?? 0) >= score) end = middle + 1;
    else below = middle;
  }
  return end;
}

/** Accepts the longest prefix in which the sample has at most so many disagreements. */
function byCount(batch: Batch, n: number, allowed: number): Outcome {
  const { ranked } = batch;
  if (allowed < 0) return { accepted: 0, wrong: 0 };
  const sample = sampleOf(batch, n);
  let wrong = 0;
  for (const at of sample) {
    if (at >= ranked.judged) break;
    wrong += ranked.wrong[at] ?? 0;
    if (wrong > allowed) return outcomeOf(batch, ranked.tie[at] ?? 0, sample);
  }
  return outcomeOf(batch, ranked.judged, sample);
}
