import { z } from 'zod';
import { agreementRule, SIGNALS, signalSpec, type AgreementRule, type SignalSpec } from '../confidence/index.ts';
import { LIMITS } from '../limits.ts';
import { budgetAim, promiseAim, type Aim } from '../promise/aim.ts';
import { issueMessage } from '../text/issue-message.ts';
import { isJsonObject } from '../text/json.ts';
import { ASK_KINDS, DEFAULT_ASK, type AskKind } from './ask.ts';
import { askProblem, NO_ASKING } from './ask-problem.ts';
import { auditSpec, type AuditRule } from './audit-rule.ts';
import { pointerTokens } from './fields/pointer.ts';
import { settingsShape, type RequestSettings } from './settings.ts';
import { stopsEarly } from './stop-early.ts';

/** How drafts are judged: a signal, its parameters, and a file that `npm run calibrate` wrote. */
type ConfidenceSpec = { readonly signal: SignalSpec; readonly calibration: string | null };

const confidence = z
  .record(z.string(), z.unknown())
  .transform(({ signal = 'sum_logprob', calibration = null, ...parameters }, context): ConfidenceSpec => {
    const problem = (path: PropertyKey[], message: string): never => {
      context.addIssue({ code: 'custom', path, message });
      return z.NEVER;
    };
    if (typeof signal !== 'string' || !Object.hasOwn(SIGNALS, signal)) {
      return problem(['signal'], `expected one of ${Object.keys(SIGNALS).join(', ')}`);
    }
    const read = signalSpec.safeParse({ ...parameters, name: signal });
    if (!read.success) {
      for (const issue of read.error.issues) problem(issue.path, `${issueMessage(issue)} (of the signal ${signal})`);
      return z.NEVER;
    }
    if (calibration !== null && typeof calibration !== 'string') {
      return problem(['calibration'], 'expected the path of a file that `npm run calibrate` wrote');
    }
    if (calibration === null && SIGNALS[read.data.name].probability === null) {
      return problem(['calibration'], `expected a file: the signal ${signal} says nothing without a calibration`);
    }
    return { signal: read.data, calibration };
  });

const acceptAt = z.number().min(0).max(1);
const calibrationFile = z.string('expected the path of a file that `npm run calibrate` wrote');
/** Thresholds and calibrations of values of a JSON answer, by JSON pointer; what is left out is the stage's. */
const fields = z
  .record(
    z
      .string()
      .refine((key) => key.length <= 100 && pointerTokens(key) !== null, 'expected a JSON pointer such as /total'),
    z
      .strictObject({ accept_at: acceptAt.optional(), calibration: calibrationFile.optional() })
      .refine((own) => Object.keys(own).length > 0, 'expected accept_at, calibration, or both')
      .transform(({ accept_at: from, calibration }): FieldSpec => ({
        ...(from === undefined ? {} : { acceptAt: from }),
        ...(calibration === undefined ? {} : { calibration }),
      })),
  )
  .refine((all) => Object.keys(all).length > 0, 'expected at least one JSON pointer, such as /total')
  .optional();
const onDeadline = z.enum(['error', 'draft']).default('error');
const annotate = z.boolean().default(true);
const stopEarly = z.boolean().optional();

const ask = z.enum(ASK_KINDS).default(DEFAULT_ASK);
/** A token of a draft is kept while it is at least (1 − tolerance) times as likely as the best one; absent: the best only. */
const verify = z
  .strictObject({ tolerance: z.number('expected a number between 0 and 1').gt(0).lt(1).optional() })
  .optional();

const FROM_0_TO_1 = 'expected a number from 0 to 1';
/** From which confidence in a draft on it is final, and by which file that confidence is calibrated. */
const verdict = z
  .strictObject({
    accept_at: z.number(FROM_0_TO_1).min(0, FROM_0_TO_1).max(1, FROM_0_TO_1),
    calibration: calibrationFile.optional(),
  })
  .optional();

const stage = z.strictObject({
  model: z.string(),
  ask,
  verify,
  verdict,
  confidence: confidence.optional(),
  accept_at: acceptAt.optional(),
  fields,
  stop_early: stopEarly,
  ...settingsShape,
  system: z.string().min(1).optional(),
});

