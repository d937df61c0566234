import { readFileSync } from 'node:fs';
import { isJsonObject, parseJson, type JsonObject } from '@spillway/core';
import { UserError } from '../client.ts';

/** A JSON schema of answers as chat completions take it: `{name, schema, strict?}`. */
export type AnswerSchema = { readonly name: string; readonly schema: JsonObject; readonly strict?: boolean };

/** Reads a file with a schema, by itself or as `{"name": …, "schema": …, "strict": true}`. */
export function readSchema(path: string): AnswerSchema {
  const value = parseJson(readText(path, '--schema'));
  if (!isJsonObject(value)) throw new UserError(`--schema ${path}: expected a JSON schema, an object`);
  const inner = isJsonObject(value['json_schema']) ? value['json_schema'] : value;
  if (!isJsonObject(inner['schema'])) return { name: 'answer', schema: value };
  const { name, schema, strict } = inner;
  return {
    name: typeof name === 'string' ? name : 'answer',
    schema,
    ...(typeof strict === 'boolean' ? { strict } : {}),
  };
}

/** The fields of an answer: what becomes columns. */
export function fieldsOfSchema({ schema }: AnswerSchema): string[] {
  const { properties } = schema;
  const fields = isJsonObject(properties) ? Object.keys(properties) : [];
  if (fields.length > 0) return fields;
  throw new UserError('--schema: expected an object with "properties": they become the columns of the results');
}

/** A file's text, or why it cannot be read, in one line. */
export function readText(path: string, option: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    throw new UserError(`${option} ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`, {
      cause: error,
    });
  }
}
