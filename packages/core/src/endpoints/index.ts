import { chat } from './chat.ts';
import { completions } from './completions.ts';
import type { JsonObject } from '../text/json.ts';
import type { Endpoint, FormatKind } from './endpoint.ts';
import { responses } from './responses.ts';

export * from './completion.ts';
export type { AskedFormat, AskedLogprobs, BodyProblem, Endpoint, FormatKind } from './endpoint.ts';
export { FORMAT_KINDS } from './endpoint.ts';
export { ThoughtWatch } from './thought-watch.ts';
export type { DraftPiece, EndpointStream, StreamCollector, StreamEvent } from './stream.ts';

/** The endpoints whose documents a batch may hold; the one place where one is added. */
export const ENDPOINTS = {
  '/v1/chat/completions': chat,
  '/v1/completions': completions,
  '/v1/responses': responses,
} as const satisfies Readonly<Record<string, Endpoint>>;

export type EndpointUrl = keyof typeof ENDPOINTS;

export const ENDPOINT_URLS = Object.keys(ENDPOINTS) as [EndpointUrl, ...EndpointUrl[]];

/** The kind of answer that a client's request asks for, by its `response_format` or what its endpoint has for it. */
export const formatKindOf = (endpoint: EndpointUrl, body: JsonObject): FormatKind =>
  ENDPOINTS[endpoint].format(body)?.type ?? 'text';

/** The text of an answer of any endpoint; null when it has none. */
export function answerText(body: unknown): string | null {
  for (const endpoint of Object.values(ENDPOINTS)) {
    const text = endpoint.text(body, {});
    if (text !== null) return text;
  }
  return null;
}
