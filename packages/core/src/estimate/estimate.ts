import { DOCUMENT_SPREAD } from '../progress/money.ts';
import { Z, type Expected } from '../progress/time-left.ts';
import type { Population } from './draw.ts';
import { fitOf, type Counted, type Fit, type Sizes } from './fit.ts';
import { shareOf } from './share.ts';

/** What a pilot's document took in a stage; or, where it did not come to that, would have taken by its earlier answers. */
export type PilotStage = {
  readonly tier: string;
  readonly isReached: boolean;
  readonly nanoUsd: number;
  /** Of its calls. */
  readonly seconds: number;
};

/** A document that was drawn and has come to its end. */
export type PilotDocument = {
  readonly chance: number;
  readonly characters: number;
  /** Of its cascade, as in the draw. */
  readonly rate: number;
  /** That one stage read; null: none said so. */
  readonly inputTokens: number | null;
  readonly stages: readonly PilotStage[];
  readonly expertNanoUsd: number;
  readonly isEscalated: boolean;
};

export type StageEstimate = {
  /** From 0. */
  readonly stage: number;
  readonly reached: number;
  readonly share: Expected;
  readonly nanoUsd: Expected;
};

/** What a pilot says of a tier, whatever cascades its documents are of. */
export type TierEstimate = {
  readonly documents: Expected;
  /** Null: no document came to it. */
  readonly secondsEach: Expected | null;
  readonly answers: number;
};

/** What is expected of a batch, each with a range that holds in nine of ten cases. */
export type Estimate = {
  readonly stages: readonly StageEstimate[];
  readonly escalated: Expected;
  readonly nanoUsd: Expected;
  readonly expertNanoUsd: Expected;
  /** Null: no server counted any. */
  readonly inputTokens: Expected | null;
};

const ALL: Expected = { low: 1, likely: 1, high: 1 };

/**
 * What a batch will be, by a pilot of it. What a stage costs is the share of the documents that come to it, by what they
 * would cost there, times what all documents would cost there: the share has an exact range however few were escalated,
 * and the cost is fitted to the sizes of documents, which are known of all. Null: nothing was answered. `reach`: the share
 * of the documents that come to each stage, where the pilot's all did.
 */
export function estimateOf(
  pilot: readonly PilotDocument[],
  population: Population,
  reach: readonly Expected[] | null = null,
): Estimate | null {
  if (pilot.length === 0) return null;
  const depth = Math.max(...pilot.map(({ stages }) => stages.length));
  const stages = Array.from({ length: depth }, (_, stage) => {
    const own = reach?.[stage];
    return own === undefined
      ? stageOf(pilot, population, stage)
      : reachedStage(pilot, population, { stage, share: own });
  });
  const tokens = pilot.flatMap(({ inputTokens, chance, characters }): Counted[] =>
    inputTokens === null ? [] : [{ weight: 1 / chance, sizes: [1, characters], value: inputTokens }],
  );
  const expert = pilot.map((one) => counted(one, one.expertNanoUsd));
  return {
    stages,
    escalated:
      reach === null
        ? shareOf(
            pilot.map(({ chance, isEscalated }) => ({ weight: 1 / chance, isMarked: isEscalated })),
            population.documents,
          )
        : largestOf(reach.slice(1)),
    nanoUsd: sumOf(stages.map(({ nanoUsd }) => nanoUsd)),
    expertNanoUsd: totalOf(fitOf(expert, moneySizes(population))),
    inputTokens: fitOf(tokens, [population.documents, population.characters])?.total ?? null,
  };
}

/** How many documents come to a tier, and what one of them takes of a call's time there. */
export function tierEstimate(pilot: readonly PilotDocument[], population: Population, tier: string): TierEstimate {
  const inTier = pilot.map((one) => ({ one, stage: one.stages.find((own) => own.tier === tier && own.isReached) }));
  const weights = inTier.map(({ one, stage }) => ({ weight: 1 / one.chance, isMarked: stage !== undefined }));
  const share = weights.every(({ isMarked }) => isMarked) ? ALL : shareOf(weights, population.documents);
  const seen = inTier.flatMap(({ one: { chance, characters }, stage }): Counted[] =>
    stage === undefined ? [] : [{ weight: 1 / chance, sizes: [1, characters], value: stage.seconds }],
  );
  const { documents, characters } = population;
  const times = (by: number) => (range: Expected) => ({
    low: by * range.low,
    likely: by * range.likely,
    high: by * range.high,
  });
  const seconds = fitOf(seen, [documents, characters])?.total ?? null;
  return {
    documents: times(documents)(share),
    secondsEach: seconds === null ? null : times(1 / documents)(seconds),
    answers: seen.length,
  };
}

