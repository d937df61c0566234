import { cutText, errorEnvelope, listedNames, type ErrorEnvelope } from '@spillway/core';
import type { Refusal } from '@spillway/runtime';

type Naming = {
  readonly param?: string | null;
  readonly code?: string | null;
  readonly headers?: Record<string, string>;
  readonly refusal?: Refusal | null;
};

/** A refusal whose message is answered to the client, word by word. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly envelope: ErrorEnvelope;
  readonly headers: Readonly<Record<string, string>>;
  /** Why its sender may not do this; null: for some other reason. */
  readonly refusal: Refusal | null;

  constructor(
    status: number,
    message: string,
    { param = null, code = null, headers = {}, refusal = null }: Naming = {},
  ) {
    super(message);
    this.status = status;
    this.envelope = errorEnvelope(status >= 500 ? 'server_error' : 'invalid_request_error', message, param, code);
    this.headers = headers;
    this.refusal = refusal;
  }
}

export const badRequest = (message: string, naming?: Naming): ApiError => new ApiError(400, message, naming);

export function missingParameter(param: string): ApiError {
  return badRequest(`Missing required parameter: '${param}'.`, { param, code: 'missing_required_parameter' });
}

export function invalidType(param: string, expected: string, got: unknown): ApiError {
  const message = `Invalid type for '${param}': expected ${expected}, but got ${kindOf(got)} instead.`;
  return badRequest(message, { param, code: 'invalid_type' });
}

/** `supported` as one reads it out: "'a', 'b' and 'c'". */
export function invalidValue(param: string, got: string, supported: string): ApiError {
  const message = `Invalid value: '${shown(got)}'. Supported values are: ${supported}.`;
  return badRequest(message, { param, code: 'invalid_value' });
}

/** A key that is not known where unknown ones must not be ignored. */
export function unknownKey(
  parent: string,
  { key, meant, known }: { readonly key: string; readonly meant: string | null; readonly known: readonly string[] },
): ApiError {
  const suggestion = meant === null ? '' : ` Did you mean '${meant}'?`;
  const message = `Unknown key '${shown(key)}' in '${parent}'.${suggestion} Known keys are ${listedNames(known)}.`;
  return badRequest(message, { param: `${parent}.${shown(key)}`, code: 'unknown_parameter' });
}

/** `known` are the cascades that a request may name. */
export function noSuchModel(name: string, known: readonly string[]): ApiError {
  const message = `The model '${shown(name)}' does not exist. Models are ${listedNames(known)}.`;
  return new ApiError(404, message, { param: 'model', code: 'model_not_found' });
}

export function belowMinimum(param: string, least: number, got: string): ApiError {
  const message = `Invalid '${param}': integer below minimum value. Expected a value >= ${least}, but got ${got} instead.`;
  return badRequest(message, { param, code: 'integer_below_min_value' });
}

export function aboveMaximum(param: string, most: number, got: string): ApiError {
  const message = `Invalid '${param}': integer above maximum value. Expected a value <= ${most}, but got ${got} instead.`;
  return badRequest(message, { param, code: 'integer_above_max_value' });
}

export function tooManyProperties(param: string, most: number, got: number): ApiError {
  const message =
    `Invalid '${param}': too many properties. Expected an object with at most ${most} properties, ` +
    `but got an object with ${got} properties instead.`;
  return badRequest(message, { param, code: 'object_above_max_properties' });
}

export function stringTooLong(param: string, most: number, got: number): ApiError {
  const message =
    `Invalid '${shown(param)}': string too long. ` +
    `Expected a string with maximum length ${most}, but got a string with length ${got} instead.`;
  return badRequest(message, { param, code: 'string_above_max_length' });
}

export function unauthorized(message: string, refusal: Refusal): ApiError {
  return new ApiError(401, message, { code: 'invalid_api_key', headers: { 'www-authenticate': 'Bearer' }, refusal });
}

export const noSuchFile = (id: string): ApiError =>
  new ApiError(404, `No such File object: ${shown(id)}`, { param: 'id' });

export const noSuchBatch = (id: string): ApiError => new ApiError(404, `No batch found with id '${shown(id)}'.`);

/** 409, with the header that keeps the SDKs from sending the request again. */
export const conflict = (message: string, code: string | null = null): ApiError =>
  new ApiError(409, message, { code, headers: { 'x-should-retry': 'false' } });

export const unsupportedMediaType = (expected: string): ApiError =>
  new ApiError(415, `Unsupported content type: expected ${expected}.`, { code: 'unsupported_media_type' });

/** 429: a limit of the caller's own. */
export const tooMany = (message: string, retryAfterSeconds: number, code = 'rate_limit_exceeded'): ApiError =>
  new ApiError(429, message, { code, headers: { 'retry-after': String(Math.ceil(retryAfterSeconds)) } });

/** Batches end and files go in minutes rather than in seconds. */
const LIMIT_RETRY_SECONDS = 60;

/** 429: what the key of a tenant allows. What never comes free is not worth sending again. */
export function overTenantLimit(what: string, { comesFree = true }: { readonly comesFree?: boolean } = {}): ApiError {
  const headers = { 'retry-after': String(LIMIT_RETRY_SECONDS), ...(comesFree ? {} : { 'x-should-retry': 'false' }) };
  return new ApiError(429, `A limit of this tenant is reached: ${what}.`, { code: 'tenant_limit_reached', headers });
}

/** 503: nothing is wrong with the request; it may be sent again. */
export const unavailable = (message: string, retryAfterSeconds = 1): ApiError =>
  new ApiError(503, message, {
    code: 'service_unavailable',
    headers: { 'retry-after': String(Math.ceil(retryAfterSeconds)) },
  });

const MAX_SHOWN_CHARACTERS = 100;

/** What a client sent, short enough to be sent back. */
export const shown = (text: string): string => cutText(text, MAX_SHOWN_CHARACTERS, '…');

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'an integer' : 'a decimal number';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

export const tookTooLong = (): ApiError => unavailable('The request took too long. Try again in a moment.');
