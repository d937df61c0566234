import { cellText } from '@spillway/core/prompt';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BasicType } from 'hyparquet-writer';
import { ByteWriter, ParquetWriter, schemaFromColumnData } from 'hyparquet-writer';
import { linesOf } from '../lines.ts';
import { cellOf, type Cell, type Row } from './row.ts';
import { openFile, type Sink } from './sink.ts';
import type { RowWriter } from './writer.ts';

/** So many rows are in memory at a time; readers like large groups, and rows may be long. */
const GROUP_ROWS = 10_000;
const GROUP_CHARACTERS = 32 * 1024 * 1024;

/** What a column's values are; `none`: all are null so far. */
type Kind = 'none' | 'boolean' | 'integer' | 'number' | 'text';

const TYPES: Readonly<Record<Kind, BasicType>> = {
  none: 'STRING',
  boolean: 'BOOLEAN',
  integer: 'INT64',
  number: 'DOUBLE',
  text: 'STRING',
};

function kindOf(value: Cell): Kind {
  if (value === null || value === undefined) return 'none';
  if (typeof value === 'boolean') return 'boolean';
  if (typeof value === 'number') return Number.isSafeInteger(value) ? 'integer' : 'number';
  return 'text';
}

/** The kind of a column that has values of both. */
function joined(one: Kind, other: Kind): Kind {
  if (one === other || other === 'none') return one;
  if (one === 'none') return other;
  const isNumber = (kind: Kind): boolean => kind === 'integer' || kind === 'number';
  return isNumber(one) && isNumber(other) ? 'number' : 'text';
}

function stored(value: Cell, kind: Kind): unknown {
  if (value === null || value === undefined) return null;
  if (kind === 'integer') return BigInt(value as number);
  return kind === 'text' ? cellText(value) : value;
}

/**
 * Rows as Parquet. The type of a column is known when its last value is, so the rows go to a file beside, and from there,
 * a group at a time, where they belong.
 */
export class ParquetRows implements RowWriter {
  readonly #sink: Sink;
  readonly #columns: readonly string[];
  readonly #kinds: Kind[];
  #beside: Promise<{ readonly folder: string; readonly rows: Sink }> | null = null;

  constructor(sink: Sink, columns: readonly string[]) {
    this.#sink = sink;
    this.#columns = columns;
    this.#kinds = columns.map(() => 'none');
  }

  async write(row: Row): Promise<void> {
    const { rows } = await (this.#beside ??= openBeside());
    const cells = this.#columns.map((column) => cellOf(row, column) ?? null);
    for (const [at, cell] of cells.entries()) this.#kinds[at] = joined(this.#kinds[at] ?? 'none', kindOf(cell));
    await rows.write(`${JSON.stringify(cells)}\n`);
  }

  async end(): Promise<void> {
    const { folder, rows } = await (this.#beside ??= openBeside());
    try {
      await rows.end();
      await this.#writeFrom(join(folder, 'rows.jsonl'));
      await this.#sink.end();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async abandon(): Promise<void> {
    await this.#sink.abandon();
    const beside = await this.#beside;
    if (beside === null) return;
    await beside.rows.abandon();
    await rm(beside.folder, { recursive: true, force: true });
  }

  async #writeFrom(path: string): Promise<void> {
    const bytes = new ByteWriter();
    const types = this.#columns.map((name, at) => ({ name, data: [], type: TYPES[this.#kinds[at] ?? 'none'] }));
    const writer = new ParquetWriter({ writer: bytes, schema: schemaFromColumnData({ columnData: types }) });
    let group: Cell[][] = [];
    let characters = 0;
    const flush = async (): Promise<void> => {
      if (group.length > 0) {
        const columnData = types.map(({ name }, at) => ({
          name,
          data: group.map((cells) => stored(cells[at], this.#kinds[at] ?? 'none')),
        }));
        await writer.write({ columnData, rowGroupSize: GROUP_ROWS });
      }
      [group, characters] = [[], 0];
      await this.#sink.write(taken(bytes));
    };
    for await (const line of linesOf(createReadStream(path))) {
      group.push(JSON.parse(line) as Cell[]);
      characters += line.length;
      if (group.length >= GROUP_ROWS || characters >= GROUP_CHARACTERS) await flush();
    }
    await flush();
    await writer.finish();
    await this.#sink.write(taken(bytes));
  }
}

async function openBeside() {
  const folder = await mkdtemp(join(tmpdir(), 'spillway-rows-'));
  return { folder, rows: openFile(join(folder, 'rows.jsonl')) };
}

/** Takes away the bytes that are done; places in the file go on counting. */
function taken(bytes: ByteWriter): Uint8Array {
  const done = bytes.getBytes().slice();
  bytes.index = 0;
  return done;
}
