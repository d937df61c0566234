import { z } from 'zod';
import { assessedProbability } from './assessment.ts';
import { headFeatures, headLogit } from './head.ts';
import { labelScore } from './label.ts';
import { noEvidence, wholeScore } from './score.ts';
import { byTokens, byValues, plainSpec, signal } from './signal.ts';
import { entropies, logprobsOf, margins, mean, quantile, sum } from './statistics.ts';

const itself = (score: number): number => score;

/** What a signal over the chosen tokens' log-probs needs and says. */
const OF_LOGPROBS = { topLogprobs: 0, needs: 'nothing', probability: Math.exp, scoresValues: true } as const;

/** The one place where a signal is added: its parameters, what it needs, and how it scores. */
export const SIGNALS = {
  mean_logprob: signal({
    ...OF_LOGPROBS,
    spec: plainSpec('mean_logprob'),
    meaning: "The mean of the answer's log-probs; favours long answers.",
    score: byValues((tokens) => mean(logprobsOf(tokens))),
  }),
  sum_logprob: signal({
    ...OF_LOGPROBS,
    spec: plainSpec('sum_logprob'),
    meaning: "The sum of the answer's log-probs; favours short answers.",
    score: byValues((tokens) => sum(logprobsOf(tokens))),
  }),
  min_logprob: signal({
    ...OF_LOGPROBS,
    spec: plainSpec('min_logprob'),
    meaning: "The log-prob of the answer's weakest token.",
    score: byValues((tokens) => quantile(logprobsOf(tokens), 0)),
  }),
  quantile_logprob: signal({
    ...OF_LOGPROBS,
    spec: z.strictObject({ name: z.literal('quantile_logprob'), alpha: z.number().min(0).max(1).default(0.1) }),
    meaning: "The `alpha`-quantile of the answer's log-probs (Gupta et al., arXiv 2404.10136).",
    score: byValues((tokens, { alpha }) => quantile(logprobsOf(tokens), alpha)),
  }),
  margin: signal({
    spec: z.strictObject({ name: z.literal('margin'), over: z.enum(['mean', 'min']).default('min') }),
    meaning:
      'How far the likeliest token is ahead of the next, in log-probs; `over` all tokens the `mean` or the `min`.',
    topLogprobs: 5,
    needs: 'nothing',
    probability: null,
    scoresValues: true,
    score: byValues((tokens, { over }) => {
      const ahead = margins(tokens);
      return ahead === null ? null : over === 'mean' ? mean(ahead) : quantile(ahead, 0);
    }),
  }),
  entropy: signal({
    spec: plainSpec('entropy'),
    meaning:
      "The negative mean entropy of the answer's tokens, what the server does not list being one more possibility.",
    topLogprobs: 5,
    needs: 'nothing',
    probability: null,
    scoresValues: true,
    score: byValues((tokens) => {
      const unsure = entropies(tokens);
      return unsure === null ? null : -mean(unsure);
    }),
  }),
  label: signal({
    spec: z.strictObject({ name: z.literal('label'), answers: z.array(z.string().min(1)).min(2).max(64) }),
    meaning: 'The probability of the label that was answered among the `answers` that are allowed; for classification.',
    topLogprobs: 10,
    needs: 'nothing',
    probability: itself,
    scoresValues: false,
    score: byTokens(({ text, tokens }, { answers }) => labelScore(text, tokens, answers)),
  }),
  self_assessment: signal({
    spec: plainSpec('self_assessment'),
    meaning:
      'P(True): the drafter is asked in one token whether its answer is right (Kadavath et al., arXiv 2207.05221).',
    topLogprobs: 0,
    needs: 'assessment',
    probability: itself,
    scoresValues: false,
    score: ({ assessment }) => {
      const probability = assessment === null ? null : assessedProbability(assessment);
      return probability === null ? noEvidence('no_assessment') : wholeScore(probability);
    },
  }),
  agreement: signal({
    spec: z.strictObject({
      name: z.literal('agreement'),
      samples: z.int().min(2).max(20).default(5),
      temperature: z.number().min(0).max(2).default(0.7),
    }),
    meaning: 'The share of `samples` that agree with the answer (self-consistency, arXiv 2310.03094).',
    topLogprobs: 0,
    needs: 'samples',
    probability: itself,
    scoresValues: false,
    score: ({ agreement }) => (agreement === null ? noEvidence('no_samples') : wholeScore(agreement)),
  }),
  head: signal({
    spec: plainSpec('head'),
    meaning:
      'A logistic head over many statistics of the log-probs, learnt from labelled drafts; needs its calibration.',
    topLogprobs: 5,
    needs: 'nothing',
    probability: null,
    scoresValues: false,
    score: byTokens(({ fields, tokens, head }) =>
      head === null ? noEvidence('no_logprobs') : wholeScore(headLogit(head, headFeatures(fields, tokens))),
    ),
  }),
};

export type SignalName = keyof typeof SIGNALS;
