import { cellText } from '@spillway/core/prompt';
import { once } from 'node:events';
import { stringify, type Stringifier } from 'csv-stringify';
import type { Format } from './format.ts';
import { cellOf, type Row } from './row.ts';
import type { Sink } from './sink.ts';

/** Takes rows one after the other; what it is given is whole when `end` has returned. */
export type RowWriter = { write(row: Row): Promise<void>; end(): Promise<void>; abandon(): Promise<void> };

export type WriterOptions = {
  readonly columns: readonly string[];
  /** Puts an apostrophe before what a spreadsheet would take for a formula. */
  readonly escapesFormulas: boolean;
};

/** A writer of rows with these columns. */
export async function openWriter(format: Format, sink: Sink, options: WriterOptions): Promise<RowWriter> {
  if (format === 'jsonl') return jsonlWriter(sink, options);
  if (format === 'csv') return csvWriter(sink, options);
  // Few need it, and it takes a while to load.
  const { ParquetRows } = await import('./parquet-rows.ts');
  return new ParquetRows(sink, options.columns);
}

const jsonlWriter = (sink: Sink, { columns }: WriterOptions): RowWriter => ({
  write: async (row) => {
    const cells = Object.fromEntries(columns.map((column) => [column, cellOf(row, column) ?? null]));
    await sink.write(`${JSON.stringify(cells)}\n`);
  },
  end: () => sink.end(),
  abandon: () => sink.abandon(),
});

/**
 * CSV that reads back as it was written: by default nothing is put before a text that a spreadsheet takes for a formula.
 * A lone carriage return is quoted as well, which many readers take for the end of a line.
 */
function csvWriter(sink: Sink, { columns, escapesFormulas }: WriterOptions): RowWriter {
  const csv = stringify({ escape_formulas: escapesFormulas, quoted_match: /[\r\n]|^\s|\s$/ });
  const drained = drain(csv, sink);
  // Whoever writes is told by the next write, or by the end.
  drained.catch(() => undefined);
  const put = async (cells: readonly string[]): Promise<void> => {
    if (!csv.write(cells)) await Promise.race([once(csv, 'drain'), drained]);
  };
  const head = put(columns);
  return {
    write: async (row) => {
      await head;
      await put(columns.map((column) => cellText(cellOf(row, column))));
    },
    end: async () => {
      csv.end();
      await drained;
      await sink.end();
    },
    abandon: async () => {
      csv.destroy();
      await sink.abandon();
    },
  };
}

async function drain(csv: Stringifier, sink: Sink): Promise<void> {
  for await (const text of csv) await sink.write(text as Buffer);
}