const counted = ({ chance, rate, characters }: PilotDocument, value: number): Counted => ({
  weight: 1 / chance,
  sizes: [rate, rate * characters],
  value,
});

const moneySizes = ({ rates, pricedCharacters }: Population): Sizes => [rates, pricedCharacters];

const totalOf = (fit: Fit | null): Expected => fit?.total ?? { low: 0, likely: 0, high: 0 };

function stageOf(pilot: readonly PilotDocument[], population: Population, stage: number): StageEstimate {
  const there = pilot.filter(({ stages }) => stages[stage]?.isReached === true);
  const isAll = there.length === pilot.length && stage === 0;
  const weights = pilot.map(({ chance, stages }) => ({
    weight: 1 / chance,
    isMarked: stages[stage]?.isReached === true,
  }));
  const share = isAll ? ALL : shareOf(weights, population.documents);
  const of = there.length > 0 ? there : pilot;
  const fit = fitOf(
    of.map((one) => counted(one, one.stages[stage]?.nanoUsd ?? 0)),
    moneySizes(population),
  );
  const each = totalOf(fit);
  // Nobody saw what an answer takes there: it is taken from the tokens of earlier ones.
  const whole = there.length > 0 ? each : { ...each, low: 0, high: each.high * (1 + Z * DOCUMENT_SPREAD) };
  const byMoney = weights.map((one, at) => {
    const { rate, characters } = pilot[at] ?? { rate: 0, characters: 0 };
    return { ...one, weight: one.weight * Math.max(0, fit?.of([rate, rate * characters]) ?? 0) };
  });
  const priced = byMoney.some(({ weight }) => weight > 0);
  const nanoUsd = priced ? productOf(isAll ? ALL : shareOf(byMoney, population.documents), whole) : totalOf(null);
  return { stage, reached: there.length, share, nanoUsd };
}

/** A stage that all documents of the pilot came to, and of the batch's this share does. */
function reachedStage(
  pilot: readonly PilotDocument[],
  population: Population,
  { stage, share }: { readonly stage: number; readonly share: Expected },
): StageEstimate {
  const reached = pilot.filter(({ stages }) => stages[stage]?.isReached === true).length;
  const fit = fitOf(
    pilot.map((one) => counted(one, one.stages[stage]?.nanoUsd ?? 0)),
    moneySizes(population),
  );
  return { stage, reached, share, nanoUsd: productOf(share, totalOf(fit)) };
}

/** The largest of some shares, end by end. */
const largestOf = (shares: readonly Expected[]): Expected => ({
  low: Math.max(0, ...shares.map(({ low }) => low)),
  likely: Math.max(0, ...shares.map(({ likely }) => likely)),
  high: Math.max(0, ...shares.map(({ high }) => high)),
});

/** A share of something, where both are uncertain and independent (Zou and Donner 2008). */
function productOf(share: Expected, whole: Expected): Expected {
  const likely = share.likely * whole.likely;
  const down = Math.hypot(whole.likely * (share.likely - share.low), share.likely * (whole.likely - whole.low));
  const up = Math.hypot(whole.likely * (share.high - share.likely), share.high * (whole.high - whole.likely));
  return { low: Math.max(share.low * whole.low, likely - down), likely, high: likely + up };
}

/** The stages were seen in the same documents: what makes one cost more may make the others, too. */
const sumOf = (all: readonly Expected[]): Expected => ({
  low: all.reduce((sum, { low }) => sum + low, 0),
  likely: all.reduce((sum, { likely }) => sum + likely, 0),
  high: all.reduce((sum, { high }) => sum + high, 0),
});
