import {
  ACCEPT_AT_KEY,
  BUDGET_KEY,
  budgetAim,
  isJsonObject,
  isResultField,
  judgeIn,
  judgesValues,
  judgingStages,
  LIMITS,
  PROMISE_KEY,
  promiseAim,
  stageOf,
  thresholdsOf,
  withThresholds,
  type Aim,
  type CascadeRules,
  type FieldRule,
  type Json,
  type JsonObject,
  type StageRules,
  type Selection,
} from '@spillway/core';
import { z } from 'zod';
import { badRequest, invalidType, missingParameter, shown, unknownKey, type ApiError } from '../errors.ts';
import { conditionOf } from '../condition.ts';
import { completionWindow, text as textOf } from '../schemas/parts.ts';
import { read } from '../schemas/read.ts';

const threshold = z.number().min(0).max(1);
const thresholds = z.array(threshold).min(1);

const fields = z.object({
  accept_at: z
    .union([threshold, thresholds, z.record(z.string(), z.union([threshold, thresholds]))])
    .optional()
    .meta({
      description:
        'From which confidence on a draft is final: a number for every stage that judges, or one for each of them in ' +
        'order; or either by the name of a cascade, where those that are not named keep theirs.',
    }),
  stages: z
    .array(z.strictObject({ accept_at: threshold.nullish() }))
    .min(1)
    .optional()
    .meta({ description: 'The same stage by stage; one without `accept_at` keeps its own.' }),
  promise: promiseAim
    .nullish()
    .meta({ description: 'What is to be promised of the answers: thresholds are found by a sample of the documents.' }),
  budget: budgetAim.nullish().meta({ description: 'The share of the documents that may go to the expert.' }),
  escalate: textOf(LIMITS.conditionCharacters)
    .nullish()
    .meta({
      description:
        'A condition on results, such as `answer ~ "unclear" and role = drafter`: the drafts among them go on to the ' +
        'next stage, and all else stays as it is.',
    }),
  ask_again: textOf(LIMITS.conditionCharacters)
    .nullish()
    .meta({
      description:
        'A condition on results whose documents are asked about from the beginning, as if nothing were known of them; ' +
        'all else stays as it is.',
    }),
  completion_window: completionWindow.nullish(),
});

/** What thresholds a batch is decided anew by. */
export const redecideBody = fields.meta({
  id: 'RedecideBatch',
  description:
    'Exactly one of accept_at, stages, promise, budget, escalate and ask_again is given. The new batch has the completion window of the old one unless ' +
    'another is asked for.',
});

/** The keys that such a body may have. */
export const REDECIDE_KEYS: readonly string[] = Object.keys(fields.shape);

/** Thresholds by cascade, one for each of its stages that judge; null: it keeps its own. */
export type Thresholds = Readonly<Record<string, readonly (number | null)[]>>;

type Cascades = Readonly<Record<string, CascadeRules>>;

const aims = z.object({ promise: promiseAim.nullish(), budget: budgetAim.nullish() });

/** What thresholds are to be found for by a body, for all cascades of its batch; null: it says them itself. */
export function readAim(body: unknown, cascades: Cascades): Aim | null {
  const given = isJsonObject(body) ? body : {};
  const [key, second] = ['promise', 'budget', 'accept_at', 'stages'].filter((one) => (given[one] ?? null) !== null);
  if (key !== 'promise' && key !== 'budget') return null;
  if (second !== undefined) throw badRequest(`Give either '${key}' or '${second}', not both.`, { param: second });
  const { promise, budget } = read(aims, given);
  const unfit = Object.entries(cascades).find(([, rules]) => judgesValues(rules))?.[0];
  if (unfit !== undefined) {
    throw badRequest(`No thresholds can be found for '${unfit}': a stage in its middle is asked for values only.`, {
      param: key,
    });
  }
  if (promise != null) return { kind: 'promise', ...promise };
  return budget == null ? null : { kind: 'budget', ...budget };
}

/** A selection with its condition as it was written. */
type WrittenSelection = Selection & { readonly text: string };

const selecting = fields.pick({ escalate: true, ask_again: true });

const SELECTIONS = ['escalate', 'ask_again'] as const;

