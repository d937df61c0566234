import { z } from 'zod';
import { FEATURES, FEATURES_VERSION } from '../confidence/features.ts';
import { signalOf, type SignalSpec } from '../confidence/spec.ts';

const ordered = (values: readonly number[]): boolean =>
  values.every((value, at) => at === 0 || value >= (values[at - 1] ?? value));

/** Straight between these points, level beyond them. */
const curve = z
  .strictObject({
    scores: z.array(z.number()).min(1).max(64),
    values: z.array(z.number().min(0).max(1)).min(1).max(64),
  })
  .refine(({ scores, values }) => scores.length === values.length, 'expected as many values as scores')
  .refine(({ scores, values }) => ordered(scores) && ordered(values), 'expected scores and values that rise');

/** How a raw score becomes the probability that a draft is right: a method with its parameters. */
export const calibrationMethod = z.discriminatedUnion('method', [
  z.strictObject({ method: z.literal('identity') }),
  /** σ(a·x + b) over the transformed score x; a ≥ 0, so that a surer draft is never less likely right. */
  z.strictObject({ method: z.literal('platt'), a: z.number().min(0), b: z.number() }),
  /** σ(a·ln p − b·ln(1 − p) + c) over the uncalibrated probability p. */
  z.strictObject({ method: z.literal('beta'), a: z.number().min(0), b: z.number().min(0), c: z.number() }),
  z.strictObject({ method: z.literal('isotonic'), curve }),
  /** Log-odds, weights · features + bias; then σ, or a curve where σ does not fit. */
  z.strictObject({
    method: z.literal('head'),
    features: z.literal(FEATURES_VERSION),
    weights: z.array(z.number()).length(FEATURES.length),
    bias: z.number(),
    curve: curve.nullable(),
  }),
]);

export type CalibrationMethod = z.output<typeof calibrationMethod>;

export const sigmoid = (x: number): number => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));

/** No probability is 0 or 1: logarithms of it are taken. */
const CLOSEST = 1e-12;
const inside = (p: number): number => Math.min(1 - CLOSEST, Math.max(CLOSEST, p));

/**
 * What Platt's sigmoid is fitted on. Probabilities crowd at 1, so they are spread: p ≥ ½ becomes −log 2 − log(1 − p),
 * else log 2 + log p (Zellinger and Thomson, arXiv 2501.09345). Scores that are no probabilities stay as they are.
 */
export function transformed(signal: SignalSpec, score: number): number {
  const { probability } = signalOf(signal);
  if (probability === null) return score;
  const p = inside(probability(score));
  return p >= 0.5 ? -Math.LN2 - Math.log(1 - p) : Math.LN2 + Math.log(p);
}

/** The two logarithms that a beta calibration weighs (Kull, Silva Filho, Flach, AISTATS 2017); null: no probability. */
export function betaParts(signal: SignalSpec, score: number): readonly [number, number] | null {
  const { probability } = signalOf(signal);
  if (probability === null) return null;
  const p = inside(probability(score));
  return [Math.log(p), -Math.log(1 - p)];
}

/** The confidence that a score stands for, 0 to 1; null: the signal says nothing without a calibration. */
export function calibrated(
  { signal, calibration }: { readonly signal: SignalSpec; readonly calibration: CalibrationMethod | null },
  score: number,
): number | null {
  const value = probabilityOf(signal, calibration ?? { method: 'identity' }, score);
  if (value === null) return null;
  return Number.isNaN(value) ? 0 : Math.min(1, Math.max(0, value));
}

function probabilityOf(signal: SignalSpec, calibration: CalibrationMethod, score: number): number | null {
  switch (calibration.method) {
    case 'identity':
      return signalOf(signal).probability?.(score) ?? null;
    case 'platt':
      return sigmoid(calibration.a * transformed(signal, score) + calibration.b);
    case 'beta': {
      const parts = betaParts(signal, score);
      return parts === null ? null : sigmoid(calibration.a * parts[0] + calibration.b * parts[1] + calibration.c);
    }
    case 'isotonic':
      return interpolated(calibration.curve, score);
    case 'head':
      return calibration.curve === null ? sigmoid(score) : interpolated(calibration.curve, score);
  }
}

type Curve = { readonly scores: readonly number[]; readonly values: readonly number[] };

function interpolated({ scores, values }: Curve, score: number): number {
  const above = scores.findIndex((one) => one >= score);
  if (above === -1) return values.at(-1) ?? 0;
  const [high = 0, highValue = 0] = [scores[above], values[above]];
  if (above === 0 || high === score) return highAt(scores, values, above, score);
  const [low = 0, lowValue = 0] = [scores[above - 1], values[above - 1]];
  return lowValue + ((highValue - lowValue) * (score - low)) / (high - low);
}

/** Where several points stand at one score the last one counts, so that the curve never falls. */
function highAt(scores: readonly number[], values: readonly number[], at: number, score: number): number {
  let last = at;
  while (scores[last + 1] === score) last += 1;
  return values[last] ?? 0;
}
