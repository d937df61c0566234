import { isJsonObject, type Json, type JsonObject } from '../../text/json.ts';

/** How a call to a model server went wrong. */
export type Fault =
  | {
      readonly kind: 'http';
      readonly status: number;
      readonly body: unknown;
      readonly retryAfterMs: number | null;
      readonly requestId: string | null;
    }
  /** Nothing of the request reached the server. */
  | { readonly kind: 'unreachable'; readonly message: string }
  | { readonly kind: 'timeout'; readonly message: string }
  /** The connection broke after the request was sent. */
  | { readonly kind: 'reset'; readonly message: string }
  /** An answer that is no completion. The status is null if it was not even HTTP. */
  | { readonly kind: 'garbled'; readonly status: number | null; readonly message: string };

/** Whose fault it is, as far as the fault itself says it. */
export type FaultClass =
  /** The request's own: the server understood it and calls it wrong. */
  | 'request'
  /** The server takes no more now (429). */
  | 'limited'
  /** The server is not available (503, 529): it takes no more if others are answered meanwhile, else it is down. */
  | 'unavailable'
  /** There is no server: nothing of the request reached it. */
  | 'down'
  /** The document's if others are answered meanwhile; else the server is down. */
  | 'ambiguous'
  /** The operator's, as key, account, model or address are wrong; the document's if others are answered meanwhile. */
  | 'operator';

/** About the moment or the server, not about the request, though they are 4xx. */
const PASSING: ReadonlySet<number> = new Set([408, 409, 424, 425, 499]);

/** About key, account, model or address. */
const OPERATOR: ReadonlySet<number> = new Set([401, 402, 403, 404, 405, 407, 410]);

/** What servers of all makes write under `code` or `type` where the operator has to do something, whatever the status. */
const OPERATOR_CODE =
  /^(insufficient_quota|insufficient_balance|billing_(hard_limit_reached|not_active)|account_deactivated|arrearage|access_terminated|invalid_api_key|model_not_found|model_not_available)$/i;

/** The same in words. */
const OPERATOR_WORDS = /credit balance is too low|exceeded your current quota|insufficient (credits?|balance|funds)/i;

/** What is not found is something that the request itself names, not the model or the path. */
const REQUEST_WORDS = /\b(previous[_ ]response|response with id|file|image|conversation|vector[_ ]store|container)\b/i;

/** Whose fault a failed call is, by its status and its body. */
export function classOf(fault: Fault): FaultClass {
  if (fault.kind === 'unreachable') return 'down';
  if (fault.kind !== 'http') return 'ambiguous';
  const { status, body } = fault;
  const error = errorObject(body);
  const isRefusal = status >= 400 && status < 500;
  if (isRefusal && isOperators(error)) return 'operator';
  if (status === 429) return 'limited';
  if (status === 503 || status === 529) return 'unavailable';
  if (status === 404 && isAboutRequest(error)) return 'request';
  // A redirect is not followed: the address is an older one.
  if (OPERATOR.has(status) || (status >= 300 && status < 400)) return 'operator';
  return isRefusal && !PASSING.has(status) ? 'request' : 'ambiguous';
}

/** What proxies say whose server's connection broke. */
const BROKEN: ReadonlySet<number> = new Set([502, 504, 520, 521, 522, 523, 524]);

/** Whether a call was broken off, as all are that a server has when it goes down. */
export const isBrokenOff = (fault: Fault): boolean =>
  fault.kind === 'reset' || (fault.kind === 'http' && BROKEN.has(fault.status));

/** What the operator has set wrong, or left undone. */
export type OperatorFault = 'money' | 'key' | 'model' | 'address';

/** Which fault of the operator's it is. */
export function operatorFault(fault: Fault): OperatorFault {
  if (fault.kind !== 'http') return 'address';
  const { status, body } = fault;
  const error = errorObject(body);
  if (status === 402 || isAboutMoney(error)) return 'money';
  if ([401, 403, 407].includes(status) || /api_?key/i.test(codeOf(error))) return 'key';
  return isAboutModel(error) ? 'model' : 'address';
}

const OPERATOR_REASONS: Readonly<Record<OperatorFault, readonly [string, string]>> = {
  money: ['the account at the model server is used up', 'pay, or set another api_key_env'],
  key: ['the model server does not take the API key', 'look at api_key_env'],
  model: ['the model server does not know the model', 'look at model'],
  address: ['the model server has no such address', 'look at base_url, which mostly ends in /v1'],
};

/** What the operator can do about a fault of theirs. */
export function operatorReason(fault: Fault): string {
  const [what, todo] = OPERATOR_REASONS[operatorFault(fault)];
  return `${what} (${fault.kind === 'http' ? fault.status : fault.kind}): ${todo}`;
}

/** The object that says what is wrong, in the shape of OpenAI or in one of the flat ones. */
function errorObject(body: unknown): JsonObject {
  if (!isJsonObject(body)) return {};
  const { error } = body;
  return isJsonObject(error) ? error : typeof error === 'string' ? { ...body, message: error } : body;
}

const textAt = (value: Json | undefined): string => (typeof value === 'string' ? value : '');

const codeOf = ({ code, type }: JsonObject): string => textAt(code) || textAt(type);

const isOperators = (error: JsonObject): boolean =>
  [error['code'], error['type']].some((one) => OPERATOR_CODE.test(textAt(one))) ||
  OPERATOR_WORDS.test(textAt(error['message']));

const isAboutMoney = (error: JsonObject): boolean =>
  /quota|balance|billing|arrearage/i.test(codeOf(error)) || OPERATOR_WORDS.test(textAt(error['message']));

const isAboutModel = (error: JsonObject): boolean =>
  error['param'] === 'model' || /model/i.test(`${codeOf(error)} ${textAt(error['message'])}`);

function isAboutRequest(error: JsonObject): boolean {
  const param = textAt(error['param']);
  if (param !== '') return !/model/i.test(param);
  const message = textAt(error['message']);
  return REQUEST_WORDS.test(message) && !/\bmodel\b/i.test(message);
}