/** The condition on results whose drafts are to go on, or that are to be asked about again; null: the body says something else. */
export function readSelection(body: unknown, cascades: Cascades): WrittenSelection | null {
  const given = isJsonObject(body) ? body : {};
  const what = SELECTIONS.find((key) => (given[key] ?? null) !== null);
  if (what === undefined) return null;
  const keys = ['accept_at', 'stages', 'promise', 'budget', ...SELECTIONS];
  const other = keys.find((key) => key !== what && (given[key] ?? null) !== null);
  if (other !== undefined) throw badRequest(`Give either '${what}' or '${other}', not both.`, { param: other });
  const text = read(selecting, given)[what] ?? '';
  if (Object.values(cascades).some(({ aim }) => aim !== undefined)) throw missingParameter('accept_at');
  // What people said of answers stands beside the results.
  const condition = conditionOf(text, what, (field) => field !== 'reviewed' && isResultField(field));
  return { what, text, condition };
}

/** A selection as the batch's manifest has it. */
export const writtenSelection = (selection: WrittenSelection | null): { escalate?: string; askAgain?: string } =>
  selection === null ? {} : { [selection.what === 'escalate' ? 'escalate' : 'askAgain']: selection.text };

/** The rules of cascades whose thresholds are to be found anew. */
export const aimedRules = (cascades: Cascades, aim: Aim): Record<string, CascadeRules> =>
  Object.fromEntries(
    Object.entries(cascades).map(([name, { certificate: _certificate, expertOnly: _expertOnly, ...rules }]) => [
      name,
      { ...rules, shadow: false, aim },
    ]),
  );

/** What is to be found, as a batch's metadata say it. */
export function aimLabel(aim: Aim): Record<string, string> {
  const { kind, ...terms } = aim;
  const text = Object.entries(terms)
    .map(([name, value]) => `${name}=${typeof value === 'number' ? writtenNumber(value) : value}`)
    .join(',');
  return { [kind === 'budget' ? BUDGET_KEY : PROMISE_KEY]: text };
}

/** Reads which thresholds a body asks for, of the cascades that a batch's documents name; refuses what makes none. */
export function readThresholds(body: unknown, cascades: Cascades): Thresholds {
  const given = body ?? {};
  if (!isJsonObject(given)) throw badRequest('The body must be a JSON object.', { code: 'invalid_type' });
  const { accept_at: acceptAt = null, stages = null } = given;
  if (acceptAt !== null && stages !== null) {
    throw badRequest("Give either 'accept_at' or 'stages', not both.", { param: 'stages' });
  }
  if (acceptAt === null && stages === null) throw missingParameter('accept_at');
  const isByCascade = isJsonObject(acceptAt);
  if (isByCascade) refuseUnknown(acceptAt, cascades);
  const own = Object.entries(cascades).map(([name, rules]): [string, readonly (number | null)[]] => {
    const naming = { name, judging: judgingStages(rules).length };
    if (stages !== null) return [name, readStages(stages, naming)];
    if (!isByCascade) return [name, readList(acceptAt, 'accept_at', naming)];
    const asked = acceptAt[name] ?? null;
    const keeps = Array.from({ length: naming.judging }, () => null);
    return [name, asked === null ? keeps : readList(asked, `accept_at.${name}`, naming)];
  });
  for (const [name, asked] of own) {
    // Its batch ended before they were found.
    if (cascades[name]?.aim !== undefined && asked.includes(null)) throw missingParameter(`accept_at.${name}`);
  }
  return Object.fromEntries(own);
}

function refuseUnknown(given: JsonObject, cascades: Cascades): void {
  const known = Object.keys(cascades);
  const key = Object.keys(given).find((name) => !known.includes(name));
  if (key !== undefined) throw unknownKey('accept_at', { key, meant: null, known });
}

/** Of which cascade thresholds are, and how many of its stages judge. */
type Naming = { readonly name: string; readonly judging: number };

function readList(given: Json, param: string, { name, judging }: Naming): readonly number[] {
  if (!Array.isArray(given)) {
    const only = readThreshold(given, param);
    return Array.from({ length: judging }, () => only);
  }
  const list: readonly Json[] = given;
  if (list.length !== judging) throw wrongLength(param, { name, judging }, list.length);
  return list.map((one, at) => readThreshold(one, `${param}.${at}`));
}

