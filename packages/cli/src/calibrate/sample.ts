import { setTimeout as delay } from 'node:timers/promises';
import { LIMITS, LineSplitter, SAMPLE_OF_KEY, seededRandom, SHADOW_KEY, type Line } from '@spillway/core';
import { z } from 'zod';
import { UserError, type ApiClient } from '../client.ts';

const batchObject = z.object({
  id: z.string(),
  status: z.string(),
  endpoint: z.string(),
  input_file_id: z.string(),
  request_counts: z.object({ total: z.number(), completed: z.number(), failed: z.number() }),
});

const ENDED = new Set(['completed', 'failed', 'expired', 'cancelled']);
const LOOK_MS = 1_000;

export const readBatch = async (api: ApiClient, id: string) =>
  batchObject.parse(await api.get(`/batches/${encodeURIComponent(id)}`));

/**
 * Draws documents of a batch at random, runs them through every stage as a batch of their own (a shadow run), and waits
 * for its end; that batch's id. Drawing is by reservoir (Vitter's R), so that a large input need not fit into memory.
 */
export async function runSample(
  api: ApiClient,
  source: z.output<typeof batchObject>,
  { count, seed, tell }: { readonly count: number; readonly seed: number; readonly tell: (line: string) => void },
): Promise<string> {
  const random = seededRandom(seed);
  const drawn: unknown[] = [];
  let seen = 0;
  for await (const line of linesOf(await api.text(`/files/${source.input_file_id}/content`))) {
    seen += 1;
    const place = drawn.length < count ? drawn.length : Math.floor(random() * seen);
    if (place < count) drawn[place] = JSON.parse(line);
  }
  tell(`Running ${drawn.length} of ${seen} documents through every stage`);
  const created = batchObject.parse(
    await api.post('/batches', {
      requests: drawn,
      endpoint: source.endpoint,
      completion_window: '24h',
      metadata: { [SHADOW_KEY]: 'true', [SAMPLE_OF_KEY]: source.id },
    }),
  );
  for (;;) {
    const batch = await readBatch(api, created.id);
    if (batch.status === 'completed') return batch.id;
    if (ENDED.has(batch.status)) throw new UserError(`the sample ${batch.id} ended as ${batch.status}`);
    await delay(LOOK_MS);
  }
}

/** The lines of a file that comes in pieces. */
async function* linesOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const splitter = new LineSplitter(LIMITS.lineBytesMax);
  for await (const piece of pieces) yield* textOf(splitter.push(piece));
  yield* textOf(splitter.end());
}

function* textOf(lines: Iterable<Line>): Generator<string> {
  for (const { bytes } of lines) {
    const text = bytes.toString();
    if (text.trim() !== '') yield text;
  }
}
