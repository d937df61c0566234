import type { Completion, TokenLogprob } from '../completion.ts';
import { calibrated, headLogit, type CalibrationMethod } from '../calibration/method.ts';
import { ENDPOINTS, type AskedFormat, type EndpointUrl } from '../endpoints/index.ts';
import { deeperThan, isJsonObject, parseJson, type JsonObject } from '../json.ts';
import { missesSchema } from '../json-schema.ts';
import { LIMITS } from '../limits.ts';
import type { JudgedDraft } from '../route.ts';
import { agreementOf } from './agreement.ts';
import { assessedProbability } from './assessment.ts';
import { featuresOf } from './features.ts';
import { fieldsOf } from './fields.ts';
import { labelProbability, plainText } from './label.ts';
import type { EscalationReason } from './reasons.ts';
import { tokenScore } from './signals.ts';
import type { SignalSpec } from './spec.ts';

/** What a draft is judged by. */
export type Evidence = {
  readonly completion: Completion;
  readonly endpoint: EndpointUrl;
  /** The request as the client sent it. */
  readonly request: JsonObject;
  /** What the drafter said when it was asked whether its draft is right; null: nothing readable. */
  readonly assessment?: Completion | null;
  /** Further answers to the same request; null: they could not be had. */
  readonly samples?: readonly Completion[] | null;
};

/** How a draft is judged. */
export type ConfidenceRule = { readonly signal: SignalSpec; readonly calibration: CalibrationMethod | null };

export type FieldScore = { readonly path: string; readonly score: number };

export type ScoredDraft =
  | { readonly kind: 'scored'; readonly score: number; readonly fields: readonly FieldScore[] | null }
  | { readonly kind: 'no_evidence'; readonly reason: EscalationReason };

const none = (reason: EscalationReason): ScoredDraft => ({ kind: 'no_evidence', reason });
const whole = (score: number): ScoredDraft =>
  Number.isFinite(score) ? { kind: 'scored', score, fields: null } : none('no_logprobs');

/** The raw score of a draft, or why it has none. What cannot be judged is never scored. */
export function scoreDraft(evidence: Evidence, { signal, calibration }: ConfidenceRule): ScoredDraft {
  const { completion, endpoint, request } = evidence;
  const reason = unjudgeable(completion, request, ENDPOINTS[endpoint].format(request));
  if (reason !== null) return none(reason);
  const text = completion.text ?? '';
  if (signal.name === 'self_assessment') {
    const probability = evidence.assessment == null ? null : assessedProbability(evidence.assessment);
    return probability === null ? none('no_assessment') : whole(probability);
  }
  if (signal.name === 'agreement') {
    return evidence.samples == null ? none('no_samples') : whole(agreementOf(text, evidence.samples));
  }
  const tokens = completion.tokens ?? [];
  if (tokens.length === 0) return none('no_logprobs');
  if (tokens.every((one) => one.logprob === 0)) return none('zero_logprobs');
  if (signal.name === 'label') return labelScore(text, tokens, signal.answers);
  if (signal.name === 'head') {
    return calibration?.method === 'head'
      ? whole(headLogit(calibration, headFeatures(text, tokens)))
      : none('no_logprobs');
  }
  return valueScore(signal, text, tokens);
}

/** The signals over tokens that are told of where both tiers run, so that any of them can be calibrated. */
export const TOLD_SIGNALS: readonly SignalSpec[] = [
  { name: 'sum_logprob' },
  { name: 'mean_logprob' },
  { name: 'min_logprob' },
  { name: 'quantile_logprob', alpha: 0.1 },
  { name: 'margin', over: 'min' },
  { name: 'margin', over: 'mean' },
  { name: 'entropy' },
];

/** What every signal says of a draft: scores by the signal as JSON, null where it has no evidence, and the head's view. */
export type DraftEvidence = {
  readonly scores: Readonly<Record<string, number | null>>;
  readonly features: readonly number[] | null;
};

/** As many digits as a score can need. */
const shortened = (value: number): number => Number(value.toPrecision(8));

