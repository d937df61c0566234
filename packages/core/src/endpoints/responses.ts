import {
  isUsedUp,
  readUsage,
  saysError,
  textOf,
  thoughtOptions,
  type Completion,
  type CompletionFacts,
} from './completion.ts';
import { outputTexts, partsOf, withoutThought } from './responses-thought.ts';
import { readTexts } from './said-text.ts';
import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';
import type { Sliced } from '../text/slices.ts';
import {
  exchangeOf,
  messagesWith,
  modelOf,
  required,
  streamProblem,
  withOwnSchema,
  type Endpoint,
} from './endpoint.ts';
import { topOf } from './logprobs.ts';
import { includeOf, LOGPROBS, responseItem, wantsResponseLogprobs } from './responses-item.ts';
import { responsesStream } from './responses-stream.ts';

/** Its servers take no lower bound of an answer's tokens. */
const MIN_OUTPUT_TOKENS = 16;

/** `/v1/responses`. A document is answered in one call, so what would make it a longer affair is left out. */
export const responses: Endpoint = {
  name: 'Responses',
  operation: 'chat',
  path: '/responses',
  inputField: 'input',
  takesSeed: false,
  problem: (body, options) => {
    const input = body['input'];
    // A stored prompt brings its own input.
    const has = typeof input === 'string' ? input !== '' : Array.isArray(input) && input.length > 0;
    if (!has && !isJsonObject(body['prompt'])) return required('input');
    return streamProblem('Responses', body, options);
  },
  saying: (words) => ({ input: words }),
  limit: (tokens) => ({ max_output_tokens: Math.max(MIN_OUTPUT_TOKENS, tokens) }),
  withSystem: (body, text) => {
    const { instructions } = body;
    const has = typeof instructions === 'string' && instructions !== '';
    return { ...body, instructions: has ? `${text}\n\n${instructions}` : text };
  },
  followUp: (body, answer, question, maxTokens) => {
    const { input, instructions } = body;
    const given: readonly Json[] = Array.isArray(input) ? (input as Json[]) : [{ role: 'user', content: input ?? '' }];
    return {
      ...modelOf(body),
      ...(instructions === undefined ? {} : { instructions }),
      input: [...given, ...exchangeOf(answer, question)],
      ...responses.limit(maxTokens),
      temperature: 0,
    };
  },
  request: (body, model, asked) => {
    const { stream: _stream, stream_options: _options, background: _background, ...kept } = body;
    if (!asked.wanted) return { ...kept, model };
    const top = Math.max(asked.top, topOf(body));
    const include = [...new Set([...includeOf(body), LOGPROBS])];
    return { ...kept, model, include, ...(top > 0 ? { top_logprobs: top } : {}) };
  },
  *answer(answer, body, asked) {
    const output = answer['output'];
    if (!Array.isArray(output)) return answer;
    const left = yield* withoutThought(output, thoughtOptions(answer, body));
    if (!asked.wanted) return { ...answer, output: left };
    const isCut = topOf(body) < asked.top;
    return { ...answer, output: left.map((item) => responseItem(item, body, isCut)) };
  },
  wantsLogprobs: wantsResponseLogprobs,
  facts: responseFacts,
  read: readResponse,
  text: (answer) => joinedText(isJsonObject(answer) ? answer['output'] : undefined),
  format: (body) => {
    const text = body['text'];
    const format = isJsonObject(text) ? text['format'] : undefined;
    if (!isJsonObject(format)) return null;
    const { type, schema } = format;
    return type === 'json_object' || type === 'json_schema' ? { type, schema } : null;
  },
  withInstruction: (body, words) => {
    const { input } = body;
    if (typeof input === 'string') return { ...body, input: `${input}\n\n${words}` };
    const longer = Array.isArray(input) ? messagesWith(input as readonly Json[], words, 'input_text') : null;
    return longer === null ? null : { ...body, input: longer };
  },
  withSchema: (body, schema, suffix) => {
    const text = body['text'];
    const format = isJsonObject(text) ? text['format'] : undefined;
    if (!isJsonObject(text) || !isJsonObject(format)) return body;
    return { ...body, text: { ...text, format: withOwnSchema(format, schema, suffix) } };
  },
  stream: responsesStream,
};

/** Items that wait for somebody else to do something; the answer is not all there. */
const CALLS: ReadonlySet<Json | undefined> = new Set([
  'function_call',
  'custom_tool_call',
  'computer_call',
  'local_shell_call',
  'shell_call',
  'apply_patch_call',
  'mcp_approval_request',
]);

/** What a response that is over says of itself; some servers say nothing. */
const OVER: ReadonlySet<Json | undefined> = new Set([undefined, null, 'completed', 'incomplete']);

/** What the body of a 200 says beside its texts. One that failed, has an error beside it, or is not over, is no completion. */
function responseFacts(answer: unknown, request: JsonObject): CompletionFacts | null {
  if (!isJsonObject(answer) || !Array.isArray(answer['output']) || saysError(answer)) return null;
  if (!OVER.has(answer['status'])) return null;
  const items = itemsOf(answer['output']);
  const usage = readUsage(answer['usage']);
  return {
    finishReason: finishOf(answer, items) ?? (isUsedUp(usage, request) ? 'length' : 'stop'),
    refusal: refusalOf(items),
    toolCall: items.some((item) => CALLS.has(item['type'])),
    choices: 1,
    model: textOf(answer['model']),
    id: textOf(answer['id']),
    usage,
  };
}

function* readResponse(answer: unknown, request: JsonObject): Sliced<Completion | null> {
  const facts = responseFacts(answer, request);
  if (facts === null) return null;
  const items = itemsOf((answer as { readonly output: readonly Json[] }).output);
  return { ...(yield* readTexts(outputTexts(items), { request, reasoned: false, usage: facts.usage })), ...facts };
}

const itemsOf = (output: readonly Json[]): readonly JsonObject[] => output.filter((item) => isJsonObject(item));

function joinedText(output: Json | undefined): string | null {
  const texts = outputTexts(Array.isArray(output) ? (output as readonly Json[]) : []);
  return texts.length === 0 ? null : texts.map(({ text }) => text).join('');
}

function refusalOf(items: readonly JsonObject[]): string | null {
  const parts = items.flatMap((item) => partsOf(item));
  return parts.map((part) => textOf(part['refusal'])).find((refusal) => refusal !== null) ?? null;
}

/**
 * The words of the other endpoints for why an answer ended; null: it does not say that it was cut. llama.cpp says
 * `completed` of one that was.
 */
function finishOf(answer: JsonObject, items: readonly JsonObject[]): string | null {
  const details = answer['incomplete_details'];
  const reason = isJsonObject(details) ? textOf(details['reason']) : null;
  if (reason === 'content_filter') return reason;
  const isCut = [answer, ...items].some(({ status }) => status === 'incomplete');
  return isCut || reason !== null ? 'length' : null;
}
