import { calibrated } from '../../calibration/method.ts';
import { hasFields } from '../../confidence/fields.ts';
import type { FieldScore } from '../../confidence/index.ts';
import { LIMITS } from '../../limits.ts';
import { readingJson } from '../../text/json-read.ts';
import type { Sliced } from '../../text/slices.ts';
import type { FieldRule, FieldRules, JudgeRule } from '../rules.ts';
import { MAX_PATH_CHARACTERS, pointerTokens, tokensOf } from './pointer.ts';

/** A value of a JSON answer as it was judged. */
export type JudgedField = {
  readonly path: string;
  readonly score: number;
  /** Null: its signal says nothing without a calibration. */
  readonly confidence: number | null;
  readonly isSure: boolean;
};

export type JudgedFields = {
  /** All of them, in the order of the answer. */
  readonly fields: readonly JudgedField[];
  /** Every value is sure. */
  readonly isFinal: boolean;
};

/**
 * Judges each value of an answer by its own rule. Without rules of fields this accepts what the stage's rule accepts of
 * the whole, as that has its least sure value's score and no calibration falls where a score rises.
 */
export function judgeFields(scores: readonly FieldScore[], rule: JudgeRule): JudgedFields {
  const known = ruleTree(rule.fields ?? {});
  const fields = scores.map((one) => judgeField(one, rule, known));
  return { fields, isFinal: fields.length > 0 && fields.every((field) => field.isSure) };
}

function judgeField({ path, score }: FieldScore, stage: JudgeRule, known: RuleTree): JudgedField {
  const own = ruleFor(known, path);
  // Cutting a name of a megabyte for each of a thousand values takes long, and no schema has such: it is not sure.
  if (own === 'unknown') return { path, score, confidence: null, isSure: false };
  const { signal, calibration } = stage.confidence;
  const confidence = calibrated({ signal, calibration: own?.calibration ?? calibration }, score);
  return { path, score, confidence, isSure: isSure(confidence, own?.acceptAt ?? stage.acceptAt) };
}

/** The least sure values of an answer first: those that are not sure by their own rules, then by their scores. */
export const byDoubt = (fields: readonly JudgedField[]): JudgedField[] =>
  fields.toSorted((left, right) => Number(left.isSure) - Number(right.isSure) || left.score - right.score);

/** How sure some values of an answer are, as a result line shows them, which cuts what they are called. */
export function shownConfidences(scores: readonly FieldScore[], rule: JudgeRule): Record<string, number> {
  const known = ruleTree(rule.fields ?? {});
  const { signal, calibration } = rule.confidence;
  return Object.fromEntries(
    scores.map(({ path, score }) => {
      const own = pointerTokens(path) === null ? null : judgeField({ path, score }, rule, known).confidence;
      return [path, Math.round((own ?? calibrated({ signal, calibration }, score) ?? 0) * 1e4) / 1e4];
    }),
  );
}

/** Whether a text is a JSON object or array, or too large to tell. */
export function* mayHaveValues(text: string): Sliced<boolean> {
  if (!hasFields(text)) return false;
  return (yield* readingJson(text, { depth: LIMITS.jsonDepth, values: LIMITS.jsonValues })).kind !== 'no_json';
}

/** As `route` decides of a whole: what is no probability accepts nothing, and neither does a threshold that is no number. */
const isSure = (confidence: number | null, acceptAt: number): boolean =>
  confidence !== null && confidence >= acceptAt && confidence <= 1;

/** Rules by what their pointers begin with. */
type RuleTree = { rule: FieldRule | null; readonly inner: Map<string, RuleTree> };

const EVERY_INDEX = '*';

function ruleTree(rules: FieldRules): RuleTree {
  const root: RuleTree = { rule: null, inner: new Map() };
  for (const [pointer, rule] of Object.entries(rules)) {
    let node = root;
    for (const token of tokensOf(pointer)) {
      const next = node.inner.get(token) ?? { rule: null, inner: new Map<string, RuleTree>() };
      node.inner.set(token, next);
      node = next;
    }
    node.rule = rule;
  }
  return root;
}

/** Null: its stage's. */
function ruleFor(root: RuleTree, path: string): FieldRule | null | 'unknown' {
  if (root.inner.size === 0) return root.rule;
  return path.length > MAX_PATH_CHARACTERS ? 'unknown' : longest(root, tokensOf(path), 0).rule;
}

type Match = { readonly rule: FieldRule | null; readonly length: number };

/** The rule of the longest pointer; of two that are as long the one that has an earlier token written out. */
function longest(node: RuleTree, tokens: readonly string[], at: number): Match {
  let found: Match = { rule: node.rule, length: node.rule === null ? -1 : at };
  const token = tokens[at];
  if (token === undefined) return found;
  const exact = node.inner.get(token);
  const every = isIndex(token) ? node.inner.get(EVERY_INDEX) : undefined;
  for (const next of [exact, every]) {
    if (next === undefined) continue;
    const match = longest(next, tokens, at + 1);
    if (match.length > found.length) found = match;
  }
  return found;
}

/** Whether an array may have it (RFC 6901, section 4): a name of digits in an object looks the same. */
const isIndex = (token: string): boolean => /^(?:0|[1-9]\d*)$/.test(token);
