import type { CompletionFacts } from '../endpoints/index.ts';
import { strictJson } from '../text/json-line.ts';
import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';

/** A part of a message as the GenAI conventions have it. */
type Part = JsonObject & { readonly type: string };

/** What a model was asked, as the GenAI conventions' messages with their parts, in JSON. */
export function inputMessages(input: Json | undefined): string {
  if (typeof input === 'string') return strictJson([{ role: 'user', parts: [textPart(input)] }]);
  if (!Array.isArray(input)) return strictJson([]);
  const isOfTexts = input.every((one) => typeof one === 'string');
  if (isOfTexts) return strictJson([{ role: 'user', parts: input.map((text) => textPart(text)) }]);
  return strictJson(input.filter((one) => isJsonObject(one)).map(messageOf));
}

/** What it answered. */
export function outputMessages(text: string | null, completion: CompletionFacts | null): string {
  const parts = text === null ? [] : [textPart(text)];
  return strictJson([{ role: 'assistant', parts, finish_reason: completion?.finishReason ?? null }]);
}

const textPart = (content: string): Part => ({ type: 'text', content });

function messageOf(message: JsonObject): JsonObject {
  const { role, content, tool_calls: calls, tool_call_id: id } = message;
  const spoken = partsOf(content);
  const called = Array.isArray(calls) ? calls.filter((one) => isJsonObject(one)).map(toolCall) : [];
  const parts = role === 'tool' ? [{ type: 'tool_call_response', id: id ?? null, response: content ?? null }] : spoken;
  return { role: typeof role === 'string' ? role : 'user', parts: [...parts, ...called] };
}

function partsOf(content: Json | undefined): Part[] {
  if (typeof content === 'string') return [textPart(content)];
  if (!Array.isArray(content)) return [];
  return content.filter((one) => isJsonObject(one)).map(contentPart);
}

/** A text, or what else a message holds, by its own type. */
function contentPart(part: JsonObject): Part {
  const { type, text, image_url: image } = part;
  if (typeof text === 'string') return textPart(text);
  const uri = isJsonObject(image) ? image['url'] : image;
  if (typeof uri === 'string') return { type: 'uri', modality: 'image', uri };
  return { ...part, type: typeof type === 'string' ? type : 'unknown' };
}

function toolCall({ id, function: called }: JsonObject): Part {
  const { name = null, arguments: given = null } = isJsonObject(called) ? called : {};
  return { type: 'tool_call', id: id ?? null, name, arguments: given };
}
