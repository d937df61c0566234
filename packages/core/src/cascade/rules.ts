import type { Price } from '../accounting/price.ts';
import type { CalibrationArtefact, CalibrationMethod } from '../calibration/index.ts';
import type { AgreementRule, ConfidenceRule } from '../confidence/index.ts';
import type { Configuration, ModelSpec } from '../config.ts';
import type { EndpointUrl, FormatKind } from '../endpoints/index.ts';
import type { AskKind } from './ask.ts';
import type { AuditRule } from './audit-rule.ts';
import { deduplicateRule, type DeduplicateRule } from './deduplicate.ts';
import type { ModelLimits } from './fitness.ts';
import type { CascadeSpec, FieldSpec, OnDeadline, StageSpec } from './spec.ts';
import { ROLES, tierName, type Role, type Tier } from './tier.ts';
import type { Aim, PromisedTerms } from '../promise/aim.ts';

/** From which confidence on a value of a JSON answer is final, and what makes a confidence of its score; absent: the stage's. */
export type FieldRule = { readonly acceptAt: number; readonly calibration?: CalibrationMethod | undefined };

/**
 * By JSON pointer: of a scalar, or of an object or array and then of all beneath it. The longest that matches counts. `*`
 * stands for every index of an array; where a name or index is written out as well, that one counts.
 */
export type FieldRules = Readonly<Record<string, FieldRule>>;

/** How a draft is judged, and from which confidence on it is final. */
export type JudgeRule = {
  readonly confidence: ConfidenceRule;
  readonly acceptAt: number;
  /** The kinds of answer that its calibration was made with; absent: it has none, or one that does not say. */
  readonly formats?: readonly FormatKind[] | undefined;
  /** Values of a JSON answer that have a threshold or a calibration of their own; absent: none has. */
  readonly fields?: FieldRules | undefined;
};

/** One step of a cascade. */
export type StageRules = {
  /** By its name in the configuration. */
  readonly model: string;
  readonly ask: AskKind;
  /** Of `ask: verify`; absent: only the most likely tokens of a draft are kept. */
  readonly tolerance?: number | undefined;
  /** Of `ask: verdict`: how the draft before is judged; absent: the stage asks otherwise. */
  readonly verdict?: JudgeRule | undefined;
  /** Null for the last stage, whose answer is final. */
  readonly judge: JudgeRule | null;
  /** A draft is given up once nothing can make it final; absent: it is not, or a version before wrote this. */
  readonly stopEarly?: true | undefined;
  readonly limits: ModelLimits;
  readonly price: Price | null;
};

/** What decides about the documents of one cascade, frozen into the manifest when the batch is made. */
export type CascadeRules = {
  /** At least two; the last one is the expert. */
  readonly stages: readonly StageRules[];
  /** Every document goes through every stage whose model can take it, whatever its confidence. */
  readonly shadow: boolean;
  readonly onDeadline: OnDeadline;
  /** Whether result lines say in `cascade` what was decided; off for strict readers. */
  readonly annotate: boolean;
  /** Which documents are answered from an equal one of their batch. Absent: none. */
  readonly deduplicate?: DeduplicateRule | undefined;
  /** When a draft says what the expert says. Absent: JSON is compared as JSON, and everything else as texts. */
  readonly agreement?: AgreementRule | undefined;
  /** What the thresholds are to be found for before anything is decided by them. Absent: they stand as they are. */
  readonly aim?: Aim | undefined;
  /** Its documents are the sample by which the thresholds of another batch are found; for what. Absent: they are not. */
  readonly sample?: Aim['kind'] | undefined;
  /** No draft may be final, as nothing could be promised: documents begin at the last stage. Absent: they do not. */
  readonly expertOnly?: true | undefined;
  /** What was promised of the final answers, for their lines. Absent: nothing. */
  readonly certificate?: PromisedTerms | undefined;
  /** Which accepted drafts the expert is also asked about. Absent: none. */
  readonly audit?: AuditRule | undefined;
  /** No more drafts are accepted, as the audit has alarmed: in what workers read, never in a manifest. See tighten.ts. */
  readonly tightened?: true | undefined;
};

/** The stage of an index, from 0; a cascade that lacks it is a mistake of the caller. */
export function stageOf(rules: CascadeRules, stage: number): StageRules {
  const found = rules.stages[stage];
  if (found === undefined) throw new RangeError(`a cascade of ${rules.stages.length} stages has none at ${stage}`);
  return found;
}

/** What a stage judges by: its own draft or, with `ask: verdict`, the one before; null: it judges nothing. */
export const judgeIn = ({ judge, verdict }: Pick<StageRules, 'judge' | 'verdict'>): JudgeRule | null =>
  judge ?? verdict ?? null;

/** The values that stages before this one have thresholds for, by JSON pointer; counters name them by their places here. */
export const ruledFields = (rules: CascadeRules, stage: number): readonly string[] => [
  ...new Set(rules.stages.slice(0, stage).flatMap(({ judge }) => Object.keys(judge?.fields ?? {}))),
];

/** Whether a stage behind this one asks for the values that a draft is unsure of. */
export const asksForFields = (rules: CascadeRules, stage: number): boolean =>
  rules.stages.slice(stage + 1).some(({ ask }) => ask === 'fields');