const AIMS = {
  promise: promiseAim.optional(),
  budget: budgetAim.optional(),
  agreement: agreementRule.optional(),
};
const audit = auditSpec.optional();

const longForm = z.strictObject({
  stages: z
    .array(stage)
    .min(2, 'expected at least two stages: a drafter and an expert')
    .max(LIMITS.cascadeStages, `expected at most ${LIMITS.cascadeStages} stages`),
  ...AIMS,
  on_deadline: onDeadline,
  annotate,
  audit,
});

const shortForm = z.strictObject({
  drafter: z.string(),
  expert: z.string(),
  confidence: confidence.prefault({}),
  accept_at: acceptAt,
  ...AIMS,
  fields,
  stop_early: stopEarly,
  /** How the expert is asked. */
  ask,
  verify,
  verdict,
  on_deadline: onDeadline,
  annotate,
  audit,
});

/** What a value of a JSON answer has of its own: a threshold, the path of a calibration; absent: the stage's. */
export type FieldSpec = { readonly acceptAt?: number; readonly calibration?: string };

type JudgeSpec = {
  readonly confidence: ConfidenceSpec;
  readonly acceptAt: number;
  readonly fields?: Readonly<Record<string, FieldSpec>>;
};

/** How a verdict is judged: by P(True), which the model says of the draft before. */
const verdictSpec = (given: z.output<typeof verdict>): JudgeSpec | null =>
  given === undefined
    ? null
    : {
        confidence: { signal: { name: 'self_assessment' }, calibration: given.calibration ?? null },
        acceptAt: given.accept_at,
      };

/** One step of a cascade. */
export type StageSpec = Omit<RequestSettings, 'system'> & {
  readonly model: string;
  readonly ask: AskKind;
  /** Of `ask: verify`; null: only the most likely tokens are kept, or the stage asks otherwise. */
  readonly tolerance: number | null;
  /** Of `ask: verdict`: how the draft before is judged; null: the stage asks otherwise. */
  readonly verdict: JudgeSpec | null;
  /** Null for the last stage, whose answer is final. */
  readonly judge: JudgeSpec | null;
  /** Drafts are given up once nothing can make them final. */
  readonly stop_early: boolean;
  readonly system: string | null;
};

/** An ordered list of stages; every model stands in it once. */
export type CascadeSpec = {
  /** How it is written: as a list, or by its `drafter` and its `expert`. */
  readonly form: 'long' | 'short';
  readonly stages: readonly StageSpec[];
  readonly on_deadline: 'error' | 'draft';
  readonly annotate: boolean;
  /** What a batch's thresholds are found for; null: those of the stages are taken. */
  readonly aim: Aim | null;
  /** When a draft says what the expert says; null: as its kind of answer suggests. */
  readonly agreement: AgreementRule | null;
  /** Null: the expert is asked about no accepted draft. */
  readonly audit: AuditRule | null;
};

export type OnDeadline = CascadeSpec['on_deadline'];

const LAST_IS_FINAL = 'no such key in the last stage, whose answer is final';
const NO_AIM =
  'expected answer or verify: what is asked for depends on thresholds, which `promise` and `budget` are yet to find';
const MUST_JUDGE = 'expected a number from 0 to 1: all stages but the last judge';

type StageProblem = { readonly path: readonly (string | number)[]; readonly message: string };

/** What stages have too much or lack by their place in the list, whatever else is wrong with them. */
function placeProblems(stages: unknown): StageProblem[] {
  if (!Array.isArray(stages) || stages.length < 2) return [];
  return stages.flatMap((one: unknown, index): StageProblem[] => {
    if (!isJsonObject(one)) return [];
    const at = (key: string, message: string): StageProblem => ({ path: ['stages', index, key], message });
    if (index < stages.length - 1) return one['accept_at'] === undefined ? [at('accept_at', MUST_JUDGE)] : [];
    return ['confidence', 'accept_at', 'fields'].flatMap((key) =>
      Object.hasOwn(one, key) ? [at(key, LAST_IS_FINAL)] : [],
    );
  });
}

const judgeOf = (
  spec: ConfidenceSpec,
  acceptFrom: number,
  own: z.output<typeof fields>,
): NonNullable<StageSpec['judge']> => ({
  confidence: spec,
  acceptAt: acceptFrom,
  ...(own === undefined ? {} : { fields: own }),
});

