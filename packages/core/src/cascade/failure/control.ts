import { ENDPOINTS, type EndpointUrl } from '../../endpoints/index.ts';
import type { JsonObject } from '../../text/json.ts';

/** What a request may say of how long its answer may be. */
export const CONTROL_FIELDS = ['max_tokens', 'max_completion_tokens', 'max_output_tokens'] as const;

/**
 * Something small that every model can answer, by the endpoint of the documents that failed. `mark` is another one each
 * time, so that no cache before the server answers in its place. `like` is a document whose account may be used up: some
 * routers refuse by how long an answer may become, so it may become as long as the document's.
 */
export function controlRequest(endpoint: EndpointUrl, mark: string, like: JsonObject | null): JsonObject {
  const { saying, limit } = ENDPOINTS[endpoint];
  return { ...saying(`Say hello. (${mark})`), ...(like === null ? limit(1) : limitsOf(like)) };
}

const limitsOf = (body: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(body).filter(([key]) => CONTROL_FIELDS.some((field) => field === key)));
