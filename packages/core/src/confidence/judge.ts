import { calibrated, type CalibrationMethod } from '../calibration/method.ts';
import type { Completion } from '../endpoints/completion.ts';
import { ENDPOINTS, type AskedFormat, type EndpointUrl } from '../endpoints/index.ts';
import { LIMITS } from '../limits.ts';
import { deeperThan, isJsonObject, parseJson, type JsonObject } from '../text/json.ts';
import { missesSchema } from './json-schema.ts';
import type { EscalationReason } from './reasons.ts';
import { noEvidence, type FieldScore, type ScoredDraft } from './score.ts';
import { signalOf, type SignalSpec } from './spec.ts';

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

/** A draft with its score and the confidence that the score stands for, or the reason why it has none. */
export type JudgedDraft =
  | {
      readonly kind: 'scored';
      readonly score: number;
      readonly confidence: number;
      /** Of a JSON answer, each value's own score. */
      readonly fields: readonly FieldScore[] | null;
    }
  | { readonly kind: 'no_evidence'; readonly reason: EscalationReason };

/** The raw score of a draft, or why it has none. What cannot be judged is never scored. */
export function scoreDraft(evidence: Evidence, { signal, calibration }: ConfidenceRule): ScoredDraft {
  const { completion, endpoint, request, assessment = null, samples = null } = evidence;
  const reason = unjudgeable(completion, request, ENDPOINTS[endpoint].format(request));
  if (reason !== null) return noEvidence(reason);
  const head = calibration?.method === 'head' ? calibration : null;
  const { text, tokens, isPartial = false } = completion;
  const view = { text: text ?? '', tokens: tokens ?? [], isPartial, assessment, samples, head };
  return signalOf(signal).score(view, signal);
}

/** A draft with its confidence, or why it has none. */
export function judge(evidence: Evidence, rule: ConfidenceRule): JudgedDraft {
  const scored = scoreDraft(evidence, rule);
  if (scored.kind === 'no_evidence') return scored;
  const confidence = calibrated(rule, scored.score);
  return confidence === null ? noEvidence('no_logprobs') : { ...scored, confidence };
}

/** The first thing about an answer that forbids to judge it. */
function unjudgeable(completion: Completion, request: JsonObject, format: AskedFormat | null): EscalationReason | null {
  const asked = request['n'];
  if (completion.choices !== 1 || (typeof asked === 'number' && asked > 1)) return 'several_choices';
  if (completion.toolCall) return 'tool_call';
  if (completion.refusal !== null) return 'refused';
  if (completion.finishReason === 'content_filter') return 'content_filter';
  if (completion.thought === 'unclosed') return 'unclosed_thought';
  if (!isWhole(completion.finishReason)) return 'truncated';
  if (completion.text === null || completion.text.trim() === '') return 'empty_answer';
  return format !== null && missesFormat(completion.text, format) ? 'invalid_json' : null;
}

/**
 * What servers say of an answer that came to its own end; some say nothing. Whatever else they may say, today or one day,
 * is no sign that all of it is there.
 */
const WHOLE: ReadonlySet<string> = new Set(['stop', 'eos', 'eos_token', 'end_turn', 'stop_sequence']);

const isWhole = (finishReason: string | null): boolean =>
  finishReason === null || WHOLE.has(finishReason.toLowerCase());

/** `json_object` must be an object; `json_schema` is looked at as far as `missesSchema` goes. */
function missesFormat(text: string, format: AskedFormat): boolean {
  const value = parseJson(text);
  if (value === undefined || deeperThan(value, LIMITS.jsonDepth)) return true;
  return format.type === 'json_object' ? !isJsonObject(value) : missesSchema(value, format.schema);
}
