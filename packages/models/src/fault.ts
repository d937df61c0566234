import { cutText, deeperThan, isJsonObject, LIMITS, type Fault, type Json, type JsonObject } from '@spillway/core';
import { APIError } from 'openai';
import { TransportError } from './transport-error.ts';

/** An error page is for people to recognise; a JSON error is kept whole up to what the transport reads of it. */
const MAX_ERROR_CHARACTERS = 4_096;
const REDACTED = '[redacted]';

/** As much of an answer's headers as is read. */
export type SaidHeaders = Pick<Headers, 'get'>;

/** An HTTP error with its body as the server said it; the SDK's own keeps only what is under `error`. */
export class HttpError extends APIError {
  readonly body: unknown;

  constructor(status: number, body: unknown, headers: SaidHeaders) {
    super(status, undefined, undefined, headers as Headers);
    this.body = body;
  }
}

/** Takes the API key out of whatever a server or a library says. */
export type Redact = <T>(value: T) => T;

export function redactor(apiKey: string | null): Redact {
  if (apiKey === null || apiKey === '') return (value) => value;
  const walk = (value: unknown): unknown => {
    if (typeof value === 'string') return value.replaceAll(apiKey, REDACTED);
    if (Array.isArray(value)) return value.map(walk);
    if (!isJsonObject(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [walk(key), walk(inner)]));
  };
  return <T>(value: T) => walk(value) as T;
}

/** What a failed call means, or null if the client was closed under it. Throws what is no failure of the call. */
export function faultOf(error: unknown, { redact, timeoutMs }: { redact: Redact; timeoutMs: number }): Fault | null {
  if (error instanceof HttpError) return httpFault(error, redact);
  const broken = transportErrorOf(error);
  if (broken === null) throw error;
  const message = redact(broken.message);
  if (broken.at === 'closed') return null;
  if (broken.at === 'garbled') return { kind: 'garbled', status: broken.status, message };
  /**
   * The caller's signal was looked at before, so this is the deadline. Without a connection it is no sign of a server
   * that is down: that takes the connection's own limit, and a call late in its batch may have only milliseconds.
   */
  if (broken.message === 'aborted') {
    const lacking = broken.at === 'unsent' ? 'connection' : 'answer';
    return { kind: 'timeout', message: `no ${lacking} within ${timeoutMs} ms` };
  }
  return { kind: broken.at === 'unsent' ? 'unreachable' : 'reset', message };
}

/** Whether a server refuses the request because of its log-probs, as OpenAI's reasoning models do. */
export const refusesLogprobs = (fault: Fault): boolean => refuses(fault, /log_?prob/i);

/** Whether a server refuses the request because of the alternatives that are asked for with log-probs. */
export const refusesAlternatives = (fault: Fault): boolean => refuses(fault, /top_?log_?prob/i);

/**
 * Whether a server refuses the request because it has a priority. SGLang says 503 to one; that a call had to make way for
 * another one's priority is a 503 of its own, and no refusal.
 */
export const refusesPriority = (fault: Fault): boolean =>
  refuses(fault, /\bpriority\b/i) || refuses(fault, /priority is disabled/i, [503]);

function refuses(fault: Fault, name: RegExp, statuses: readonly number[] = [400, 403, 422]): boolean {
  if (fault.kind !== 'http' || !statuses.includes(fault.status)) return false;
  return name.test(typeof fault.body === 'string' ? fault.body : (JSON.stringify(fault.body) ?? ''));
}

/** What a server, or more often a router before it, says under `error` in an answer with a 200; null: no status fits. */
export function faultInside(body: unknown, headers: SaidHeaders, redact: Redact): Fault | null {
  const error = errorInside(body);
  const said = isJsonObject(error) ? error : { message: typeof error === 'string' ? error : '' };
  const status = statusInside(said);
  // What looks like an answer beside it is none.
  return status === null ? null : httpFault(new HttpError(status, { error }, headers), redact);
}

function errorInside(body: unknown): Json {
  if (!isJsonObject(body)) return null;
  const { error = null, choices, response, object, type } = body;
  const [first] = Array.isArray(choices) ? (choices as readonly Json[]) : [];
  const inner = [first, response].map((one) => (isJsonObject(one) ? (one['error'] ?? null) : null));
  const itself = object === 'error' || type === 'error' ? body : null;
  return error ?? inner.find((one) => one !== null) ?? itself;
}

function statusInside({ code, status, type, message }: JsonObject): number | null {
  const number = [code, status].map(Number).find((one) => Number.isInteger(one) && one >= 400 && one < 600);
  if (number !== undefined) return number;
  const words = [code, type, message].filter((one) => typeof one === 'string').join(' ');
  return STATUS_WORDS.find(([pattern]) => pattern.test(words))?.[1] ?? null;
}

const STATUS_WORDS: readonly (readonly [RegExp, number])[] = [
  [/rate.?limit|too many requests|quota/i, 429],
  [/overloaded/i, 529],
  [/invalid_api_key|authentication_error/i, 401],
  [/model_not_found/i, 404],
];

function httpFault(error: HttpError, redact: Redact): Fault {
  const { status, headers } = error;
  /** Redacted before it is cut, so that no half of a key is left. */
  const body = redact(deeperThan(error.body, LIMITS.answerDepth) ? 'an error that is nested too deep' : error.body);
  return {
    kind: 'http',
    status: status ?? 502,
    body: typeof body === 'string' ? cutText(body, MAX_ERROR_CHARACTERS) : body,
    retryAfterMs: headers === undefined ? null : readRetryAfter(headers, Date.now()),
    requestId: redact(headers?.get('x-request-id') ?? null),
  };
}

/** `retry-after-ms`, or `Retry-After` in seconds or as a date. Null for what is neither. */
function readRetryAfter(headers: SaidHeaders, nowMs: number): number | null {
  const ms = numberOf(headers.get('retry-after-ms'));
  if (ms !== null) return ms;
  const asked = headers.get('retry-after');
  const seconds = numberOf(asked);
  if (seconds !== null) return seconds * 1000;
  /** `Date.parse` takes nearly anything, `-5` among it, for a date; in HTTP one begins with the day of the week. */
  const atMs = asked !== null && /^[A-Z][a-z]{2}/.test(asked) ? Date.parse(asked) : Number.NaN;
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - nowMs);
}

function numberOf(text: string | null): number | null {
  if (text === null || text.trim() === '') return null;
  const value = Number(text);
  return Number.isFinite(value) && value >= 0 ? value : null;
}

/** The SDK wraps what its fetch throws, once or twice. */
function transportErrorOf(error: unknown): TransportError | null {
  for (let one = error; one instanceof Error; one = one.cause) {
    if (one instanceof TransportError) return one;
  }
  return null;
}
