import type { EndpointUrl } from '../../endpoints/index.ts';
import type { JsonObject } from '../../text/json.ts';

/** What a request may say of how long its answer may be. */
export const CONTROL_FIELDS = ['max_tokens', 'max_completion_tokens', 'max_output_tokens'] as const;

/**
 * Something small that every model can answer, by the endpoint of the documents that failed. `mark` is another one each
 * time, so that no cache before the server answers in its place. `like` is a document whose account may be used up: some
 * routers refuse by how long an answer may become, so it may become as long as the document's.
 */
export function controlRequest(endpoint: EndpointUrl, mark: string, like: JsonObject | null): JsonObject {
  const words = `Say hello. (${mark})`;
  const limits =
    like === null ? null : Object.entries(like).filter(([key]) => CONTROL_FIELDS.some((one) => one === key));
  switch (endpoint) {
    case '/v1/chat/completions':
      return { messages: [{ role: 'user', content: words }], ...limited(limits, { max_tokens: 1 }) };
    case '/v1/completions':
      return { prompt: words, ...limited(limits, { max_tokens: 1 }) };
    case '/v1/responses':
      // Its servers take no lower bound.
      return { input: words, ...limited(limits, { max_output_tokens: 16 }) };
  }
}

const limited = (given: readonly (readonly [string, JsonObject[string]])[] | null, least: JsonObject): JsonObject =>
  given === null ? least : Object.fromEntries(given);
