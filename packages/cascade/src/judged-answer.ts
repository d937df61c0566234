import {
  asksForFields,
  calibrated,
  evidenceOf,
  judge,
  judgeFields,
  mayHaveValues,
  route,
  type CascadeDocument,
  type Decision,
  type DraftEvidence,
  type JudgedDraft,
  type JudgedFields,
  type JudgeRule,
} from '@spillway/core';
import { runSliced } from '@spillway/runtime';
import type { MergedValues } from './asked.ts';
import type { Gathered } from './evidence.ts';

/** What is decided of a stage's answer, and what of it is worth writing down. */
export type JudgedAnswer = {
  readonly decision: Decision;
  /** Its values as the stage judged them; null: nobody asks for that, or there are none. */
  readonly values: JudgedFields | null;
  /** Whether each value is sure by its own rule; null: they have none. */
  readonly areSure: boolean | null;
  /** Of all its values, as a draft has them for a stage that asks for the unsure ones; null: none does. */
  readonly sureValues: string | null;
  /** Of a shadow run; else null. */
  readonly evidence: DraftEvidence | null;
};

/** Judges an answer by what was gathered of it. */
export async function judgeAnswer(
  document: CascadeDocument,
  { evidence }: Gathered,
  rule: JudgeRule,
): Promise<JudgedAnswer> {
  const { shadow } = document.rules;
  const isSampled = document.rules.sample !== undefined;
  const judged = await runSliced(judge(evidence, rule.confidence));
  const values = judgedValues(document, judged, rule);
  const isRuled = rule.fields !== undefined;
  const areSure = isRuled ? await areValuesSure(values, evidence.completion.text) : null;
  return {
    decision: route(judged, { acceptAt: rule.acceptAt, shadow, isSampled, areSure }),
    values,
    areSure,
    sureValues:
      values === null
        ? null
        : sureValuesFor(
            document,
            values.fields.map(({ isSure }) => isSure),
          ),
    evidence: shadow && !isSampled ? await runSliced(evidenceOf(evidence)) : null,
  };
}

/**
 * Judges an answer that was put together of a draft and values that the stage was asked for: it is final when each is
 * sure by the rules of the stage that it came from. Its score is that of the least sure value that was asked for.
 */
export function judgeMerged(
  document: CascadeDocument,
  { answered, areSure: all }: MergedValues,
  { confidence: by, acceptAt }: JudgeRule,
): JudgedAnswer {
  const { shadow } = document.rules;
  const isSampled = document.rules.sample !== undefined;
  const score = answered.reduce((least, one) => Math.min(least, one.score), Number.POSITIVE_INFINITY);
  const confidence = calibrated(by, score) ?? 0;
  const fields = answered.map(({ path, score: own }) => ({ path, score: own }));
  const areSure = all.every(Boolean);
  return {
    decision: route({ kind: 'scored', score, confidence, fields }, { acceptAt, shadow, isSampled, areSure }),
    values: { fields: answered, isFinal: areSure },
    areSure,
    sureValues: sureValuesFor(document, all),
    // Other signals would need the calls' own answers, which are no drafts.
    evidence: shadow && !isSampled ? { scores: {}, features: null } : null,
  };
}

/** The values of a JSON draft, each by its own rule; null: nobody asks for them, or there are none. */
function judgedValues({ job, rules }: CascadeDocument, judged: JudgedDraft, rule: JudgeRule): JudgedFields | null {
  const isAsked = rule.fields !== undefined || asksForFields(rules, job.stage);
  if (!isAsked || judged.kind !== 'scored' || judged.fields === null) return null;
  return judgeFields(judged.fields, rule);
}

/** Whether no threshold of a value forbids a draft; null: it has no values. Of JSON without scores nobody can say it. */
async function areValuesSure(values: JudgedFields | null, text: string | null): Promise<boolean | null> {
  if (values !== null) return values.isFinal;
  return (await runSliced(mayHaveValues(text ?? ''))) ? false : null;
}

const sureValuesFor = ({ job, rules }: CascadeDocument, areSure: readonly boolean[]): string | null =>
  asksForFields(rules, job.stage) ? areSure.map((isSure) => (isSure ? '1' : '0')).join('') : null;
