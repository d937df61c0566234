import type { ModelFindings } from './model-findings.ts';
import { judgeIn, stageOf, stageTier, type CascadeRules, type JudgeRule, type StageRules } from './rules.ts';

/** Above every confidence: nothing is accepted. */
export const ACCEPT_NOTHING = 2;

/** A threshold as it is shown; null: no draft is final. */
export const shownThreshold = (acceptAt: number): number | null => (acceptAt > 1 ? null : acceptAt);

/** The stages that judge, by their places from 0; the last one does with `ask: verdict`. */
export const judgingStages = ({ stages }: Pick<CascadeRules, 'stages'>): number[] =>
  stages.flatMap((stage, at) => (judgeIn(stage) === null ? [] : [at]));

/**
 * Whether no judging stage can judge anything, as their servers are known to give no log-probs. `found`: what the checks
 * of the tiers found.
 */
export const cannotJudge = (
  rules: CascadeRules,
  found: ReadonlyMap<string, Pick<ModelFindings, 'log_probs'>>,
): boolean =>
  judgingStages(rules).every((stage) => {
    const rule = judgeIn(stageOf(rules, stage));
    return rule?.confidence.signal.name !== 'agreement' && found.get(stageTier(rules, stage))?.log_probs === false;
  });

/**
 * Whether a stage is asked for values by the thresholds of the one before, and judges what it says: how sure it is of a
 * document then depends on those, so that no thresholds can be found by a sample.
 */
export const judgesValues = ({ stages }: Pick<CascadeRules, 'stages'>): boolean =>
  stages.some(({ ask, judge }) => ask === 'fields' && judge !== null);

/** The thresholds of the judging stages, in their order. */
export const thresholdsOf = ({ stages }: Pick<CascadeRules, 'stages'>): number[] =>
  stages.flatMap((stage) => judgeIn(stage)?.acceptAt ?? []);

/**
 * The rules with other thresholds: one for each judging stage, in their order; null: it keeps its own. Unless `values` is
 * `kept`, values with thresholds or calibrations of their own have their stage's from then on: a draft is as sure as its
 * least sure value, and thresholds that are found by drafts are found by that.
 */
export function withThresholds(
  rules: CascadeRules,
  acceptAt: readonly (number | null)[],
  values: 'kept' | 'as_stage' = 'as_stage',
): CascadeRules {
  const judging = judgingStages(rules);
  if (judging.length !== acceptAt.length) {
    throw new RangeError(`${judging.length} stages judge, and there are ${acceptAt.length} thresholds`);
  }
  const of = new Map(judging.map((stage, at) => [stage, acceptAt[at] ?? null]));
  return {
    ...rules,
    stages: rules.stages.map((stage, at) => {
      const own = of.get(at);
      return own == null ? stage : acceptingAt(stage, own, values);
    }),
  };
}

function acceptingAt(stage: StageRules, acceptAt: number, values: 'kept' | 'as_stage'): StageRules {
  const { judge, verdict } = stage;
  const of = (rule: JudgeRule): JudgeRule =>
    values === 'kept' ? { ...rule, acceptAt } : { ...valuesAsStage(rule, acceptAt), acceptAt };
  if (judge !== null) return { ...stage, judge: of(judge) };
  return verdict === undefined ? stage : { ...stage, verdict: of(verdict) };
}

const valuesAsStage = ({ fields, ...rule }: JudgeRule, acceptAt: number): JudgeRule =>
  fields === undefined
    ? rule
    : { ...rule, fields: Object.fromEntries(Object.keys(fields).map((path) => [path, { acceptAt }])) };

/** The rules by which a pilot of a batch is answered whose thresholds are still to be found: every stage answers. */
export const pilotRules = (rules: CascadeRules): CascadeRules =>
  rules.aim === undefined ? rules : sampleRules({ ...rules, aim: EVERY_STAGE });

const EVERY_STAGE = { kind: 'promise', agreement: 0.5, certainty: 0.5, otherwise: 'expert' } as const;

/**
 * The rules by which a sample of a batch is answered, so that the thresholds of the others are found by it. For a promise
 * every stage answers every document; for a budget the stages before the last judging one decide as ever, and that one
 * accepts every draft that it can judge.
 */
export function sampleRules({ aim, ...rules }: CascadeRules): CascadeRules {
  if (aim === undefined) throw new Error('a cascade with fixed thresholds needs no sample');
  const own = {
    ...rules,
    onDeadline: 'error',
    annotate: true,
    sample: aim.kind,
    deduplicate: undefined,
    audit: undefined,
  } as const;
  const whole = { ...own, stages: rules.stages.map((stage) => ({ ...stage, stopEarly: undefined })) };
  if (aim.kind !== 'budget') return { ...whole, shadow: true };
  return withThresholds(
    whole,
    thresholdsOf(rules).map((_, at, all) => (at === all.length - 1 ? 0 : null)),
  );
}
