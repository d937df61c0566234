import { cellText } from '@spillway/core/prompt';
import { isJsonObject, LIMITS } from '@spillway/core';
import { bytes, count } from '@spillway/core/amounts';
import { UserError } from '../client.ts';
import { readSource } from '../documents/read.ts';
import type { Found } from '../documents/found.ts';
import { sourcesOf, type Kind, type Source } from '../documents/source.ts';
import { EXIT } from '../exit-codes.ts';
import { cellOf, type Row } from '../rows/row.ts';
import { openFile, type Sink } from '../rows/sink.ts';
import type { Answers } from './answers.ts';
import type { RunFolder } from './folder.ts';
import type { RunOptions } from './options.ts';
import { digestOf, type RequestMaker } from './request.ts';

/** A document as it is written down for the end of the run. */
export type Gathered = {
  readonly id: string;
  readonly input: Row;
  /** Of its request; null: it could not be read. */
  readonly digest: string | null;
  /** Where its answer comes from: the batch, or the answers that are remembered. */
  readonly from: 'batch' | 'state' | 'nowhere';
  readonly problem: string | null;
};

/** What was found, in numbers. */
export type Tally = {
  readonly columns: readonly string[];
  readonly endpoint: string;
  readonly asked: number;
  readonly remembered: number;
  readonly kinds: ReadonlyMap<Kind, number>;
  readonly unreadable: number;
  readonly requestBytes: number;
  readonly idColumn: string | null;
};

export type Gathering = {
  readonly options: RunOptions;
  readonly folder: RunFolder;
  readonly maker: RequestMaker;
  readonly answers: Answers | null;
  readonly signal: AbortSignal;
  readonly onUnreadable: (line: string) => void;
  readonly onDocument: (documents: number) => void;
};

/** So many are named; the others are counted. */
const MAX_NAMED = 10;
const DEFAULT_ID = 'custom_id';

/** Reads all documents once, one after the other, and writes down what is to be asked and what is to be joined. */
export async function gather(gathering: Gathering): Promise<Tally> {
  const { options, folder, signal } = gathering;
  const { paths, from, out, state } = options;
  const except = [...(out === null ? [] : [out, `${out}.part`]), ...(state === null ? [] : [state])];
  await using writer = new Gatherer(gathering, openFile(folder.rows), openFile(folder.requests));
  for await (const source of sourcesOf({ paths, kind: from, except })) {
    for await (const found of readSource(source)) {
      signal.throwIfAborted();
      await writer.take(found, source);
    }
  }
  return await writer.end();
}

class Gatherer implements AsyncDisposable {
  readonly #gathering: Gathering;
  readonly #rows: Sink;
  readonly #requests: Sink;
  readonly #columns = new Set<string>();
  readonly #kinds = new Map<Kind, number>();
  /** Of documents that name theirs; places differ by themselves. */
  readonly #ids = new Set<string>();
  #idColumn: string | null = null;
  #endpoint: string | null = null;
  #asked = 0;
  #remembered = 0;
  #unreadable = 0;
  #requestBytes = 0;
  #isWhole = false;

  constructor(gathering: Gathering, rows: Sink, requests: Sink) {
    this.#gathering = gathering;
    this.#rows = rows;
    this.#requests = requests;
  }

