import type { Completion, TokenLogprob } from './completion.ts';
import { ENDPOINTS, type AskedFormat, type EndpointUrl } from './endpoints/index.ts';
import { deeperThan, isJsonObject, type Json, type JsonObject } from './json.ts';
import { missesSchema } from './json-schema.ts';
import { LIMITS } from './limits.ts';
import type { JudgedDraft } from './route.ts';

/** Why a document went on to the expert. */
export const ESCALATION_REASONS = [
  { reason: 'low_confidence', meaning: 'The confidence is below the threshold.' },
  { reason: 'no_logprobs', meaning: 'The drafter gave no usable log-probs with its answer.' },
  { reason: 'zero_logprobs', meaning: 'Every log-prob is exactly 0, which a server that does not compute them says.' },
  { reason: 'tool_call', meaning: 'The drafter answered with a tool call, which carries no log-probs.' },
  { reason: 'truncated', meaning: 'The draft stopped at its length limit.' },
  { reason: 'content_filter', meaning: 'A content filter stopped the draft.' },
  { reason: 'refused', meaning: 'The drafter refused to answer.' },
  { reason: 'invalid_json', meaning: 'JSON was asked for and the draft is not JSON, or visibly misses its schema.' },
  { reason: 'empty_answer', meaning: 'The draft has no text.' },
  { reason: 'several_choices', meaning: 'More than one answer was asked for, and only one can be judged.' },
  { reason: 'draft_failed', meaning: 'The drafter failed every try that the document had.' },
  {
    reason: 'drafter_rejected',
    meaning: 'The drafter refused the request as invalid (a 4xx), such as a text too long for it.',
  },
] as const;

export type EscalationReason = (typeof ESCALATION_REASONS)[number]['reason'];

export type SignalName = 'mean_logprob' | 'min_logprob' | 'sum_logprob';

/** A rule that makes a number of an answer: the higher, the surer. */
export type Signal = {
  readonly meaning: string;
  /** How many alternatives per token the model server must be asked for. */
  readonly topLogprobs: number;
  /** At least one token; every log-prob is finite and not above 0. */
  readonly score: (tokens: readonly TokenLogprob[]) => number;
  /** What the score says about the draft being right as long as there is no calibration. */
  readonly uncalibrated: (score: number) => number;
};

/** The one place where a signal is added. */
export const SIGNALS: Readonly<Record<SignalName, Signal>> = {
  mean_logprob: {
    meaning: "The mean of the answer's log-probs; favours long answers.",
    topLogprobs: 0,
    score: (tokens) => sumOf(tokens) / tokens.length,
    uncalibrated: Math.exp,
  },
  min_logprob: {
    meaning: "The log-prob of the answer's weakest token.",
    topLogprobs: 0,
    score: (tokens) => tokens.reduce((least, one) => Math.min(least, one.logprob), 0),
    uncalibrated: Math.exp,
  },
  sum_logprob: {
    meaning: "The sum of the answer's log-probs; favours short answers.",
    topLogprobs: 0,
    score: sumOf,
    uncalibrated: Math.exp,
  },
};

export type ScoredDraft =
  | { readonly kind: 'scored'; readonly score: number }
  | { readonly kind: 'no_evidence'; readonly reason: EscalationReason };

/** The raw score of a draft, or why it has none. What cannot be judged is never scored. */
export function scoreDraft(
  completion: Completion,
  {
    signal,
    endpoint,
    request,
  }: { readonly signal: SignalName; readonly endpoint: EndpointUrl; readonly request: JsonObject },
): ScoredDraft {
  const reason = unjudgeable(completion, request, ENDPOINTS[endpoint].format(request));
  if (reason !== null) return { kind: 'no_evidence', reason };
  const tokens = completion.tokens ?? [];
  if (tokens.length === 0) return { kind: 'no_evidence', reason: 'no_logprobs' };
  if (tokens.every((one) => one.logprob === 0)) return { kind: 'no_evidence', reason: 'zero_logprobs' };
  const score = SIGNALS[signal].score(tokens);
  return Number.isFinite(score) ? { kind: 'scored', score } : { kind: 'no_evidence', reason: 'no_logprobs' };
}

/** The confidence that a score stands for without a calibration; 0 for what is not a number. */
export function confidenceOf(signal: SignalName, score: number): number {
  const confidence = SIGNALS[signal].uncalibrated(score);
  return Number.isNaN(confidence) ? 0 : Math.min(1, Math.max(0, confidence));
}

/** A draft with its confidence, or why it has none. */
export function judge(completion: Completion, asked: Parameters<typeof scoreDraft>[1]): JudgedDraft {
  const scored = scoreDraft(completion, asked);
  return scored.kind === 'scored' ? { ...scored, confidence: confidenceOf(asked.signal, scored.score) } : scored;
}

/** The first thing about an answer that forbids to judge it by its log-probs. */
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

function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

function sumOf(tokens: readonly TokenLogprob[]): number {
  return tokens.reduce((sum, one) => sum + one.logprob, 0);
}
