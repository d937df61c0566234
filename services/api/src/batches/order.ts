import {
  digest,
  ENDPOINT_URLS,
  isEndpointUrl,
  isJsonObject,
  LIMITS,
  windowMs,
  type EndpointUrl,
  type JsonObject,
} from '@spillway/core';
import { badRequest, invalidType, invalidValue, missingParameter, shown, stringTooLong } from '../errors.ts';
import { checkExpiry } from '../files/expiry.ts';

/** File ids are far shorter; an unknown one is told by the batch. */
const FILE_ID_CHARACTERS = 256;

/** What a client asks of a batch. */
export type BatchOrder = {
  readonly inputFileId: string;
  readonly endpoint: EndpointUrl;
  readonly completionWindow: string;
  readonly windowMs: number;
  readonly metadata: Record<string, string> | null;
  readonly outputExpiresAfterSeconds: number | null;
};

/** Reads the body of a create; the first thing wrong with it is told. */
export function readOrder(body: unknown): BatchOrder {
  if (!isJsonObject(body)) throw badRequest('The body must be a JSON object.', { code: 'invalid_type' });
  const inputFileId = requiredText(body, 'input_file_id');
  if (inputFileId === '')
    throw badRequest("Invalid 'input_file_id': empty string.", { param: 'input_file_id', code: 'empty_string' });
  if (inputFileId.length > FILE_ID_CHARACTERS)
    throw stringTooLong('input_file_id', FILE_ID_CHARACTERS, inputFileId.length);
  const endpoint = requiredText(body, 'endpoint');
  if (!isEndpointUrl(endpoint))
    throw invalidValue('endpoint', endpoint, ENDPOINT_URLS.map((name) => `'${name}'`).join(', '));
  const completionWindow = requiredText(body, 'completion_window');
  const window = windowMs(completionWindow);
  if (window === null) {
    const supported = "'24h', or minutes, hours or days from '1m' to '7d', such as '90m', '12h' and '2d'";
    throw invalidValue('completion_window', completionWindow, supported);
  }
  return {
    inputFileId,
    endpoint,
    completionWindow,
    windowMs: window,
    metadata: readMetadata(body['metadata']),
    outputExpiresAfterSeconds: readOutputExpiry(body['output_expires_after']),
  };
}

/** Tells orders apart: the same Idempotency-Key must come with the same one. */
export function digestOf(order: BatchOrder): string {
  const { inputFileId, endpoint, completionWindow, metadata, outputExpiresAfterSeconds } = order;
  const pairs =
    metadata === null ? null : Object.entries(metadata).toSorted(([left], [right]) => (left < right ? -1 : 1));
  return digest('order', JSON.stringify([inputFileId, endpoint, completionWindow, pairs, outputExpiresAfterSeconds]));
}

function requiredText(body: JsonObject, param: string): string {
  const value = body[param];
  if (value === undefined || value === null) throw missingParameter(param);
  if (typeof value !== 'string') throw invalidType(param, 'a string', value);
  return value;
}

function readOutputExpiry(value: unknown): number | null {
  if (value === undefined || value === null) return null;
  if (!isJsonObject(value)) throw invalidType('output_expires_after', 'an object', value);
  return checkExpiry('output_expires_after', value['anchor'], value['seconds']);
}

function readMetadata(value: unknown): Record<string, string> | null {
  if (value === undefined || value === null) return null;
  if (!isJsonObject(value)) throw invalidType('metadata', 'an object', value);
  const entries = Object.entries(value);
  const { metadataKeys, metadataKeyCharacters, metadataValueCharacters } = LIMITS;
  if (entries.length > metadataKeys) {
    const message =
      `Invalid 'metadata': too many properties. Expected an object with at most ${metadataKeys} properties, ` +
      `but got an object with ${entries.length} properties instead.`;
    throw badRequest(message, { param: 'metadata', code: 'object_above_max_properties' });
  }
  return Object.fromEntries(
    entries.map(([key, text]): [string, string] => {
      const keyLength = characters(key);
      if (keyLength > metadataKeyCharacters) {
        const message =
          `Invalid 'metadata': the name of a property is too long. ` +
          `Expected at most ${metadataKeyCharacters} characters, but got ${keyLength} instead.`;
        throw badRequest(message, { param: 'metadata', code: 'string_above_max_length' });
      }
      const param = `metadata.${shown(key)}`;
      if (typeof text !== 'string') throw invalidType(param, 'a string', text);
      const length = characters(text);
      if (length > metadataValueCharacters) throw stringTooLong(param, metadataValueCharacters, length);
      return [key, text];
    }),
  );
}

/** Characters as the hosted API counts them: one for each code point. */
function characters(text: string): number {
  return Array.from(text).length;
}
