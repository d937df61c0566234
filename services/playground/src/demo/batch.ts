import { createWriteStream, openAsBlob } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { readBatch, type RedisStore } from '@spillway/redis';
import { pause, SetupError } from '@spillway/runtime';
import { APIError, type OpenAI } from 'openai';
import { ENDPOINT } from './input.ts';
import { bar, describeProgress, recent, type Snapshot } from './progress.ts';
import type { Screen } from './screen.ts';

type Batch = OpenAI.Batches.Batch;

const ENDED: ReadonlySet<string> = new Set(['completed', 'failed', 'expired', 'cancelled']);
const POLL_MS = 250;

/** Uploads a batch file and creates its batch. The file is streamed from the disk, whatever its size. */
export async function submit(client: OpenAI, path: string, signal: AbortSignal): Promise<Batch> {
  const file = new File([await openAsBlob(path)], 'documents.jsonl');
  try {
    const uploaded = await client.files.create({ file, purpose: 'batch' }, { signal });
    return await client.batches.create(
      { input_file_id: uploaded.id, endpoint: ENDPOINT, completion_window: '24h' },
      { signal },
    );
  } catch (error) {
    if (error instanceof APIError && error.status !== undefined && error.status < 500) {
      throw new SetupError(`the API refused the file: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

/** Shows a batch's progress until it has ended. */
export async function follow(
  client: OpenAI,
  redis: RedisStore,
  id: string,
  { screen, signal }: { screen: Screen; signal: AbortSignal },
): Promise<Batch> {
  let history: Snapshot[] = [];
  for (;;) {
    const [batch, state] = await Promise.all([client.batches.retrieve(id, { signal }), readBatch(redis, id)]);
    if (ENDED.has(batch.status)) return batch;
    const counts = batch.request_counts ?? { total: 0, completed: 0, failed: 0 };
    const { accepted, escalated } = state?.counts ?? { accepted: 0, escalated: 0 };
    const now: Snapshot = {
      atMs: performance.now(),
      status: batch.status,
      total: counts.total,
      done: counts.completed + counts.failed,
      split: state === null ? null : { accepted, escalated },
    };
    history = recent(history, now);
    screen.progress(bar(now.done, now.total), describeProgress(history));
    await pause(POLL_MS, signal);
    signal.throwIfAborted();
  }
}

/** Says of a batch that did not complete what is wrong with its file, by line. */
export function describeRefusal(batch: Batch): string {
  const errors = batch.errors?.data ?? [];
  const lines = errors.map(({ line, message, code }) => {
    const place = line === null || line === undefined ? '' : `line ${line}: `;
    return `  ${place}${message ?? ''} (${code ?? 'no code'})`;
  });
  return [`the batch ${batch.id} ended as ${batch.status}`, ...lines].join('\n');
}

export type Downloads = { readonly output: string | null; readonly errors: string | null };

/** Fetches the files of an ended batch into a directory. */
export async function download(
  client: OpenAI,
  batch: Batch,
  directory: string,
  signal: AbortSignal,
): Promise<Downloads> {
  const fetchFile = async (fileId: string | null | undefined, path: string): Promise<string | null> => {
    if (fileId === null || fileId === undefined) return null;
    const response = await client.files.content(fileId, { signal });
    if (response.body === null) throw new Error(`the file ${fileId} came without a body`);
    await pipeline(Readable.fromWeb(response.body), createWriteStream(path), { signal });
    return path;
  };
  return {
    output: await fetchFile(batch.output_file_id, join(directory, `${batch.id}_output.jsonl`)),
    errors: await fetchFile(batch.error_file_id, join(directory, `${batch.id}_error.jsonl`)),
  };
}
