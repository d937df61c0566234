import { z } from 'zod';
import { ASK_KINDS } from '../cascade/ask.ts';
import { sameSignal, signalSpec, type SignalSpec } from '../confidence/spec.ts';
import { FORMAT_KINDS } from '../endpoints/index.ts';
import { isJsonObject } from '../text/json.ts';
import { calibrationMethod } from './method.ts';

/** What the drafts of a calibration were made with; the same model says other log-probs elsewhere, or of other answers. */
const madeWith = z.strictObject({
  /** The stage's model server, as `serverDigest` names it. */
  server: z.string(),
  /** The kinds of answer that the drafts were asked for, sorted; null: the lines did not say. */
  formats: z.array(z.enum(FORMAT_KINDS)).min(1).nullable(),
});

/** What `npm run calibrate` writes: a calibration, what it is of, and how good it was on drafts that it had not seen. */
export const calibrationArtefact = z.strictObject({
  kind: z.literal('spillway.calibration'),
  v: z.literal(2),
  cascade: z.string(),
  /** The stage of the cascade whose drafts it is of, from 1, and how that stage asks. */
  stage: z.int().min(1),
  ask: z.enum(ASK_KINDS),
  /** Of a value of its JSON answers, by JSON pointer; absent: of its answers as wholes. */
  field: z.string().optional(),
  /** The thresholds of the stages before it, by which the drafts were chosen that it was fitted on. */
  accept_before: z.array(z.number()),
  /** The stage's model as its server knows it. */
  model: z.string(),
  /** Absent: it was made before this was written down. */
  made_with: madeWith.optional(),
  signal: signalSpec,
  calibration: calibrationMethod,
  labels: z.int().min(0),
  right: z.int().min(0),
  createdAt: z.iso.datetime(),
  measured: z.strictObject({ ece: z.number(), brier: z.number(), auroc: z.number().nullable() }),
});

export type CalibrationArtefact = z.output<typeof calibrationArtefact>;

/** What a calibration is to be used for. */
export type CalibrationUse = {
  readonly cascade: string;
  /** From 1. */
  readonly stage: number;
  readonly ask: CalibrationArtefact['ask'];
  /** The value that it is to be used for, as the configuration names it; absent: the whole answer. */
  readonly field?: string | undefined;
  readonly model: string;
  /** The stage's model server as it is configured now, as `serverDigest` names it. */
  readonly server: string;
  readonly signal: SignalSpec;
};

/**
 * Reads a calibration for a use; every problem is told: a file that is none, or one that was made for something else. A
 * valid one has warnings where nobody can say whether it still holds.
 */
export function readCalibration(
  text: string,
  use: CalibrationUse,
):
  | { readonly kind: 'valid'; readonly artefact: CalibrationArtefact; readonly warnings: readonly string[] }
  | { readonly kind: 'invalid'; readonly problems: readonly string[] } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { kind: 'invalid', problems: [`expected JSON: ${(error as Error).message}`] };
  }
  if (isJsonObject(value) && value['kind'] === 'spillway.calibration' && value['v'] === 1) {
    return { kind: 'invalid', problems: ['made by an older Spillway: calibrate again'] };
  }
  const read = calibrationArtefact.safeParse(value);
  if (!read.success) {
    return {
      kind: 'invalid',
      problems: read.error.issues.map(({ path, message }) => `${path.join('.') || '(top level)'}: ${message}`),
    };
  }
  const { cascade, stage, ask, field, model, signal, calibration, made_with: made } = read.data;
  const problems = [
    ...(cascade === use.cascade ? [] : [`made for the cascade ${cascade}, not for ${use.cascade}`]),
    ...(stage === use.stage ? [] : [`made for the stage ${stage}, not for ${use.stage}`]),
    ...(ask === use.ask ? [] : [`made for drafts by ask: ${ask}, not by ${use.ask}`]),
    ...(field === use.field ? [] : [`made for ${answerPart(field)}, not for ${answerPart(use.field)}`]),
    ...(model === use.model ? [] : [`made for the drafter ${model}, not for ${use.model}`]),
    ...(sameSignal(signal, use.signal)
      ? []
      : [`made for the signal ${JSON.stringify(signal)}, not for ${JSON.stringify(use.signal)}`]),
    ...((signal.name === 'head') === (calibration.method === 'head')
      ? []
      : ['the signal head and the method head go together']),
  ];
  if (problems.length > 0) return { kind: 'invalid', problems };
  const warnings =
    made === undefined || made.server === use.server
      ? []
      : [
          `made with the model server ${made.server}, and ${use.server} is configured now, which may give other ` +
            'log-probs: calibrate again',
        ];
  return { kind: 'valid', artefact: read.data, warnings };
}

const answerPart = (field: string | undefined): string =>
  field === undefined ? 'whole answers' : `the value ${field === '' ? '""' : field}`;