  async take(found: Found, { kind, name }: Source): Promise<void> {
    if (found.kind === 'unreadable') return await this.#skip(found.id, found.reason);
    this.#kinds.set(kind, (this.#kinds.get(kind) ?? 0) + 1);
    this.#gathering.onDocument(this.#asked + this.#remembered);
    const request = this.#gathering.maker.requestOf(found, name);
    this.#endpoint ??= request.url;
    if (request.url !== this.#endpoint)
      throw new UserError(`${found.id} asks ${request.url}, others ${this.#endpoint}: a batch has one endpoint`);
    const input = found.kind === 'document' ? found.kept : {};
    const id = this.#idOf(found);
    const line = JSON.stringify({ custom_id: id, method: 'POST', ...request });
    const size = Buffer.byteLength(line) + 1;
    if (size > LIMITS.lineBytes) return await this.#skip(id, `is larger than ${bytes(LIMITS.lineBytes)}`);
    for (const column of Object.keys(input)) this.#columns.add(column);
    const digest = digestOf(request);
    const isKnown = this.#gathering.answers?.has(digest) === true;
    await this.#writeRow({ id, input, digest, from: isKnown ? 'state' : 'batch', problem: null });
    if (isKnown) {
      this.#remembered += 1;
      return;
    }
    this.#asked += 1;
    this.#requestBytes += size;
    if (this.#asked > LIMITS.batchLines || this.#requestBytes > LIMITS.uploadBytes) throw tooMuch();
    await this.#requests.write(`${line}\n`);
  }

  async #skip(id: string, reason: string): Promise<void> {
    const { options, onUnreadable } = this.#gathering;
    if (options.onUnreadable === 'stop')
      throw new UserError(`${id} ${reason} (--on-unreadable skip goes on without it)`);
    this.#unreadable += 1;
    if (this.#unreadable <= MAX_NAMED) onUnreadable(`skipped: ${id} ${reason}`);
    await this.#writeRow({ id, input: {}, digest: null, from: 'nowhere', problem: `unreadable: ${reason}` });
  }

  async #writeRow(row: Gathered): Promise<void> {
    await this.#rows.write(`${JSON.stringify(row)}\n`);
  }

  /** By the column that was named, by one that is called `custom_id`, or by the place. */
  #idOf(found: Extract<Found, { kind: 'document' | 'request' }>): string {
    if (found.kind === 'request') return this.#unique(found.id, found.id);
    const named = this.#gathering.options.id ?? (Object.hasOwn(found.kept, DEFAULT_ID) ? DEFAULT_ID : null);
    if (named === null)
      return found.id.length <= LIMITS.customIdCharacters ? found.id : this.#unique(ending(found.id), found.id);
    if (!Object.hasOwn(found.values, named)) {
      const columns = Object.keys(found.values).join(', ');
      throw new UserError(`--id ${named}: ${found.id} has no such column: there are ${columns}`, {
        exitCode: EXIT.usage,
      });
    }
    this.#idColumn = named;
    const id = cellText(cellOf(found.values, named));
    if (id === '' || id.length > LIMITS.customIdCharacters)
      throw new UserError(
        `${found.id}: an id has 1 to ${LIMITS.customIdCharacters} characters, ${named} has ${id.length}`,
      );
    return this.#unique(id, found.id);
  }

  #unique(id: string, place: string): string {
    if (this.#ids.has(id))
      throw new UserError(
        `${place} has the id ${JSON.stringify(id)}, as an earlier document has: ids must differ (--id)`,
      );
    this.#ids.add(id);
    return id;
  }

  async end(): Promise<Tally> {
    if (this.#unreadable > MAX_NAMED)
      this.#gathering.onUnreadable(`skipped: ${count(this.#unreadable - MAX_NAMED)} more`);
    await this.#rows.end();
    await this.#requests.end();
    this.#isWhole = true;
    return {
      columns: [...this.#columns],
      endpoint: this.#endpoint ?? '/v1/chat/completions',
      asked: this.#asked,
      remembered: this.#remembered,
      kinds: this.#kinds,
      unreadable: this.#unreadable,
      requestBytes: this.#requestBytes,
      idColumn: this.#idColumn,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isWhole) return;
    await this.#rows.abandon();
    await this.#requests.abandon();
  }
}

/** Of a path that is longer than ids may be. */
const ending = (id: string): string => `…${id.slice(1 - LIMITS.customIdCharacters)}`;

const tooMuch = (): UserError =>
  new UserError(
    `that is more than a batch takes (${count(LIMITS.batchLines)} documents, ${bytes(LIMITS.uploadBytes)} of requests): run parts of it, each with its own --out`,
  );

/** Reads a row that was written down. */
export function readGathered(text: string): Gathered {
  const value: unknown = JSON.parse(text);
  if (!isJsonObject(value)) throw new TypeError('no row');
  return value as unknown as Gathered;
}
