import type { Manifest } from '../batch/records.ts';
import { ACCEPT_NOTHING, judgingStages, withThresholds } from '../cascade/thresholds.ts';
import type { CascadeRules } from '../cascade/rules.ts';
import { readingJson } from '../text/json-read.ts';
import type { Sliced } from '../text/slices.ts';
import { holding, type Condition } from '../where/expression.ts';
import { isResultField, resultFields } from '../where/fields.ts';
import { parseWhere } from '../where/parse.ts';
import { LINE_LIMITS, type ResultLine } from './result-line.ts';

/** Rules by which no draft is final. */
export const acceptingNothing = (rules: CascadeRules): CascadeRules =>
  withThresholds(
    rules,
    judgingStages(rules).map(() => ACCEPT_NOTHING),
    'kept',
  );

/** Results that are to be decided otherwise than by thresholds, and all else as before. */
export type Selection = {
  /** Their drafts go on; or their documents are asked about as if nothing were known of them. */
  readonly what: 'escalate' | 'ask_again';
  readonly condition: Condition;
};

/** The selection that a batch was made with which was decided anew; null: none. */
export function selectionOf({ escalate, askAgain }: NonNullable<Manifest['redecided']>): Selection | null {
  const text = escalate ?? askAgain;
  if (text === undefined) return null;
  return { what: escalate === undefined ? 'ask_again' : 'escalate', condition: parseWhere(text, isResultField) };
}

/**
 * The rules by which a document is decided anew: where its result is one that is selected to go on, by such that no draft
 * is final. Null: it is selected to be asked about again.
 */
export function* rulesAnew(
  rules: CascadeRules,
  selection: Selection | null,
  line: string | null,
): Sliced<CascadeRules | null> {
  if (selection === null || line === null) return rules;
  const read = yield* readingJson(line, LINE_LIMITS);
  if (read.kind !== 'json') return rules;
  const result = read.value as unknown as ResultLine;
  if (!(yield* holding(selection.condition, resultFields(result)))) return rules;
  if (selection.what === 'ask_again') return null;
  // An answer of the last stage is not a draft that could go on, also where it has values of one.
  return result.cascade?.role === 'expert' ? rules : acceptingNothing(rules);
}