/** Whether the confidence in an answer of this kind comes from a calibration that was made with such answers. */
export const isCalibrated = ({ confidence, formats }: JudgeRule, kind: FormatKind): boolean =>
  confidence.calibration !== null && (formats?.includes(kind) ?? true);

/** A model by its name; a configuration that lacks it is a mistake of the caller. */
export function modelSpecOf({ models }: Pick<Configuration, 'models'>, name: string): ModelSpec {
  const found = models[name];
  if (found === undefined) throw new RangeError(`a configuration has no model ${name}`);
  return found;
}

export const isLastStage = (rules: CascadeRules, stage: number): boolean => stage >= rules.stages.length - 1;

export const roleOf = (rules: CascadeRules, stage: number): Role => (isLastStage(rules, stage) ? 'expert' : 'drafter');

/** The tier that answers a stage. */
export const stageTier = (rules: CascadeRules, stage: number): string =>
  tierName(roleOf(rules, stage), stageOf(rules, stage).model);

/** A stage of a cascade by name: `invoices/1`. Stages count from 1 wherever somebody reads them. */
export const stageKey = (cascade: string, stage: number): string => `${cascade}/${stage + 1}`;

/** A value of a stage's answers by name: `invoices/1#/total`. */
export const fieldKey = (cascade: string, stage: number, field: string): string =>
  `${stageKey(cascade, stage)}#${field}`;

/**
 * A snapshot of every cascade's rules, with the calibrations that its stages have (by `stageKey`), and their values (by
 * `fieldKey`). `deduplicated`: the
 * endpoint of a batch whose equal documents are asked about once; null: each is asked about.
 */
export function snapshotRules(
  configuration: Configuration,
  calibrations: ReadonlyMap<string, CalibrationArtefact>,
  shadow: boolean,
  deduplicated: EndpointUrl | null = null,
): Record<string, CascadeRules> {
  return Object.fromEntries(
    Object.entries(configuration.cascades).map(([name, spec]) => [
      name,
      {
        stages: spec.stages.map((stage, index) =>
          stageRules(stage, configuration.models[stage.model], {
            calibration: calibrations.get(stageKey(name, index)),
            ofField: (field) => calibrations.get(fieldKey(name, index, field)),
            needsWhole: shadow || spec.on_deadline === 'draft',
          }),
        ),
        shadow,
        onDeadline: spec.on_deadline,
        annotate: spec.annotate,
        ...(deduplicated === null ? {} : { deduplicate: deduplicateRule(configuration, spec, deduplicated) }),
        ...(spec.aim === null ? {} : { aim: spec.aim }),
        ...(spec.agreement === null ? {} : { agreement: spec.agreement }),
        // A shadow run asks the expert about every document.
        ...(spec.audit === null || shadow ? {} : { audit: spec.audit }),
      },
    ]),
  );
}

/** The calibrations of a stage: its answers' as wholes, and those of values that have one of their own. */
type StageCalibrations = {
  readonly calibration: CalibrationArtefact | undefined;
  readonly ofField: (field: string) => CalibrationArtefact | undefined;
};

function stageRules(
  { model, ask, tolerance, verdict, judge, stop_early: stops }: StageSpec,
  spec: ModelSpec | undefined,
  { needsWhole, ...calibrations }: StageCalibrations & { readonly needsWhole: boolean },
): StageRules {
  return {
    model,
    ask,
    ...(tolerance === null ? {} : { tolerance }),
    ...(verdict === null ? {} : { verdict: judgeRule(verdict, calibrations) }),
    judge: judge === null ? null : judgeRule(judge, calibrations),
    ...(stops && !needsWhole ? { stopEarly: true } : {}),
    limits: {
      contextTokens: spec?.context_tokens ?? null,
      images: spec?.images ?? true,
      tools: spec?.tools ?? true,
    },
    price: spec?.price ?? null,
  };
}

function judgeRule(
  { confidence, acceptAt, fields }: NonNullable<StageSpec['judge']>,
  { calibration, ofField }: StageCalibrations,
): JudgeRule {
  const ruleOf = ([field, { acceptAt: own = acceptAt }]: [string, FieldSpec]): [string, FieldRule] => {
    const found = ofField(field)?.calibration;
    return [field, { acceptAt: own, ...(found === undefined ? {} : { calibration: found }) }];
  };
  const formats = calibration?.made_with?.formats ?? null;
  return {
    confidence: { signal: confidence.signal, calibration: calibration?.calibration ?? null },
    acceptAt,
    ...(fields === undefined ? {} : { fields: Object.fromEntries(Object.entries(fields).map(ruleOf)) }),
    ...(formats === null ? {} : { formats }),
  };
}

/** The models that are asked in a role by any of these cascades, each once. */
export function modelsOfRole(cascades: Iterable<CascadeSpec>, role: Role): string[] {
  const names = new Set<string>();
  for (const { stages } of cascades) {
    for (const [index, { model }] of stages.entries()) {
      if ((index === stages.length - 1) === (role === 'expert')) names.add(model);
    }
  }
  return [...names];
}

/** All tiers of a configuration, those of drafters first. */
export const tiersOf = ({ cascades }: { readonly cascades: Readonly<Record<string, CascadeSpec>> }): Tier[] =>
  ROLES.flatMap((role) => modelsOfRole(Object.values(cascades), role).map((model) => ({ role, model })));