function readStages(given: Json, { name, judging }: Naming): readonly (number | null)[] {
  if (!Array.isArray(given)) throw invalidType('stages', 'an array', given);
  const list: readonly Json[] = given;
  if (list.length !== judging) throw wrongLength('stages', { name, judging }, list.length);
  return list.map((one, at) => {
    const param = `stages.${at}`;
    if (!isJsonObject(one)) throw invalidType(param, 'an object', one);
    const { accept_at: asked = null, ...others } = one;
    const [key] = Object.keys(others);
    if (key !== undefined) throw unknownKey(param, { key, meant: null, known: ['accept_at'] });
    return asked === null ? null : readThreshold(asked, `${param}.accept_at`);
  });
}

function readThreshold(given: Json, param: string): number {
  if (typeof given !== 'number') throw invalidType(shown(param), 'a number from 0 to 1', given);
  if (given >= 0 && given <= 1) return given;
  const message = `Invalid '${shown(param)}': expected a number from 0 to 1, but got ${given} instead.`;
  throw badRequest(message, { param: shown(param), code: 'invalid_value' });
}

function wrongLength(param: string, { name, judging }: Naming, got: number): ApiError {
  const expected = `expected ${judging}, one for each stage of '${shown(name)}' that judges`;
  return badRequest(`Invalid '${shown(param)}': ${expected}, but got ${got} instead.`, {
    param: shown(param),
    code: 'invalid_value',
  });
}

/**
 * The rules of cascades with these thresholds. They stand as they are: nothing is to be found for them, and every document
 * is decided by them, also where all stages were run before. Nothing is promised by them: sampled documents, which a
 * certificate takes to have the expert's answers, are decided as all others are.
 */
export function redecidedRules(cascades: Cascades, asked: Thresholds): Record<string, CascadeRules> {
  return Object.fromEntries(Object.entries(cascades).map(([name, rules]) => [name, rulesBy(rules, asked[name] ?? [])]));
}

function rulesBy(rules: CascadeRules, asked: readonly (number | null)[]): CascadeRules {
  const { aim: _aim, certificate: _certificate, ...fixed } = rules;
  if (asked.every((one) => one === null)) return { ...fixed, shadow: false };
  const { expertOnly: _expertOnly, ...own } = fixed;
  const changed = withThresholds(own, asked, 'kept');
  const stages = changed.stages.map((stage, at) => withOwnValues(stage, stageOf(own, at)));
  return { ...own, stages, shadow: false };
}

/**
 * A value that was judged as its stage is so from then on, too, as all are where thresholds were found by a sample; one
 * that has a threshold or a calibration of its own keeps them.
 */
function withOwnValues(stage: StageRules, { judge: before }: StageRules): StageRules {
  const { judge } = stage;
  if (judge?.fields === undefined || before === null) return stage;
  const ruleOf = (rule: FieldRule): FieldRule =>
    rule.calibration === undefined && rule.acceptAt === before.acceptAt ? { acceptAt: judge.acceptAt } : rule;
  const values = Object.entries(judge.fields).map(([path, rule]): [string, FieldRule] => [path, ruleOf(rule)]);
  return { ...stage, judge: { ...judge, fields: Object.fromEntries(values) } };
}

/** The same text for the same thresholds, however they were asked for. */
export function writtenThresholds(cascades: Cascades): string {
  const all = Object.entries(cascades).toSorted(([left], [right]) => (left < right ? -1 : 1));
  return JSON.stringify(
    all.map(([name, rules]) => [
      name,
      judgingStages(rules).map((stage) => {
        const { acceptAt, fields: own = {} } = judgeIn(stageOf(rules, stage)) ?? {};
        return [acceptAt, Object.entries(own).map(([path, rule]) => [path, rule.acceptAt])];
      }),
    ]),
  );
}

/** The thresholds as a batch's metadata says them, so that a retry of it has them, too, changed or not. */
export function thresholdLabel(cascades: Cascades): Record<string, string> {
  const parts = Object.entries(cascades).flatMap(([name, rules]) => {
    const own = thresholdsOf(rules);
    // That no draft is final cannot be said there.
    if (own.some((one) => one > 1)) return [];
    const list = own.map(writtenNumber).join(',');
    return [Object.keys(cascades).length === 1 ? list : `${name}: ${list}`];
  });
  const text = parts.join('; ');
  const fits = text !== '' && text.length <= LIMITS.metadataValueCharacters;
  return fits ? { [ACCEPT_AT_KEY]: text } : {};
}

/** With as many digits as are read again. */
const writtenNumber = (value: number): string => {
  const text = String(value);
  return /^\d(?:\.\d{1,17})?$/.test(text) ? text : value.toFixed(17);
};
