import type { TokenLogprob } from '../completion.ts';
import type { EscalationReason } from './reasons.ts';
import type { SignalName, SignalSpec } from './spec.ts';
import { entropies, logprobsOf, margins, mean, quantile, sum } from './statistics.ts';

/** What a signal is and needs. */
export type Signal = {
  readonly meaning: string;
  /** How many alternatives per token the model server must be asked for. */
  readonly topLogprobs: number;
  /** Calls beside the draft's own. */
  readonly needs: 'nothing' | 'assessment' | 'samples';
  /** What the score says about the draft being right as long as there is no calibration; null: nothing. */
  readonly probability: ((score: number) => number) | null;
};

const itself = (score: number): number => score;

/** The one place where a signal is added, beside its score below. */
export const SIGNALS: Readonly<Record<SignalName, Signal>> = {
  mean_logprob: {
    meaning: "The mean of the answer's log-probs; favours long answers.",
    topLogprobs: 0,
    needs: 'nothing',
    probability: Math.exp,
  },
  sum_logprob: {
    meaning: "The sum of the answer's log-probs; favours short answers.",
    topLogprobs: 0,
    needs: 'nothing',
    probability: Math.exp,
  },
  min_logprob: {
    meaning: "The log-prob of the answer's weakest token.",
    topLogprobs: 0,
    needs: 'nothing',
    probability: Math.exp,
  },
  quantile_logprob: {
    meaning: "The `alpha`-quantile of the answer's log-probs (Gupta et al., arXiv 2404.10136).",
    topLogprobs: 0,
    needs: 'nothing',
    probability: Math.exp,
  },
  margin: {
    meaning:
      'How far the likeliest token is ahead of the next, in log-probs; `over` all tokens the `mean` or the `min`.',
    topLogprobs: 5,
    needs: 'nothing',
    probability: null,
  },
  entropy: {
    meaning: "The negative mean entropy of the answer's tokens, what is not told being one more possibility.",
    topLogprobs: 5,
    needs: 'nothing',
    probability: null,
  },
  label: {
    meaning: 'The probability of the label that was answered among the `answers` that are allowed; for classification.',
    topLogprobs: 10,
    needs: 'nothing',
    probability: itself,
  },
  self_assessment: {
    meaning:
      'P(True): the drafter is asked in one token whether its answer is right (Kadavath et al., arXiv 2207.05221).',
    topLogprobs: 0,
    needs: 'assessment',
    probability: itself,
  },
  agreement: {
    meaning: 'The share of `samples` that agree with the answer (self-consistency, arXiv 2310.03094).',
    topLogprobs: 0,
    needs: 'samples',
    probability: itself,
  },
  head: {
    meaning:
      'A logistic head over many statistics of the log-probs, learnt from labelled drafts; needs its calibration.',
    topLogprobs: 5,
    needs: 'nothing',
    probability: null,
  },
};

export type TokenScore =
  | { readonly kind: 'score'; readonly score: number }
  | { readonly kind: 'none'; readonly reason: EscalationReason };

const scored = (score: number): TokenScore => ({ kind: 'score', score });
const NO_ALTERNATIVES: TokenScore = { kind: 'none', reason: 'no_alternatives' };

/** The score of some tokens, at least one, by a signal over tokens: the higher, the surer. Log-probs are at most 0. */
export function tokenScore(spec: SignalSpec, tokens: readonly TokenLogprob[]): TokenScore {
  const logprobs = logprobsOf(tokens);
  switch (spec.name) {
    case 'mean_logprob':
      return scored(mean(logprobs));
    case 'sum_logprob':
    case 'head':
      return scored(sum(logprobs));
    case 'min_logprob':
      return scored(quantile(logprobs, 0));
    case 'quantile_logprob':
      return scored(quantile(logprobs, spec.alpha));
    case 'margin': {
      const ahead = margins(tokens);
      if (ahead === null) return NO_ALTERNATIVES;
      return scored(spec.over === 'mean' ? mean(ahead) : quantile(ahead, 0));
    }
    case 'entropy': {
      const unsure = entropies(tokens);
      return unsure === null ? NO_ALTERNATIVES : scored(-mean(unsure));
    }
    case 'label':
    case 'self_assessment':
    case 'agreement':
      throw new Error(`${spec.name} is no signal over tokens`);
  }
}
