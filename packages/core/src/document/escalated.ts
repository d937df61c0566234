import { ACCEPT_NOTHING, judgingStages, withThresholds } from '../cascade/thresholds.ts';
import type { CascadeRules } from '../cascade/rules.ts';
import { readingJson } from '../text/json-read.ts';
import type { Sliced } from '../text/slices.ts';
import { holds, type Condition } from '../where/expression.ts';
import { resultFields } from '../where/fields.ts';
import { LINE_LIMITS, type ResultLine } from './result-line.ts';

/** Rules by which no draft is final. */
export const acceptingNothing = (rules: CascadeRules): CascadeRules =>
  withThresholds(
    rules,
    judgingStages(rules).map(() => ACCEPT_NOTHING),
    'kept',
  );

/**
 * The rules by which a document is decided anew: where its result is one that somebody wants to escalate, by such that no
 * draft is final. Null for `escalate`: nobody wants that of any.
 */
export function* rulesAnew(rules: CascadeRules, escalate: Condition | null, line: string | null): Sliced<CascadeRules> {
  if (escalate === null || line === null) return rules;
  const read = yield* readingJson(line, LINE_LIMITS);
  if (read.kind !== 'json') return rules;
  const fields = resultFields(read.value as unknown as ResultLine);
  return holds(escalate, fields) ? acceptingNothing(rules) : rules;
}