function aimOf(promise?: z.output<typeof promiseAim>, budget?: z.output<typeof budgetAim>): Aim | null {
  if (promise !== undefined) return { kind: 'promise', ...promise };
  return budget === undefined ? null : { kind: 'budget', ...budget };
}

/** Either form of a cascade; what is said of a mistake is said of the form that was written. */
export const cascadeSpec = z.record(z.string(), z.unknown()).transform((given, context): CascadeSpec => {
  const misplaced = placeProblems(given['stages']);
  for (const { path, message } of misplaced) context.addIssue({ code: 'custom', path: [...path], message });
  const read = 'stages' in given ? longForm.safeParse(given) : shortForm.safeParse(given);
  if (!read.success) {
    for (const issue of read.error.issues) {
      context.addIssue({ code: 'custom', path: issue.path, message: issueMessage(issue) });
    }
    return z.NEVER;
  }
  if (misplaced.length > 0) return z.NEVER;
  const refuse = (path: (string | number)[], message: string): never => {
    context.addIssue({ code: 'custom', path, message });
    return z.NEVER;
  };
  const { data } = read;
  const { on_deadline, annotate: isAnnotated, promise, budget, agreement = null, audit: audited = null } = data;
  if (promise !== undefined && budget !== undefined) return refuse(['budget'], 'no such key beside promise');
  const aim = aimOf(promise, budget);
  const whole = { on_deadline, annotate: isAnnotated, aim, agreement, audit: audited };
  if (!('stages' in data)) {
    const plain = {
      ask: DEFAULT_ASK,
      tolerance: null,
      verdict: null,
      request: { default: {}, override: {} },
      rename: {},
      drop: [],
      system: null,
    } as const;
    const judge = judgeOf(data.confidence, data.accept_at, data.fields);
    const stops = stopsEarly(data.stop_early, { judge, ask: DEFAULT_ASK, nextAsk: data.ask }, on_deadline);
    if (stops.problem !== null) return refuse(['stop_early'], stops.problem);
    const asked = { ask: data.ask, tolerance: data.verify?.tolerance ?? null, verdict: verdictSpec(data.verdict) };
    const has = { hasVerify: data.verify !== undefined, hasVerdict: data.verdict !== undefined };
    const { signal } = data.confidence;
    const hasFields = data.fields !== undefined;
    const problem =
      askProblem({ ...NO_ASKING, hasFields, signal }, 0) ??
      askProblem({ ...NO_ASKING, ask: data.ask, ...has, signalBefore: signal }, 1);
    if (problem !== null) return refuse([problem.key], problem.message);
    const stages = [
      { ...plain, model: data.drafter, judge, stop_early: stops.early },
      { ...plain, ...asked, model: data.expert, judge: null, stop_early: false },
    ];
    return { form: 'short', stages, ...whole };
  }
  const stages: StageSpec[] = [];
  for (const [at, one] of data.stages.entries()) {
    const { confidence: rule, accept_at: acceptFrom, fields: own, stop_early: asked, verify: how, ...others } = one;
    const { system = null, verdict: said, ...kept } = others;
    const judge = acceptFrom === undefined ? null : judgeOf(rule ?? confidence.parse({}), acceptFrom, own);
    const nextAsk = data.stages[at + 1]?.ask ?? null;
    const stops = stopsEarly(asked, { judge, ask: one.ask, nextAsk }, on_deadline);
    if (stops.problem !== null) return refuse(['stages', at, 'stop_early'], stops.problem);
    const signal = judge?.confidence.signal ?? null;
    const has = { hasVerify: how !== undefined, hasVerdict: said !== undefined, hasFields: own !== undefined };
    const signalBefore = stages.at(-1)?.judge?.confidence.signal ?? null;
    const problem = askProblem({ ask: one.ask, ...has, signal, signalBefore }, at);
    if (problem !== null) return refuse(['stages', at, problem.key], problem.message);
    if (aim !== null && judge !== null && one.ask === 'fields') return refuse(['stages', at, 'ask'], NO_AIM);
    const reuse = { tolerance: how?.tolerance ?? null, verdict: verdictSpec(said) };
    stages.push({ ...kept, ...reuse, system, judge, stop_early: stops.early });
  }
  return { form: 'long', stages, ...whole };
});
