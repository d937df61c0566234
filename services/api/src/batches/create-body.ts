import {
  isJsonObject,
  LIMITS,
  readingJson,
  writingJson,
  writtenId,
  type Json,
  type JsonObject,
  type ReadJson,
  type Sliced,
} from '@spillway/core';
import { runSliced } from '@spillway/runtime';
import { invalidJson, readBody, SMALL_BODY_CHARACTERS, tooManyValues } from '../body.ts';
import { ApiError, badRequest, invalidType } from '../errors.ts';
import { ListScan, type FoundList } from './list-scan.ts';

/** The body of a create. Requests that it brings are text yet; in the body itself stands one for all of them. */
export type CreateBody = {
  readonly body: Json | undefined;
  readonly requests: { readonly text: string; readonly list: FoundList } | null;
};

/** A list of them, as far as a body without its requests is looked at. */
const SOME = '[{}]';

/** Reads the body of a create. What is too much is refused by its count, before anything of it is parsed. */
export async function readCreateBody(text: string | undefined): Promise<CreateBody> {
  if (text === undefined) return { body: undefined, requests: null };
  const others = text.length > SMALL_BODY_CHARACTERS ? LIMITS.jsonValues : Infinity;
  const limits = { items: LIMITS.inlineRequests, values: LIMITS.inlineValues, others };
  const scanned = await runSliced(new ListScan(text, 'requests', limits).run());
  if (scanned.kind === 'too_many_items') throw tooManyRequests();
  if (scanned.kind === 'too_many_values') throw tooManyValues(scanned.most);
  if (scanned.kind !== 'scanned') throw badRequest("'requests' is given twice.", { param: 'requests' });
  const { list } = scanned;
  if (list === null) return { body: await readBody(text), requests: null };
  const some = list.items.length === 0 ? '[]' : SOME;
  const body = await readBody(`${text.slice(0, list.from)}${some}${text.slice(list.to)}`);
  return { body, requests: { text, list } };
}

/**
 * The requests that came with a create, each as JSON of its own. What is no text of UTF-8 is lost in that, so their ids are
 * written as results have them.
 */
export function* writingRequests({ text, list }: NonNullable<CreateBody['requests']>): Sliced<string[]> {
  const texts: string[] = [];
  let [bytes, slice] = [0, 0];
  for (const [index, { from, to }] of list.items.entries()) {
    const limits = { depth: LIMITS.jsonDepth, values: LIMITS.jsonValues };
    const request = requestOf(yield* readingJson(text.slice(from, to), limits), index);
    const { custom_id: id } = request;
    const json = yield* writingJson(typeof id === 'string' ? { ...request, custom_id: writtenId(id) } : request);
    texts.push(json);
    bytes += Buffer.byteLength(json) + 1;
    if (bytes > LIMITS.inlineRequestsBytes) throw requestsTooLarge();
    if (to < slice) continue;
    slice = to + SLICE_CHARACTERS;
    yield;
  }
  return texts;
}

/** Of requests that are short each; a long one is cut into slices itself. */
const SLICE_CHARACTERS = 16 * 1024;

function requestOf(read: ReadJson, index: number): JsonObject {
  const param = `requests.${index}`;
  if (read.kind === 'no_json') throw invalidJson();
  if (read.kind === 'beyond') {
    if (read.excess === 'too_many_values') throw tooManyValues(LIMITS.jsonValues, param);
    throw badRequest(`The request is nested deeper than ${LIMITS.jsonDepth} levels.`, { param });
  }
  if (!isJsonObject(read.value)) throw invalidType(param, 'an object', read.value);
  return read.value;
}

export const requestsTooLarge = (): ApiError => {
  const message = `The requests take more than ${LIMITS.inlineRequestsBytes} bytes: upload them as a file.`;
  return new ApiError(413, message, { param: 'requests', code: 'request_too_large' });
};

function tooManyRequests(): ApiError {
  const message = `Invalid 'requests': array too long. Expected at most ${LIMITS.inlineRequests} requests: upload them as a file.`;
  return badRequest(message, { param: 'requests', code: 'array_above_max_length' });
}
