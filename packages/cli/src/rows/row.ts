import { isJsonObject, lineAnswer, parseJson, type ResultLine } from '@spillway/core';

/** A value of a cell: what CSV writes as text, JSON lines and Parquet as what it is. */
export type Cell = unknown;
export type Row = Readonly<Record<string, Cell>>;

/** The answer in columns: each of the schema's fields, or, without a schema, the text. */
export function answerCells(
  line: ResultLine,
  fields: readonly string[] | null,
): { readonly cells: Row; readonly problem: string | null } {
  const text = lineAnswer(line);
  if (fields === null) return { cells: { answer: text }, problem: null };
  const none = Object.fromEntries(fields.map((field) => [field, null]));
  if (text === null) return { cells: none, problem: null };
  const value = parsed(text);
  if (!isJsonObject(value)) return { cells: none, problem: `the answer is no JSON object: ${text}` };
  return { cells: Object.fromEntries(fields.map((field) => [field, value[field] ?? null])), problem: null };
}

/** JSON as models write it, in a block of code as well. */
function parsed(text: string): unknown {
  const trimmed = text.trim();
  if (!trimmed.startsWith(FENCE) || !trimmed.endsWith(FENCE)) return parseJson(trimmed);
  return parseJson(trimmed.slice(trimmed.indexOf('\n') + 1, -FENCE.length));
}

const FENCE = '```';

/** A value of a row by its name, which may be one that every object has. */
export const cellOf = (row: Row, name: string): Cell => (Object.hasOwn(row, name) ? row[name] : undefined);
