import { calibrated } from '../calibration/method.ts';
import { valuedDraft } from '../cascade/draft-use.ts';
import { judgeFields, mayHaveValues, type JudgedFields } from '../cascade/fields/index.ts';
import { route } from '../cascade/route.ts';
import { asksForFields, stageOf, type CascadeRules, type JudgeRule } from '../cascade/rules.ts';
import { isConfirmed } from '../cascade/verdict.ts';
import { valuePaths } from '../confidence/index.ts';
import { ENDPOINTS, type EndpointUrl } from '../endpoints/index.ts';
import type { JsonObject } from '../text/json.ts';
import type { Sliced } from '../text/slices.ts';
import type { Draft, StoppedDraft } from './job.ts';
import type { KeptDocument, KeptJudgement, KeptStage } from './kept.ts';

/** A document whose thresholds are others now, and what its stages said before. */
export type Redecision = {
  readonly kept: KeptDocument;
  readonly rules: CascadeRules;
  readonly endpoint: EndpointUrl;
  /** The request as the client sent it. */
  readonly body: JsonObject;
};

/** What becomes of it. */
export type Redecided =
  /** Its answer is known: behind these drafts that of the next stage is final, or by that one's verdict one of them. */
  | {
      readonly kind: 'settled';
      readonly drafts: readonly Draft[];
      readonly by: 'draft' | 'answer' | 'verdict';
      /** Of that draft; absent: its values have no rules of their own. */
      readonly areValuesSure?: boolean | undefined;
    }
  /** The stage behind these drafts is to be asked. */
  | {
      readonly kind: 'asked';
      readonly drafts: readonly Draft[];
      /** It has drafted before, and of that nobody can say whether it would be final now. */
      readonly isDraftedAgain: boolean;
    };

/**
 * Decides a document anew by what its stages said before, as workers would that got the same answers. What is not known
 * is to be asked, and nothing else.
 */
export function* redecide({ kept, rules, endpoint, body }: Redecision): Sliced<Redecided> {
  const drafts: Draft[] = [];
  const asked = (isDraftedAgain = false): Redecided => ({ kind: 'asked', drafts, isDraftedAgain });
  for (const [stage, { judge }] of rules.stages.entries()) {
    const own = kept.stages[stage];
    if (own === undefined || !haveAskedEnough(own, { drafts, stage, endpoint, body })) return asked();
    if (judge === null) {
      const by = lastWord(own, { rules, stage, drafts });
      return by === null ? asked() : { kind: 'settled', drafts, by };
    }
    const judged = own.judgement;
    if (judged === null) return asked();
    // Its values were judged by the rules of two stages, and which is whose is not kept.
    if (own.how?.kind === 'fields') return asked(true);
    if (judged.stopped !== undefined && !isBelow(judged.stopped, judge)) return asked(true);
    const text = own.answer === null ? null : ENDPOINTS[endpoint].text(own.answer.body, body);
    const values = judged.stopped === undefined ? judgedValues(judged, text, judge) : null;
    const areSure = judge.fields === undefined ? null : (values?.isFinal ?? (yield* haveNoScores(text)));
    const reason = escalationReason(judged, { acceptAt: judge.acceptAt, shadow: rules.shadow, areSure });
    const sure = areSure === null ? {} : { areValuesSure: areSure };
    if (reason === null && own.answer !== null) return { kind: 'settled', drafts, by: 'draft', ...sure };
    const each = asksForFields(rules, stage) && values !== null ? { sureValues: sureValuesOf(values) } : {};
    drafts.push({ ...keptDraft(own, judged), reason: reason ?? 'low_confidence', ...sure, ...each });
    yield;
  }
  return asked();
}

type Deciding = Pick<Redecision, 'rules'> & { readonly stage: number; readonly drafts: readonly Draft[] };

/** How the last stage decides; null: it has not answered, or its verdict is not enough any more. */
function lastWord({ how, answer }: KeptStage, { rules, stage, drafts }: Deciding): 'answer' | 'verdict' | null {
  const { verdict: rule } = stageOf(rules, stage);
  const isFinal = how?.kind === 'verdict' && rule !== undefined && isConfirmed(how, rule, rules);
  if (isFinal && (drafts[how.stage]?.answer ?? null) !== null) return 'verdict';
  return answer === null ? null : 'answer';
}

/**
 * Whether a stage that asks for unsure values was asked for all that are unsure now. What it was asked for beside them is
 * known all the better.
 */
function haveAskedEnough({ how }: KeptStage, document: Parameters<typeof valuedDraft>[0]): boolean {
  if (how?.kind !== 'fields') return true;
  const valued = valuedDraft(document);
  const paths = valued === null ? null : valuePaths(valued.text);
  if (valued === null || paths === null || paths.length !== valued.sureValues.length) return false;
  const isAsked = (path: string): boolean => how.asked.some((one) => path === one || path.startsWith(`${one}/`));
  return paths.every((path, at) => valued.sureValues[at] === '1' || isAsked(path));
}

/**
 * Whether a draft that was stopped is below the threshold. It was below the one that it was stopped for, and else its best
 * possible score says so; one that could not have been judged never is final.
 */
function isBelow({ scoreAtMost, acceptAt = Number.POSITIVE_INFINITY }: StoppedDraft, rule: JudgeRule): boolean {
  if (scoreAtMost === null || acceptAt <= rule.acceptAt) return true;
  const confidence = calibrated(rule.confidence, scoreAtMost);
  return confidence === null || confidence < rule.acceptAt;
}

/** The values of a JSON draft, each by its own rule; null: they were not judged one by one. */
function judgedValues({ valueScores }: KeptJudgement, text: string | null, rule: JudgeRule): JudgedFields | null {
  if (valueScores === undefined || text === null) return null;
  const paths = valuePaths(text);
  if (paths === null || paths.length !== valueScores.length) return null;
  return judgeFields(
    valueScores.map((score, at) => ({ path: paths[at] ?? '', score })),
    rule,
  );
}

/** Of JSON without scores nobody can say that all values are sure; what has no values need not have them sure. */
function* haveNoScores(text: string | null): Sliced<false | null> {
  return text !== null && (yield* mayHaveValues(text)) ? false : null;
}

const sureValuesOf = ({ fields }: JudgedFields): string => fields.map(({ isSure }) => (isSure ? '1' : '0')).join('');

/** Why a draft is not final; null: it is. What could not be judged then cannot be now. */
function escalationReason(
  { score, confidence, fields, reason, stopped }: KeptJudgement,
  options: Parameters<typeof route>[1],
): Draft['reason'] | null {
  if (stopped !== undefined || score === null || confidence === null) return reason ?? 'low_confidence';
  const decision = route({ kind: 'scored', score, confidence, fields }, options);
  return decision.kind === 'accept' ? null : decision.reason;
}

/** A draft as it is known from the batch in which it was made. */
export function keptDraft(
  { model, ask, answer, usage, how }: KeptStage,
  { score, confidence, fields, valueScores, stopped }: KeptJudgement,
): Omit<Draft, 'reason'> {
  const judged = { score, confidence, fields, valueScores, stopped };
  // What an answer took stands with it.
  const spent = answer === null ? { spent: usage } : {};
  return {
    model,
    ask,
    answer,
    how,
    ...judged,
    ...spent,
    attempts: [],
    evidence: null,
    handedOffAtMs: null,
    kept: true,
  };
}
