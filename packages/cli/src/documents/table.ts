import { createReadStream } from 'node:fs';
import { pipeline, Readable } from 'node:stream';
import { LIMITS } from '@spillway/core';
import { CsvError, parse } from 'csv-parse';
import type { Row } from '../rows/row.ts';
import { markedEncoding, Unreadable } from './decode.ts';
import { rowId, type Found } from './found.ts';
import type { Source } from './source.ts';

const DELIMITERS = [',', ';', '\t', '|'] as const;

/** The bytes of a source, as they come. */
export const bytesOf = ({ path }: Source): AsyncIterable<Buffer> =>
  path === null ? process.stdin : createReadStream(path);

/** The rows of a table with a header, one after the other, however long it is. */
export async function* readTable(source: Source): AsyncGenerator<Found> {
  const pieces = textOf(bytesOf(source));
  const { value: first = '' } = await pieces.next();
  const parser = parse({
    delimiter: source.kind === 'tsv' ? '\t' : delimiterOf(first),
    bom: true,
    // How many cells a row has is looked at below, where the row can be named.
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: LIMITS.lineBytes,
  });
  // An error of the text ends the parser, which tells it below.
  pipeline(Readable.from(joined(first, pieces)), parser, () => undefined);
  let columns: readonly string[] | null = null;
  let row = 0;
  try {
    for await (const cells of parser as AsyncIterable<string[]>) {
      if (columns === null) {
        columns = columnNames(cells);
        continue;
      }
      row += 1;
      yield foundRow(rowId(source.name, row), columns, cells);
    }
  } catch (error) {
    throw new Unreadable(`cannot be read beyond row ${row}: ${reasonOf(error)}`, { cause: error });
  }
  if (row === 0) throw new Unreadable(columns === null ? 'is empty' : 'has a header and no rows');
}

const reasonOf = (error: unknown): string =>
  error instanceof CsvError || error instanceof Unreadable
    ? error.message
    : ((error as NodeJS.ErrnoException).code ?? String(error));

function foundRow(id: string, columns: readonly string[], cells: readonly string[]): Found {
  if (cells.length !== columns.length) {
    const reason = `has ${cells.length} cells, the header has ${columns.length}`;
    return { kind: 'unreadable', id, reason };
  }
  const kept: Row = Object.fromEntries(columns.map((name, at) => [name, cells[at] ?? '']));
  return { kind: 'document', id, values: kept, kept };
}

/**
 * The names of columns, each once: a second `name` is `name_2`, a column without a name has its number.
 * @internal exported for its test
 */
export function columnNames(header: readonly string[]): string[] {
  const taken = new Set<string>();
  return header.map((given, at) => {
    const name = given.trim() === '' ? `column_${at + 1}` : given.trim();
    let shown = name;
    for (let copy = 2; taken.has(shown); copy += 1) shown = `${name}_${copy}`;
    taken.add(shown);
    return shown;
  });
}

/**
 * What separates the cells of a header: what is most often outside quotes.
 * @internal exported for its test
 */
export function delimiterOf(text: string): string {
  const counts = new Map<string, number>(DELIMITERS.map((one) => [one, 0]));
  let isQuoted = false;
  for (const character of text) {
    if (character === '"') isQuoted = !isQuoted;
    else if (!isQuoted && (character === '\n' || character === '\r')) break;
    else if (!isQuoted && counts.has(character)) counts.set(character, (counts.get(character) ?? 0) + 1);
  }
  return DELIMITERS.reduce((best, one) => ((counts.get(one) ?? 0) > (counts.get(best) ?? 0) ? one : best), ',');
}

async function* joined(first: string, pieces: AsyncIterable<string>): AsyncGenerator<string> {
  yield first;
  yield* pieces;
}

/** Bytes as text, as they come; throws where they are none. */
async function* textOf(pieces: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let decoder: InstanceType<typeof TextDecoder> | null = null;
  let atByte = 0;
  const take = (piece: Uint8Array, isLast: boolean): string => {
    decoder ??= new TextDecoder(markedEncoding(piece) ?? 'utf-8', { fatal: true });
    try {
      return decoder.decode(piece, { stream: !isLast });
    } catch (error) {
      const name = decoder.encoding.toUpperCase();
      throw new Unreadable(`is no text in ${name} (near byte ${atByte}); iconv -f latin1 -t utf-8 may help`, {
        cause: error,
      });
    }
  };
  for await (const piece of pieces) {
    yield take(piece, false);
    atByte += piece.length;
  }
  yield take(new Uint8Array(), true);
}