export function evidenceOf(evidence: Evidence): DraftEvidence {
  const score = (signal: SignalSpec): number | null => {
    const scored = scoreDraft(evidence, { signal, calibration: null });
    return scored.kind === 'scored' ? shortened(scored.score) : null;
  };
  const scores = Object.fromEntries(TOLD_SIGNALS.map((signal) => [JSON.stringify(signal), score(signal)]));
  const { text, tokens } = evidence.completion;
  const isJudgeable = score({ name: 'sum_logprob' }) !== null && text !== null && tokens !== null;
  return { scores, features: isJudgeable ? headFeatures(text, tokens).map(shortened) : null };
}

/** Results name this many fields: the least sure ones are those that somebody may want to look at. */
const FIELDS_SHOWN = 16;

/** The least sure values of an answer, least sure first. */
export function leastSure(fields: readonly FieldScore[] | null): FieldScore[] | null {
  if (fields === null) return null;
  const sorted = fields.toSorted((left, right) => left.score - right.score).slice(0, FIELDS_SHOWN);
  return sorted.map(({ path, score }) => ({ path, score: Number(score.toPrecision(6)) }));
}

/** The score over the tokens of an answer, or of a JSON answer's values: then it is its weakest field's. */
function valueScore(signal: SignalSpec, text: string, tokens: readonly TokenLogprob[]): ScoredDraft {
  const fields = fieldsOf(text, tokens) ?? [{ path: null, tokens }];
  const scores: FieldScore[] = [];
  for (const { path, tokens: own } of fields) {
    const scored = tokenScore(signal, own);
    if (scored.kind === 'none') return none(scored.reason);
    if (!Number.isFinite(scored.score)) return none('no_logprobs');
    scores.push({ path: path ?? '', score: scored.score });
  }
  const score = scores.reduce((least, one) => Math.min(least, one.score), Number.POSITIVE_INFINITY);
  return { kind: 'scored', score, fields: fields[0]?.path === null ? null : scores };
}

/** What the head looks at in a draft; at least one token. */
export function headFeatures(text: string, tokens: readonly TokenLogprob[]): number[] {
  const fields = fieldsOf(text, tokens);
  if (fields === null)
    return featuresOf(
      tokens,
      tokens.reduce((sum, one) => sum + one.logprob, 0),
    );
  // A token that two values share counts once.
  const values = new Set(fields.flatMap((field) => field.tokens));
  const least = Math.min(...fields.map((field) => field.tokens.reduce((sum, one) => sum + one.logprob, 0)));
  return featuresOf([...values], least);
}

function labelScore(text: string, tokens: readonly TokenLogprob[], answers: readonly string[]): ScoredDraft {
  const probability = labelProbability(text, tokens, answers);
  if (probability !== null) return whole(probability);
  const isLabel = answers.map(plainText).includes(plainText(text));
  return none(isLabel && tokens.some(({ top }) => top.length === 0) ? 'no_alternatives' : 'no_label');
}

/** A draft with its confidence, or why it has none. */
export function judge(evidence: Evidence, rule: ConfidenceRule): JudgedDraft {
  const scored = scoreDraft(evidence, rule);
  if (scored.kind === 'no_evidence') return scored;
  const confidence = calibrated(rule, scored.score);
  if (confidence === null) return none('no_logprobs') as JudgedDraft;
  return { ...scored, confidence };
}

/** The first thing about an answer that forbids to judge it. */
function unjudgeable(completion: Completion, request: JsonObject, format: AskedFormat | null): EscalationReason | null {
  const asked = request['n'];
  if (completion.choices !== 1 || (typeof asked === 'number' && asked > 1)) return 'several_choices';
  if (completion.toolCall) return 'tool_call';
  if (completion.refusal !== null) return 'refused';
  if (completion.finishReason === 'content_filter') return 'content_filter';
  if (completion.finishReason === 'length' || completion.finishReason === 'max_tokens') return 'truncated';
  if (completion.text === null || completion.text.trim() === '') return 'empty_answer';
  return format !== null && missesFormat(completion.text, format) ? 'invalid_json' : null;
}

/** `json_object` must be an object; `json_schema` is looked at as far as `missesSchema` goes. */
function missesFormat(text: string, format: AskedFormat): boolean {
  const value = parseJson(text);
  if (value === undefined || deeperThan(value, LIMITS.jsonDepth)) return true;
  return format.type === 'json_object' ? !isJsonObject(value) : missesSchema(value, format.schema);
}
