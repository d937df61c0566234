import {
  BAD_LINES_TO,
  DEDUPLICATE_KEY,
  ON_BAD_LINES_KEY,
  SHADOW_KEY,
  clientLabels,
  digest,
  digestingPieces,
  isJsonObject,
  LIMITS,
  MAX_USD_KEY,
  maxNanoUsd,
  onBadLines,
  readThresholdSettings,
  OWN_LABELS,
  runsShadow,
  unknownSetting,
  wantsDeduplicated,
  windowMs,
  type EndpointUrl,
  type JsonObject,
  type SettingProblem,
  type Sliced,
  type ThresholdSettings,
} from '@spillway/core';
import { z } from 'zod';
import { badRequest, invalidValue, missingParameter, tooManyProperties, unknownKey, shown } from '../errors.ts';
import { completionWindow, endpoint, expiresAfter, label, metadata, text } from '../schemas/parts.ts';
import { read } from '../schemas/read.ts';

/** File ids are far shorter; an unknown one makes the batch fail. */
const MAX_FILE_ID_CHARACTERS = 256;

/** The body of a create. Other keys are ignored, and named in the answer's header. */
export const orderBody = z
  .object({
    input_file_id: text(MAX_FILE_ID_CHARACTERS)
      .min(1)
      .nullish()
      .meta({ description: 'The id of an uploaded file of purpose batch.' }),
    requests: z
      .array(z.looseObject({}))
      .min(1)
      .nullish()
      .meta({
        description: `The request lines themselves, in place of input_file_id; 10 MiB and ${LIMITS.inlineRequests} lines at most.`,
      }),
    endpoint,
    completion_window: completionWindow,
    metadata: metadata.nullish(),
    output_expires_after: expiresAfter.nullish(),
  })
  .meta({
    id: 'CreateBatch',
    description: 'Exactly one of input_file_id and requests is given; null counts as not given.',
    oneOf: [
      { required: ['input_file_id'], properties: { input_file_id: { type: 'string' } } },
      { required: ['requests'], properties: { requests: { type: 'array' } } },
    ],
  });

/** The keys that the body of a create may have. */
export const ORDER_KEYS: readonly string[] = Object.keys(orderBody.shape);

/** What a client asks of a batch. */
export type BatchOrder = {
  /** Requests that came with it are read by themselves. */
  readonly input: { readonly fileId: string } | 'requests';
  readonly endpoint: EndpointUrl;
  readonly completionWindow: string;
  readonly windowMs: number;
  readonly metadata: Record<string, string> | null;
  /** What the metadata say of the cascades' thresholds. */
  readonly thresholds: ThresholdSettings;
  readonly outputExpiresAfterSeconds: number | null;
};

/** Reads the body of a create; refuses it for the first thing that is wrong with it. */
export function readOrder(body: unknown): BatchOrder {
  // The input first: a body that lacks everything is refused for that, as by the hosted API.
  if (isJsonObject(body) && body['input_file_id'] == null && body['requests'] == null) {
    throw missingParameter('input_file_id');
  }
  const labels = isJsonObject(body) ? body['metadata'] : null;
  if (isJsonObject(labels)) refuseLabels(labels);
  const asked = read(orderBody, body);
  // As it came: what reads it passes over a label that is called `__proto__`.
  const given = asked.metadata == null ? null : (labels as Record<string, string>);
  const unknown = unknownSetting(given);
  if (unknown !== null) throw unknownKey('metadata', unknown);
  if (given !== null && maxNanoUsd(given) === 'invalid') {
    throw invalidValue(`metadata.${MAX_USD_KEY}`, given[MAX_USD_KEY] ?? '', "US dollars above 0, such as '12.50'");
  }
  if (runsShadow(given) === 'invalid') {
    throw invalidValue(`metadata.${SHADOW_KEY}`, given?.[SHADOW_KEY] ?? '', "'true' and 'false'");
  }
  if (wantsDeduplicated(given) === 'invalid') {
    throw invalidValue(`metadata.${DEDUPLICATE_KEY}`, given?.[DEDUPLICATE_KEY] ?? '', "'true' and 'false'");
  }
  if (onBadLines(given) === 'invalid') {
    const allowed = BAD_LINES_TO.map((one) => `'${one}'`).join(' and ');
    throw invalidValue(`metadata.${ON_BAD_LINES_KEY}`, given?.[ON_BAD_LINES_KEY] ?? '', allowed);
  }
  const thresholds = readThresholdSettings(given);
  if (thresholds.kind === 'problem') throw unfitThresholds(given, thresholds);
  return {
    input: inputOf(asked),
    endpoint: asked.endpoint,
    completionWindow: asked.completion_window,
    windowMs: windowMs(asked.completion_window) ?? 0,
    metadata: given,
    thresholds,
    outputExpiresAfterSeconds: asked.output_expires_after?.seconds ?? null,
  };
}

/** A setting of thresholds that cannot be. */
export const unfitThresholds = (
  given: Readonly<Record<string, string>> | null,
  { key, expected }: SettingProblem,
): Error =>
  badRequest(`Invalid value: '${shown(given?.[key] ?? '')}'. Expected ${expected}.`, {
    param: `metadata.${key}`,
    code: 'invalid_value',
  });

function inputOf({ input_file_id: fileId, requests }: z.output<typeof orderBody>): BatchOrder['input'] {
  if (typeof fileId === 'string') {
    if (requests == null) return { fileId };
    throw badRequest("Give either 'input_file_id' or 'requests', not both.", { param: 'requests' });
  }
  return 'requests';
}

/** Counts the labels before they are looked at one by one. */
function refuseLabels(labels: JsonObject): void {
  const { length } = Object.keys(labels);
  const isOver = length > LIMITS.metadataKeys + OWN_LABELS.length || clientLabels(labels) > LIMITS.metadataKeys;
  if (isOver) throw tooManyProperties('metadata', LIMITS.metadataKeys, length);
  if (Object.hasOwn(labels, '__proto__')) read(label, labels['__proto__'], ['metadata', '__proto__']);
}

/**
 * The digest of an order and the requests that came with it: the same for equal orders only, as the same Idempotency-Key
 * must come with the same order.
 */
export function* digestingOrder(order: BatchOrder, requests: readonly string[] | null): Sliced<string> {
  const { input, endpoint: url, completionWindow: window, metadata: given, outputExpiresAfterSeconds } = order;
  const pairs = given === null ? null : Object.entries(given).toSorted(([left], [right]) => (left < right ? -1 : 1));
  const rest = [url, window, pairs, outputExpiresAfterSeconds];
  if (input !== 'requests') return digest('order', JSON.stringify([input.fileId, ...rest]));
  const list = (requests ?? []).map((request, index) => (index === 0 ? request : `,${request}`));
  return yield* digestingPieces('order', ['[[', ...list, '],', JSON.stringify(rest).slice(1)]);
}
