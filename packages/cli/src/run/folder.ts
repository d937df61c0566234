import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJson } from '@spillway/core';
import { z } from 'zod';
import { FORMATS } from '../rows/format.ts';
import { runsFolder, type Env } from '../settings.ts';

/** What is written down of a run before its batch is made, so that whoever looks later can end it. */
const record = z.object({
  /** Null: it is not made, or nobody got to write its id down. The key makes sure that it is made once. */
  batch: z.string().nullable(),
  key: z.string(),
  create: z.record(z.string(), z.unknown()),
  out: z.string().nullable(),
  format: z.enum(FORMATS),
  escapesFormulas: z.boolean(),
  /** The columns of the input. */
  columns: z.array(z.string()),
  idColumn: z.string().nullable(),
  fields: z.array(z.string()).nullable(),
  state: z.string().nullable(),
  cascade: z.string(),
});

export type RunRecord = z.output<typeof record>;

const RECORD = 'run.json';
/** Longer than reading documents takes, and, of an ordered run, longer than its batch's window and its owner's holidays. */
const LEFT_MS = { unordered: 24 * 60 * 60_000, ordered: 60 * 24 * 60 * 60_000 };

/** A run's own folder: its documents in their order, what was asked, and the record of it. */
export class RunFolder {
  readonly path: string;
  #isOrdered = false;

  private constructor(path: string) {
    this.path = path;
  }

  static async make(env: Env): Promise<RunFolder> {
    await removeLeft(runsFolder(env));
    const path = join(runsFolder(env), randomUUID());
    await mkdir(path, { recursive: true, mode: 0o700 });
    return new RunFolder(path);
  }

  /** The runs that have not ended. */
  static async all(env: Env): Promise<{ readonly folder: RunFolder; readonly run: RunRecord }[]> {
    const folder = runsFolder(env);
    const names = existsSync(folder) ? await readdir(folder) : [];
    const read = await Promise.all(
      names.map(async (name) => {
        const run = new RunFolder(join(folder, name));
        const found = await run.#read();
        return found === null ? [] : [{ folder: run, run: found }];
      }),
    );
    return read.flat();
  }

  get rows(): string {
    return join(this.path, 'rows.jsonl');
  }

  get requests(): string {
    return join(this.path, 'requests.jsonl');
  }

  /** Whether its batch may be there: what is needed to end it must stay. */
  get isOrdered(): boolean {
    return this.#isOrdered;
  }

  async write(run: RunRecord): Promise<void> {
    this.#isOrdered = true;
    const path = join(this.path, RECORD);
    await writeFile(`${path}.part`, JSON.stringify(run));
    await rename(`${path}.part`, path);
  }

  /** What is uploaded lies at the API. */
  async removeRequests(): Promise<void> {
    await rm(this.requests, { force: true });
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }

  async #read(): Promise<RunRecord | null> {
    const text = await readFile(join(this.path, RECORD), 'utf8').catch(() => '');
    return record.safeParse(parseJson(text)).data ?? null;
  }
}

/** A run that was killed while it read its documents left what nobody will ask for; so does one that nobody came back to. */
async function removeLeft(folder: string): Promise<void> {
  const names = existsSync(folder) ? await readdir(folder) : [];
  for (const name of names) {
    const path = join(folder, name);
    const found = await stat(path).catch(() => null);
    const limitMs = existsSync(join(path, RECORD)) ? LEFT_MS.ordered : LEFT_MS.unordered;
    if (found !== null && Date.now() - found.mtimeMs > limitMs) await rm(path, { recursive: true, force: true });
  }
}
