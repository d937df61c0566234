import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import {
  asyncBufferFromFile,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
  type Compressors,
} from 'hyparquet';
import { UserError } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import type { Row } from '../rows/row.ts';
import { Unreadable } from './decode.ts';
import { rowId, type Found } from './found.ts';
import type { Source } from './source.ts';

/** So many rows are in memory at a time, where the file has them in larger groups. */
const MAX_ROWS = 50_000;

/** The codecs that the library leaves to others; snappy is its own. */
const compressors: Compressors = {
  GZIP: (bytes) => gunzipSync(bytes),
  BROTLI: (bytes) => brotliDecompressSync(bytes),
  ZSTD: (bytes) => zstdDecompressSync(bytes),
};

/** The rows of a Parquet file. */
export async function* readParquet({ name, path }: Source): AsyncGenerator<Found> {
  if (path === null)
    throw new UserError('Parquet cannot be read from standard input: name a file', { exitCode: EXIT.usage });
  let row = 0;
  try {
    const file = await asyncBufferFromFile(path);
    const metadata = await parquetMetadataAsync(file);
    const columns = parquetSchema(metadata).children.map(({ element }) => element.name);
    for (const { from, to } of slices(metadata.row_groups.map(({ num_rows: rows }) => Number(rows)))) {
      const rows = await parquetReadObjects({ file, metadata, rowStart: from, rowEnd: to, compressors });
      for (const values of rows) {
        row += 1;
        const kept: Row = Object.fromEntries(columns.map((column) => [column, jsonOf(values[column])]));
        yield { kind: 'document', id: rowId(name, row), values: kept, kept };
      }
    }
  } catch (error) {
    throw new Unreadable(`cannot be read beyond row ${row}: ${(error as Error).message}`, { cause: error });
  }
  if (row === 0) throw new Unreadable('has no rows');
}

/** The rows that are read at a time: a group, or a part of a large one. */
function* slices(groups: readonly number[]): Generator<{ readonly from: number; readonly to: number }> {
  let start = 0;
  for (const rows of groups) {
    for (let from = 0; from < rows; from += MAX_ROWS) {
      yield { from: start + from, to: start + Math.min(rows, from + MAX_ROWS) };
    }
    start += rows;
  }
}

/** A value as JSON has it. Integers that JSON cannot hold are texts, dates are ISO's. */
function jsonOf(value: unknown): unknown {
  if (value === undefined || value === null) return null;
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value !== 'object') return value;
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(jsonOf);
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, jsonOf(inner)]));
}
