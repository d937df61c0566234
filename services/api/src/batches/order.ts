import {
  BOTH_KEY,
  deeperThan,
  digest,
  isJsonObject,
  LIMITS,
  MAX_USD_KEY,
  maxNanoUsd,
  runsBoth,
  windowMs,
  type EndpointUrl,
} from '@spillway/core';
import { z } from 'zod';
import { badRequest, invalidValue, missingParameter } from '../errors.ts';
import { completionWindow, endpoint, expiresAfter, metadata, text } from '../schemas/parts.ts';
import { read } from '../schemas/read.ts';

/** File ids are far shorter; an unknown one is told by the batch. */
const FILE_ID_CHARACTERS = 256;

/** The body of a create. Keys that are not here are ignored. */
export const orderBody = z
  .object({
    input_file_id: text(FILE_ID_CHARACTERS)
      .min(1)
      .nullish()
      .meta({ description: 'An uploaded file of purpose batch.' }),
    requests: z
      .array(z.looseObject({}))
      .min(1)
      .nullish()
      .meta({ description: 'The request lines themselves, in place of input_file_id; 10 MB at most.' }),
    endpoint,
    completion_window: completionWindow,
    metadata: metadata.nullish(),
    output_expires_after: expiresAfter.nullish(),
  })
  .meta({ id: 'CreateBatch' });

/** What a client asks of a batch. */
export type BatchOrder = {
  readonly input: { readonly fileId: string } | { readonly requests: readonly object[] };
  readonly endpoint: EndpointUrl;
  readonly completionWindow: string;
  readonly windowMs: number;
  readonly metadata: Record<string, string> | null;
  readonly outputExpiresAfterSeconds: number | null;
};

/** Reads the body of a create; the first thing wrong with it is told. */
export function readOrder(body: unknown): BatchOrder {
  // The input first: a body that lacks everything is told of that, as the hosted API does.
  if (isJsonObject(body) && body['input_file_id'] == null && body['requests'] == null) {
    throw missingParameter('input_file_id');
  }
  const asked = read(orderBody, body);
  const { metadata: given = null } = asked;
  if (given !== null && maxNanoUsd(given) === 'invalid') {
    throw invalidValue(`metadata.${MAX_USD_KEY}`, given[MAX_USD_KEY] ?? '', "US dollars above 0, such as '12.50'");
  }
  if (runsBoth(given) === 'invalid') {
    throw invalidValue(`metadata.${BOTH_KEY}`, given?.[BOTH_KEY] ?? '', "'true' and 'false'");
  }
  return {
    input: inputOf(asked),
    endpoint: asked.endpoint,
    completionWindow: asked.completion_window,
    windowMs: windowMs(asked.completion_window) ?? 0,
    metadata: given,
    outputExpiresAfterSeconds: asked.output_expires_after?.seconds ?? null,
  };
}

function inputOf({ input_file_id: fileId, requests }: z.output<typeof orderBody>): BatchOrder['input'] {
  if (typeof fileId === 'string') {
    if (requests == null) return { fileId };
    throw badRequest("Give either 'input_file_id' or 'requests', not both.", { param: 'requests' });
  }
  for (const [index, request] of (requests ?? []).entries()) {
    if (!deeperThan(request, LIMITS.jsonDepth)) continue;
    throw badRequest(`The request is nested deeper than ${LIMITS.jsonDepth} levels.`, { param: `requests.${index}` });
  }
  return { requests: requests ?? [] };
}

/** Tells orders apart: the same Idempotency-Key must come with the same one. */
export function digestOf(order: BatchOrder): string {
  const { input, endpoint: url, completionWindow: window, metadata: given, outputExpiresAfterSeconds } = order;
  const pairs = given === null ? null : Object.entries(given).toSorted(([left], [right]) => (left < right ? -1 : 1));
  const asked = 'fileId' in input ? input.fileId : input.requests;
  return digest('order', JSON.stringify([asked, url, window, pairs, outputExpiresAfterSeconds]));
}
