import { isUtf8 } from 'node:buffer';
import { ENDPOINTS, type EndpointUrl } from '../endpoints/index.ts';
import { readingJson } from '../text/json-read.ts';
import { deeperThan, isJsonObject, type JsonObject } from '../text/json.ts';
import type { Sliced } from '../text/slices.ts';
import { LIMITS } from '../limits.ts';
import { cutText } from '../text/cut.ts';
import { listedNames } from '../text/list.ts';
import type { Line } from '../text/lines.ts';
import { writtenId } from './custom-id.ts';
import { NO_ARRAY, NO_WIDE_TEXT, noJsonReason } from './no-json.ts';

/** An entry of a failed batch's `errors.data`. */
export type LineError = {
  readonly code: string;
  readonly message: string;
  readonly param: string | null;
  readonly line: number | null;
};

/** One request of a batch; `customId` as its line will have it. */
export type DocumentRequest = { readonly customId: string; readonly cascade: string; readonly body: JsonObject };

/** A line that is no request, with its `custom_id` where that can be read. */
export type BadLine = { readonly kind: 'bad'; readonly customId: string | null; readonly error: LineError };

export type ReadRequest =
  | { readonly kind: 'request'; readonly request: DocumentRequest }
  | { readonly kind: 'blank' }
  | BadLine;

/** What a line must fit to. */
export type RequestRules = {
  readonly endpoint: EndpointUrl;
  readonly cascades: ReadonlySet<string>;
  /** Bytes; only for the message. */
  readonly lineBytes: number;
};

const blank = /^[\s\uFEFF]*$/;

/** Reads one line of an input file. Never throws, whatever the bytes. */
export function* readRequestLine(line: Line, rules: RequestRules): Sliced<ReadRequest> {
  let customId: string | null = null;
  const bad = (code: string, message: string, param: string | null = null): ReadRequest => ({
    kind: 'bad',
    customId,
    error: { code, message, param, line: line.number },
  });
  if (line.tooLong) return bad('line_too_large', `This line is larger than ${rules.lineBytes} bytes.`);
  if (line.bytes.length === 0) return { kind: 'blank' };
  if (!isUtf8(line.bytes)) {
    const message = 'This line is not valid UTF-8.';
    return bad('invalid_utf8', line.bytes.includes(0) ? `${message} ${NO_WIDE_TEXT}` : message);
  }
  const text = line.bytes.toString('utf8');
  if (line.bytes.length < 64 && blank.test(text)) return { kind: 'blank' };
  const read = yield* readingJson(text, LINE_LIMITS);
  if (read.kind === 'beyond' && !text.trimStart().startsWith('[')) {
    return bad('invalid_request', BEYOND[read.excess], 'body');
  }
  if (read.kind === 'no_json') {
    if (blank.test(text)) return { kind: 'blank' };
    const message = 'This line is not parseable as valid JSON.';
    const reason = yield* noJsonReason(text);
    return bad('invalid_json_line', reason === null ? message : `${message} ${reason}`);
  }
  const value = read.kind === 'json' ? read.value : [];
  if (!isJsonObject(value)) {
    return bad(
      'invalid_request',
      Array.isArray(value) ? `Each line must be a JSON object. ${NO_ARRAY}` : 'Each line must be a JSON object.',
    );
  }
  customId = customIdOf(value);
  const problem = firstProblem(value, rules);
  if (problem !== null) return bad(problem.code, problem.message, problem.param);
  const body = value['body'] as JsonObject;
  return {
    kind: 'request',
    request: { customId: writtenId(value['custom_id'] as string), cascade: body['model'] as string, body },
  };
}

/** A line is a level around its body. */
const LINE_LIMITS = { depth: LIMITS.jsonDepth + 1, values: LIMITS.jsonValues };

const TOO_DEEP = `The body is nested deeper than ${LIMITS.jsonDepth} levels.`;
const BEYOND = {
  too_deep: TOO_DEEP,
  too_many_values: `The request has more than ${LIMITS.jsonValues} values: scalars, objects and arrays.`,
} as const;

/** Whether a line of an input file is blank. Such lines are counted as lines, and are no documents. */
export function isBlankLine(bytes: Buffer): boolean {
  // Nearly every line begins with a brace, and none of those is looked at whole.
  return bytes.length === 0 || (bytes[0] !== OPENING_BRACE && isUtf8(bytes) && blank.test(bytes.toString('utf8')));
}

const OPENING_BRACE = 0x7b;

const MAX_SHOWN_ID_CHARACTERS = 64;

/** What is wrong with a request whose `custom_id` an earlier one has. */
export function duplicateId(customId: string, line: number): LineError {
  const message = `The custom_id '${cutText(customId, MAX_SHOWN_ID_CHARACTERS, '…')}' was used by an earlier line.`;
  return { code: 'duplicate_custom_id', message, param: 'custom_id', line };
}

/** The id of a line as its result will have it, where it is one. */
function customIdOf({ custom_id: id }: JsonObject): string | null {
  return typeof id === 'string' && id !== '' && id.length <= LIMITS.customIdCharacters ? writtenId(id) : null;
}

type FieldProblem = { code: string; message: string; param: string | null };

const field = (code: string, param: string, message: string): FieldProblem => ({ code, message, param });

function firstProblem(value: JsonObject, rules: RequestRules): FieldProblem | null {
  for (const key of ['custom_id', 'method', 'url', 'body']) {
    if (value[key] === undefined || value[key] === null) {
      return field('missing_required_parameter', key, `Missing required parameter: '${key}'.`);
    }
  }
  if (customIdOf(value) === null) {
    const message = `Invalid 'custom_id': expected a string of 1 to ${LIMITS.customIdCharacters} characters.`;
    return field('invalid_request', 'custom_id', message);
  }
  if (value['method'] !== 'POST') return field('invalid_method', 'method', "The method must be 'POST'.");
  if (value['url'] !== rules.endpoint) {
    return field('invalid_url', 'url', 'The URL provided for this request does not match the batch endpoint.');
  }
  const body = value['body'];
  if (!isJsonObject(body)) return field('invalid_request', 'body', 'The body must be a JSON object.');
  return bodyProblem(body, rules);
}

function bodyProblem(body: JsonObject, rules: RequestRules): FieldProblem | null {
  const model = body['model'];
  if (model === undefined || model === null || model === '') {
    return field('invalid_request', 'body.model', 'Model parameter is required.');
  }
  if (typeof model !== 'string' || !rules.cascades.has(model)) {
    const name = typeof model === 'string' ? cutText(model, 100, '…') : typeof model;
    const message =
      `The provided model '${name}' is not supported by the Batch API. ` +
      `Supported: ${listedNames([...rules.cascades])}.`;
    return field('model_not_found', 'body.model', message);
  }
  const problem = ENDPOINTS[rules.endpoint].problem(body);
  if (problem !== null) return problem;
  if (deeperThan(body, LIMITS.jsonDepth)) {
    return field('invalid_request', 'body', TOO_DEEP);
  }
  return null;
}
