import { isJsonObject, type Json, type JsonObject } from '@spillway/core';

/**
 * An answer as OpenAI streams it, token by token: the text of each event. Written apart from what the product makes
 * events of and reads them with, which it is to test.
 */
export function eventsOf(url: string, body: JsonObject, request: JsonObject): string[] {
  if (url === '/v1/responses') return responseEvents(body).map((data) => textOf(data, data['type']));
  const options = request['stream_options'];
  const isCounted = isJsonObject(options) && options['include_usage'] === true;
  const { choices, usage, ...head } = body;
  const object = url === '/v1/completions' ? 'text_completion' : 'chat.completion.chunk';
  const shared = { ...head, object, ...(isCounted ? { usage: null } : {}) };
  const chunks = (choices as JsonObject[]).flatMap(url === '/v1/completions' ? completionPieces : chatPieces);
  return [
    ...chunks.map((choice) => textOf({ ...shared, choices: [choice] })),
    ...(isCounted ? [textOf({ ...shared, choices: [], usage: usage ?? null })] : []),
    'data: [DONE]\n\n',
  ];
}

const textOf = (data: JsonObject, name?: Json): string =>
  `${typeof name === 'string' ? `event: ${name}\n` : ''}data: ${JSON.stringify(data)}\n\n`;

const tokensOf = (text: Json | undefined): string[] =>
  typeof text === 'string' ? (text.match(/\s*\S+|\s+/g) ?? []) : [];

function chatPieces({ index = 0, message, logprobs = null, finish_reason: finish = null }: JsonObject): JsonObject[] {
  const { content, refusal, reasoning_content: thoughts, tool_calls: calls } = message as JsonObject;
  const piece = (delta: JsonObject, more: JsonObject = {}): JsonObject => ({
    index,
    delta,
    logprobs: null,
    finish_reason: null,
    ...more,
  });
  const texts = (key: string, value: Json | undefined): JsonObject[] =>
    tokensOf(value).map((token) => piece({ [key]: token }));
  const said = tokensOf(content);
  return [
    piece({ role: 'assistant', content: '', refusal: null }),
    ...texts('reasoning_content', thoughts),
    ...said.map((token, at) => piece({ content: token }, { logprobs: shareOf(logprobs, at, said.length) })),
    ...texts('refusal', refusal),
    ...(Array.isArray(calls) ? calls.flatMap(callDeltas).map((one) => piece({ tool_calls: [one] })) : []),
    piece({}, { finish_reason: finish }),
  ];
}

function callDeltas(call: Json, index: number): JsonObject[] {
  const { function: called, ...more } = call as JsonObject & { function: { name: string; arguments: string } };
  return [
    { index, ...more, function: { name: called.name, arguments: '' } },
    ...Array.from(called.arguments, (character) => ({ index, function: { arguments: character } })),
  ];
}

function completionPieces({
  index = 0,
  text,
  logprobs = null,
  finish_reason: finish = null,
}: JsonObject): JsonObject[] {
  const said = tokensOf(text);
  const piece = (token: string, own: Json, reason: Json): JsonObject => ({
    index,
    text: token,
    logprobs: own,
    finish_reason: reason,
  });
  return [...said.map((token, at) => piece(token, shareOf(logprobs, at, said.length), null)), piece('', null, finish)];
}

/** The log-probs of one token; such as cannot be shared out come with the first. */
function shareOf(logprobs: Json, at: number, count: number): Json {
  if (!isJsonObject(logprobs)) return logprobs;
  const lists = Object.values(logprobs).filter((list) => Array.isArray(list));
  if (lists.some((list) => list.length !== count)) return at === 0 ? logprobs : null;
  return Object.fromEntries(
    Object.entries(logprobs).map(([key, list]) => [key, Array.isArray(list) ? [list[at] as Json] : list]),
  );
}

function responseEvents(body: JsonObject): JsonObject[] {
  const open = { ...body, status: 'in_progress', incomplete_details: null, output: [], usage: null };
  const items = (body['output'] as JsonObject[]).flatMap((item, index) => [
    { type: 'response.output_item.added', output_index: index, item: { ...item, content: [] } },
    ...partEvents(item, index),
    { type: 'response.output_item.done', output_index: index, item },
  ]);
  const all: JsonObject[] = [
    { type: 'response.created', response: open },
    { type: 'response.in_progress', response: open },
    ...items,
    { type: body['status'] === 'incomplete' ? 'response.incomplete' : 'response.completed', response: body },
  ];
  return all.map((data, number) => ({ ...data, sequence_number: number }));
}

function partEvents(item: JsonObject, index: number): JsonObject[] {
  const parts = Array.isArray(item['content']) ? (item['content'] as JsonObject[]) : [];
  return parts.flatMap((part, place) => {
    const at = { item_id: item['id'] ?? '', output_index: index, content_index: place };
    const said = tokensOf(part['text'] ?? part['refusal']);
    const kind = part['type'] === 'refusal' ? 'refusal' : 'output_text';
    const logprobs = Array.isArray(part['logprobs']) ? (part['logprobs'] as Json[]) : [];
    return [
      { type: 'response.content_part.added', ...at, part: { ...part, text: '', logprobs: [] } },
      ...said.map((delta, number) => ({
        type: `response.${kind}.delta`,
        ...at,
        delta,
        ...(kind === 'output_text' ? { logprobs: logprobs.slice(number, number + 1) } : {}),
      })),
      ...(kind === 'output_text'
        ? [{ type: 'response.output_text.done', ...at, text: part['text'] ?? '', logprobs }]
        : []),
      { type: 'response.content_part.done', ...at, part },
    ];
  });
}
