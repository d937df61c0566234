import type { EndpointUrl } from '../../endpoints/index.ts';
import type { JsonObject } from '../../text/json.ts';

const WORDS = 'Say hello.';

/** Something small that every model can answer, by the endpoint of the documents that failed. */
export const CONTROL_REQUESTS: Readonly<Record<EndpointUrl, JsonObject>> = {
  '/v1/chat/completions': { messages: [{ role: 'user', content: WORDS }], max_tokens: 1 },
  '/v1/completions': { prompt: WORDS, max_tokens: 1 },
  // Its servers take no lower bound.
  '/v1/responses': { input: WORDS, max_output_tokens: 16 },
};

/** What a model's settings may rename, and not override. */
export const CONTROL_FIELDS = ['max_tokens', 'max_output_tokens'] as const;
