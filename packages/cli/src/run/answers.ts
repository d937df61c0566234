import { createReadStream } from 'node:fs';
import { appendFile, mkdir, open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { isJsonObject, LIMITS, LineSplitter, parseJson, type ResultLine } from '@spillway/core';
import { UserError } from '../client.ts';
import { takeLine } from '../results.ts';

const FILE = 'answers.jsonl';
const WRITE_CHARACTERS = 256 * 1024;

type Place = { readonly offset: number; readonly length: number };

/**
 * The answers that a folder remembers, by the digests of their requests. Only their places are in memory (some 150 bytes
 * each). Lines are only ever added; one that was cut off by a crash is passed over.
 */
export class Answers implements AsyncDisposable {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #places: ReadonlyMap<string, Place>;

  private constructor(path: string, file: FileHandle, places: ReadonlyMap<string, Place>) {
    this.#path = path;
    this.#file = file;
    this.#places = places;
  }

  static async open(folder: string): Promise<Answers> {
    const path = join(folder, FILE);
    try {
      await mkdir(folder, { recursive: true });
      const file = await open(path, 'a+', 0o600);
      return new Answers(path, file, await placesIn(path));
    } catch (error) {
      throw new UserError(
        `--state ${folder} cannot be used (${(error as NodeJS.ErrnoException).code ?? String(error)})`,
        {
          cause: error,
        },
      );
    }
  }

  has(digest: string): boolean {
    return this.#places.has(digest);
  }

  /** The result line of a request that was answered before. */
  async lineOf(digest: string): Promise<ResultLine | null> {
    const place = this.#places.get(digest);
    if (place === undefined) return null;
    const bytes = Buffer.alloc(place.length);
    await this.#file.read(bytes, 0, place.length, place.offset);
    const entry = parseJson(bytes.toString());
    return isJsonObject(entry) ? takeLine(entry['line']) : null;
  }

  /** Adds answers, a few at a time; what they are called with is kept with them. */
  adder(): { add(digest: string, line: ResultLine): Promise<void>; flush(): Promise<void> } {
    // Behind what a crash cut off a new line begins.
    let waiting = '\n';
    const flush = async (): Promise<void> => {
      const text = waiting;
      waiting = '';
      if (text.trim() !== '') await appendFile(this.#path, text);
    };
    const add = async (digest: string, line: ResultLine): Promise<void> => {
      waiting += `${JSON.stringify({ digest, line })}\n`;
      if (waiting.length > WRITE_CHARACTERS) await flush();
    };
    return { add, flush };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

async function placesIn(path: string): Promise<Map<string, Place>> {
  const places = new Map<string, Place>();
  const splitter = new LineSplitter(LIMITS.lineBytesMax);
  const take = (lines: ReturnType<LineSplitter['push']>): void => {
    for (const { bytes, offset, tooLong } of lines) {
      const entry = tooLong || bytes.length === 0 ? undefined : parseJson(bytes.toString());
      if (!isJsonObject(entry) || typeof entry['digest'] !== 'string') continue;
      places.set(entry['digest'], { offset, length: bytes.length });
    }
  };
  for await (const piece of createReadStream(path) as AsyncIterable<Buffer>) take(splitter.push(piece));
  take(splitter.end());
  return places;
}
