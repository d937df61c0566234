import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';
import { responseItem, responsePart } from './responses-item.ts';
import type { EndpointStream, StreamCollector, StreamEvent } from './stream.ts';

/** The events that end a stream, by the status of the response that they hold. */
const ENDS: Readonly<Record<string, string>> = {
  completed: 'response.completed',
  incomplete: 'response.incomplete',
  failed: 'response.failed',
};
const LAST_EVENTS: ReadonlySet<Json | undefined> = new Set(Object.values(ENDS));

/** What a response says at its end only. */
const OF_THE_END = ['usage', 'completed_at', 'incomplete_details'];

/** How `/v1/responses` streams: its last event holds the whole response. */
export const responsesStream: EndpointStream = {
  fields: { stream: true },
  end: null,
  collect,
  said: ({ type, delta }) => {
    if (typeof type !== 'string' || !type.endsWith('.delta')) return { texts: [], isOther: false };
    const isText = type === 'response.output_text.delta' && typeof delta === 'string';
    // All messages of a response are one answer.
    return isText ? { texts: [{ index: 0, text: delta }], isOther: false } : { texts: [], isOther: true };
  },
  // What came of an answer that broke off is in no event.
  draft: null,
  stopped: null,
  events: (body) => {
    const output: readonly Json[] = Array.isArray(body['output']) ? body['output'] : [];
    const unsaid = Object.fromEntries(OF_THE_END.filter((key) => key in body).map((key) => [key, null]));
    const open = { ...body, status: 'in_progress', output: [], ...unsaid };
    const status = typeof body['status'] === 'string' ? body['status'] : 'completed';
    const all: JsonObject[] = [
      { type: 'response.created', response: open },
      { type: 'response.in_progress', response: open },
      ...output.flatMap((item, at) => (isJsonObject(item) ? itemEvents(item, at) : [])),
      { type: ENDS[status] ?? 'response.completed', response: body },
    ];
    return all.map((data, number) => named({ ...data, sequence_number: number }));
  },
  annotate: (data, cascade) =>
    isJsonObject(data['response']) ? { ...data, response: { ...data['response'], cascade } } : data,
  show: (data, request) => {
    if (typeof data['type'] !== 'string') return null;
    const { response, item, part } = data;
    return named({
      ...(responsePart(data, request, true) as JsonObject),
      ...(isJsonObject(response) && Array.isArray(response['output'])
        ? { response: { ...response, output: response['output'].map((one: Json) => responseItem(one, request, true)) } }
        : {}),
      ...(item === undefined ? {} : { item: responseItem(item, request, true) }),
      ...(part === undefined ? {} : { part: responsePart(part, request, true) }),
    });
  },
  failed: ({ error: { code, message, param } }, last) => {
    const before = last?.['sequence_number'];
    const number = typeof before === 'number' ? before + 1 : 0;
    return named({ type: 'error', code, message, param, sequence_number: number });
  },
};

const named = (data: JsonObject): StreamEvent => ({
  event: typeof data['type'] === 'string' ? data['type'] : null,
  data,
});

/** Some servers leave the output of their last event empty: then it is what was said of its items before. */
function collect(): StreamCollector {
  const items = new Map<number, JsonObject>();
  let last: JsonObject | null = null;
  return {
    push: (data) => {
      const { type, response, item, output_index: index } = data;
      if (type === 'response.output_item.done' && isJsonObject(item) && typeof index === 'number') {
        items.set(index, item);
      }
      if (LAST_EVENTS.has(type) && isJsonObject(response)) last = response;
    },
    body: () => {
      if (last === null || items.size === 0) return last;
      const { output } = last;
      if (Array.isArray(output) && output.length > 0) return last;
      return { ...last, output: [...items].toSorted(([left], [right]) => left - right).map(([, item]) => item) };
    },
  };
}

function itemEvents(item: JsonObject, index: number): readonly JsonObject[] {
  const content: readonly Json[] = Array.isArray(item['content']) ? item['content'] : [];
  const at = { item_id: item['id'] ?? '', output_index: index };
  const isCall = item['type'] === 'function_call' && typeof item['arguments'] === 'string';
  const begun: JsonObject = {
    ...item,
    ...('status' in item ? { status: 'in_progress' } : {}),
    ...('content' in item ? { content: [] } : {}),
    ...(isCall ? { arguments: '' } : {}),
  };
  return [
    { type: 'response.output_item.added', output_index: index, item: begun },
    ...content.flatMap((part, place) => (isJsonObject(part) ? partEvents(part, { ...at, content_index: place }) : [])),
    ...(isCall ? argumentEvents(item, at) : []),
    { type: 'response.output_item.done', output_index: index, item },
  ];
}

function argumentEvents(item: JsonObject, at: JsonObject): readonly JsonObject[] {
  const { arguments: said = '', name = '' } = item;
  return [
    { type: 'response.function_call_arguments.delta', ...at, delta: said },
    { type: 'response.function_call_arguments.done', ...at, name, arguments: said },
  ];
}

function partEvents(part: JsonObject, at: JsonObject): readonly JsonObject[] {
  const { text, refusal, logprobs = [], annotations } = part;
  const done = { type: 'response.content_part.done', ...at, part };
  const added = (begun: JsonObject): JsonObject => ({ type: 'response.content_part.added', ...at, part: begun });
  if (typeof refusal === 'string') {
    return [
      added({ ...part, refusal: '' }),
      { type: 'response.refusal.delta', ...at, delta: refusal },
      { type: 'response.refusal.done', ...at, refusal },
      done,
    ];
  }
  if (part['type'] !== 'output_text' || typeof text !== 'string') return [added(part), done];
  const notes: readonly Json[] = Array.isArray(annotations) ? annotations : [];
  return [
    added({ ...part, text: '', annotations: [], ...('logprobs' in part ? { logprobs: [] } : {}) }),
    { type: 'response.output_text.delta', ...at, delta: text, logprobs },
    ...notes.map((annotation, number) => ({
      type: 'response.output_text.annotation.added',
      ...at,
      annotation_index: number,
      annotation,
    })),
    { type: 'response.output_text.done', ...at, text, logprobs },
    done,
  ];
}
