import { Matrix, solve } from 'ml-matrix';
import { sigmoid } from './method.ts';

/** A draft that was labelled: what is known of it as numbers, and whether it is right. */
export type LabelledRow = { readonly x: readonly number[]; readonly right: boolean };

const ROUNDS = 100;
const CLOSE = 1e-10;

/**
 * Fits P(right) = σ(w·x + bias) by maximum likelihood with an L2 penalty on w (Newton's method, halving a step that
 * makes it worse). Targets are Platt's, (n₊ + 1)/(n₊ + 2) and 1/(n₋ + 2), which keep a separable sample finite.
 */
export function fitLogistic(
  rows: readonly LabelledRow[],
  { penalty }: { readonly penalty: number },
): { readonly weights: number[]; readonly bias: number } {
  const width = (rows[0]?.x.length ?? 0) + 1;
  const positives = rows.filter(({ right }) => right).length;
  const [high, low] = [(positives + 1) / (positives + 2), 1 / (rows.length - positives + 2)];
  const features = rows.map(({ x }) => [...x, 1]);
  const targets = rows.map(({ right }) => (right ? high : low));
  const ridge = Array.from({ length: width }, (_, at) => (at === width - 1 ? 0 : penalty));
  let weights = ridge.map(() => 0);
  let loss = lossOf(features, targets, weights, ridge);
  for (let round = 0; round < ROUNDS; round += 1) {
    const step = newtonStep(features, targets, weights, ridge);
    let size = 1;
    let next = weights.map((weight, at) => weight - size * (step[at] ?? 0));
    let nextLoss = lossOf(features, targets, next, ridge);
    while (!(nextLoss <= loss) && size > CLOSE) {
      size /= 2;
      next = weights.map((weight, at) => weight - size * (step[at] ?? 0));
      nextLoss = lossOf(features, targets, next, ridge);
    }
    if (!(nextLoss <= loss)) break;
    const gained = loss - nextLoss;
    [weights, loss] = [next, nextLoss];
    if (gained <= CLOSE * (1 + loss)) break;
  }
  return { weights: weights.slice(0, -1), bias: weights.at(-1) ?? 0 };
}

const dot = (left: readonly number[], right: readonly number[]): number =>
  left.reduce((sum, value, at) => sum + value * (right[at] ?? 0), 0);

/** −Σ t·log p + (1 − t)·log(1 − p), and the penalty. */
function lossOf(
  features: readonly (readonly number[])[],
  targets: readonly number[],
  weights: readonly number[],
  ridge: readonly number[],
): number {
  let loss = 0;
  for (const [at, row] of features.entries()) {
    const z = dot(row, weights);
    // log(1 + e^z) without overflow.
    loss += Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))) - (targets[at] ?? 0) * z;
  }
  return loss + weights.reduce((sum, weight, at) => sum + ((ridge[at] ?? 0) * weight * weight) / 2, 0);
}

function newtonStep(
  features: readonly (readonly number[])[],
  targets: readonly number[],
  weights: readonly number[],
  ridge: readonly number[],
): number[] {
  const width = weights.length;
  const gradient = weights.map((weight, at) => (ridge[at] ?? 0) * weight);
  const hessian = Matrix.zeros(width, width);
  for (const [at, row] of features.entries()) {
    const p = sigmoid(dot(row, weights));
    const curve = Math.max(1e-9, p * (1 - p));
    for (let i = 0; i < width; i += 1) {
      const xi = row[i] ?? 0;
      gradient[i] = (gradient[i] ?? 0) + (p - (targets[at] ?? 0)) * xi;
      if (xi === 0) continue;
      for (let j = i; j < width; j += 1) hessian.set(i, j, hessian.get(i, j) + curve * xi * (row[j] ?? 0));
    }
  }
  for (let i = 0; i < width; i += 1) {
    hessian.set(i, i, hessian.get(i, i) + (ridge[i] ?? 0) + 1e-9);
    for (let j = 0; j < i; j += 1) hessian.set(i, j, hessian.get(j, i));
  }
  return solve(hessian, Matrix.columnVector(gradient)).to1DArray();
}
