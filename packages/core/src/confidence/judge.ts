import { calibrated, type CalibrationMethod } from '../calibration/method.ts';
import type { Completion } from '../endpoints/completion.ts';
import { ENDPOINTS, type AskedFormat, type EndpointUrl } from '../endpoints/index.ts';
import { LIMITS } from '../limits.ts';
import { readingJson, type ReadJson } from '../text/json-read.ts';
import { isJsonObject, type JsonObject } from '../text/json.ts';
import type { Sliced } from '../text/slices.ts';
import { agreementOf } from './agreement.ts';
import { fieldsOf, hasFields } from './fields.ts';
import { missesSchema } from './json-schema.ts';
import type { EscalationReason } from './reasons.ts';
import { noEvidence, type FieldScore, type NoEvidence, type ScoredDraft } from './score.ts';
import type { DraftView } from './signal.ts';
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
  | NoEvidence;

/** A draft as all signals look at it, but for what a signal has of its own. */
type SeenDraft = Omit<DraftView, 'head'>;

/** What all signals look at, in slices; or the first thing about a draft that forbids to judge it. */
export function* seeDraft(
  evidence: Evidence,
): Sliced<{ readonly kind: 'seen'; readonly draft: SeenDraft } | NoEvidence> {
  const { completion, endpoint, request, assessment = null, samples = null } = evidence;
  const { text, tokens: given, isPartial = false } = completion;
  const reason = unjudgeable(completion, request);
  if (reason !== null) return noEvidence(reason);
  const format = ENDPOINTS[endpoint].format(request);
  const said = text ?? '';
  const isJson = hasFields(said);
  const read = isJson || format !== null ? yield* readingJson(said, JUDGED) : null;
  if (read?.kind === 'beyond') return noEvidence('too_large');
  if (format !== null && missesFormat(read, format)) return noEvidence('invalid_json');
  yield;
  const tokens = given ?? [];
  const fields = isJson && read?.kind === 'json' ? fieldsOf(said, tokens) : null;
  yield;
  const agreement = samples === null ? null : yield* agreementOf(said, samples);
  return { kind: 'seen', draft: { text: said, tokens, fields, isPartial, assessment, agreement } };
}

/** JSON that is looked at value by value. */
const JUDGED = { depth: LIMITS.jsonDepth, values: LIMITS.jsonValues };

/** What a signal says of a draft. */
export function scoreSeen(draft: SeenDraft, { signal, calibration }: ConfidenceRule): ScoredDraft {
  const head = calibration?.method === 'head' ? calibration : null;
  return signalOf(signal).score({ ...draft, head }, signal);
}

/** The raw score of a draft, or why it has none. What cannot be judged is never scored. */
export function* scoreDraft(evidence: Evidence, rule: ConfidenceRule): Sliced<ScoredDraft> {
  const seen = yield* seeDraft(evidence);
  return seen.kind === 'seen' ? scoreSeen(seen.draft, rule) : seen;
}

/** What the values come to of a JSON answer of which only the beginning is there, the last of them as far as it goes. */
export function* scoreBegun({ text, tokens }: Completion, rule: ConfidenceRule): Sliced<readonly FieldScore[] | null> {
  if (text === null || tokens === null || !hasFields(text)) return null;
  const fields = fieldsOf(text, tokens);
  yield;
  const scored = scoreSeen({ text, tokens, fields, isPartial: false, assessment: null, agreement: null }, rule);
  return scored.kind === 'scored' ? scored.fields : null;
}

/** A draft with its confidence, or why it has none. */
export function* judge(evidence: Evidence, rule: ConfidenceRule): Sliced<JudgedDraft> {
  const scored = yield* scoreDraft(evidence, rule);
  if (scored.kind === 'no_evidence') return scored;
  const confidence = calibrated(rule, scored.score);
  return confidence === null ? noEvidence('no_logprobs') : { ...scored, confidence };
}

/** The first thing about an answer that forbids to judge it. */
function unjudgeable(completion: Completion, request: JsonObject): EscalationReason | null {
  const asked = request['n'];
  if (completion.choices !== 1 || (typeof asked === 'number' && asked > 1)) return 'several_choices';
  if (completion.toolCall) return 'tool_call';
  if (completion.refusal !== null) return 'refused';
  if (completion.finishReason === 'content_filter') return 'content_filter';
  if (completion.thought === 'unclosed') return 'unclosed_thought';
  if (!isWhole(completion.finishReason)) return 'truncated';
  if (completion.text === null || completion.text.trim() === '') return 'empty_answer';
  return completion.text.length > LIMITS.judgedCharacters || completion.isTooLarge === true ? 'too_large' : null;
}

/**
 * What servers say of an answer that came to its own end; some say nothing. Whatever else they may say, today or one day,
 * is no sign that all of it is there.
 */
const WHOLE: ReadonlySet<string> = new Set(['stop', 'eos', 'eos_token', 'end_turn', 'stop_sequence']);

const isWhole = (finishReason: string | null): boolean =>
  finishReason === null || WHOLE.has(finishReason.toLowerCase());

/** `json_object` must be an object; `json_schema` is looked at as far as `missesSchema` goes. */
function missesFormat(read: ReadJson | null, format: AskedFormat): boolean {
  if (read?.kind !== 'json') return true;
  return format.type === 'json_object' ? !isJsonObject(read.value) : missesSchema(read.value, format.schema);
}
