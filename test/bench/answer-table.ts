import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

/** A file that cannot be judged; its message says where and what was expected. */
export class TableError extends Error {
  override readonly name = 'TableError';
}

/**
 * A table of models' answers: per model M its answer `M.ans` to each question, and numbers that say how sure it was of it.
 */
export type AnswerTable = {
  readonly path: string;
  readonly names: readonly string[];
  readonly models: readonly string[];
  /** The cells of each line. */
  readonly rows: readonly (readonly string[])[];
};

/** Reads a table from CSV without quotes, plain or gzipped. */
export function openTable(path: string): AnswerTable {
  const text = textOf(path).replace(/^\uFEFF/, '');
  const [head = '', ...lines] = text.split(/\r?\n/).filter((line) => line !== '');
  const names = head.split(',').map((name) => name.trim());
  const models = names.flatMap((one) => (one.endsWith('.ans') ? [one.slice(0, -'.ans'.length)] : []));
  if (models.length === 0) throw new TableError(`${path}: no column M.ans of any model M`);
  const rows = lines.map((line, at) => {
    const cells = line.split(',');
    if (cells.length === names.length) return cells;
    throw new TableError(`${path}, line ${at + 2}: expected ${names.length} cells, got ${cells.length}`);
  });
  return { path, names, models, rows };
}

function textOf(path: string): string {
  const bytes = readFileSync(path);
  const isZipped = bytes[0] === 0x1f && bytes[1] === 0x8b;
  try {
    return (isZipped ? gunzipSync(bytes) : bytes).toString('utf8');
  } catch (error) {
    throw new TableError(`${path}: cannot be unzipped: ${(error as Error).message}`, { cause: error });
  }
}

/** Where a column is; a model that the table has not is told with those that it has. */
export function columnOf({ path, names, models }: AnswerTable, model: string, column: string): number {
  if (!models.includes(model)) {
    throw new TableError(`${path}: no column ${model}.ans; its models are ${models.join(', ')}`);
  }
  const at = names.indexOf(`${model}.${column}`);
  if (at === -1) throw new TableError(`${path}: no column ${model}.${column}`);
  return at;
}

/** The number of a cell; a cell that is empty or none is told with its line. */
export function numberAt({ path, names }: AnswerTable, row: readonly string[], index: number, at: number): number {
  const cell = row[at]?.trim() ?? '';
  const value = Number(cell);
  if (cell !== '' && Number.isFinite(value)) return value;
  throw new TableError(`${path}, line ${index + 2}: expected a number as ${names[at]}, got "${cell}"`);
}
