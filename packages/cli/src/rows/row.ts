import { answerText, isJsonObject, parseJson, type ResultLine, type StageAnnotation } from '@spillway/core';

/** A value of a cell: what CSV writes as text, JSON lines and Parquet as what it is. */
export type Cell = unknown;
export type Row = Readonly<Record<string, Cell>>;

/** What is said of every result beside its answer, in this order. */
export const RESULT_COLUMNS = [
  'cascade',
  'model',
  'role',
  'stage',
  'escalated',
  'confidence',
  'reason',
  'error',
] as const;

/** The confidence of a document is that of the stage that was judged last. */
const judgedLast = (stages: readonly StageAnnotation[]): StageAnnotation | undefined =>
  stages.findLast(({ confidence }) => confidence !== null);

/** Why a document has no answer; null: it has one. */
export function errorOf({ response, error }: Pick<ResultLine, 'response' | 'error'>): string | null {
  if (error !== null) return `${error.code}: ${error.message}`;
  if (response === null) return 'no response';
  if (response.status_code < 400) return null;
  const { body } = response;
  const inner = isJsonObject(body) ? body['error'] : undefined;
  const message = isJsonObject(inner) && typeof inner['message'] === 'string' ? inner['message'] : JSON.stringify(body);
  return `${response.status_code}: ${message}`;
}

/** The text of an answer; null for a document without one. */
export const answerOf = (line: ResultLine): string | null =>
  line.response === null || line.response.status_code >= 400 ? null : answerText(line.response.body);

/** What was decided for a document and why. */
export function resultCells(line: ResultLine): Record<(typeof RESULT_COLUMNS)[number], Cell> {
  const { cascade } = line;
  const stages = cascade?.stages ?? [];
  return {
    cascade: cascade?.name ?? null,
    model: cascade?.model ?? null,
    role: cascade?.role ?? null,
    stage: cascade?.stage ?? null,
    escalated: cascade?.escalated ?? null,
    confidence: judgedLast(stages)?.confidence ?? null,
    reason: stages.findLast(({ reason }) => reason !== null)?.reason ?? null,
    error: errorOf(line),
  };
}

/** The answer in columns: each of the schema's fields, or, without a schema, the text. */
export function answerCells(
  line: ResultLine,
  fields: readonly string[] | null,
): { readonly cells: Row; readonly problem: string | null } {
  const text = answerOf(line);
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

/** A value as the text that stands for it in a prompt, or in CSV. */
export function cellText(value: Cell): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}
