import { setTimeout as delay } from 'node:timers/promises';
import { runsShadow, SAMPLE_OF_KEY, seededRandom, SHADOW_KEY, writtenId } from '@spillway/core';
import { z } from 'zod';
import { UserError, type ApiClient } from '../client.ts';
import { linesOf } from '../lines.ts';

const batchObject = z.object({
  id: z.string(),
  status: z.string(),
  endpoint: z.string(),
  input_file_id: z.string(),
  metadata: z.record(z.string(), z.string()).nullish(),
  request_counts: z.object({ total: z.number(), completed: z.number(), failed: z.number() }),
});
type BatchObject = z.output<typeof batchObject>;

const ENDED = new Set(['completed', 'failed', 'expired', 'cancelled']);
const LOOK_MS = 1_000;
/** Progress is told this often. */
const STEPS = 10;

export const readBatch = async (api: ApiClient, id: string): Promise<BatchObject> =>
  batchObject.parse(await api.get(`/batches/${encodeURIComponent(id)}`));

/** The batch that a sample was drawn from; a shadow run that its user made is its own. */
export function sourceOf({ id, metadata }: BatchObject): string {
  if (runsShadow(metadata ?? null) !== true) {
    throw new UserError(`${id} is no shadow run: --from names the batch of a sample, which --sample tells`);
  }
  return metadata?.[SAMPLE_OF_KEY] ?? id;
}

/** What is drawn of a batch. */
type Draw = {
  readonly source: BatchObject;
  readonly count: number;
  readonly seed: number;
  /** The documents that may be drawn, by `custom_id`. */
  readonly among: ReadonlySet<string>;
  /** What it will cost, as words. */
  readonly cost: string;
  readonly tell: (line: string) => void;
};

/**
 * Draws documents of a batch at random and makes a batch of their own, in which every stage answers them (a shadow run);
 * its id. Drawing is by reservoir (Vitter's R), so that a large input need not fit into memory.
 */
export async function drawSample(api: ApiClient, { source, count, seed, among, cost, tell }: Draw): Promise<string> {
  const random = seededRandom(seed);
  const drawn: unknown[] = [];
  let seen = 0;
  for await (const line of linesOf(await api.content(source.input_file_id))) {
    const request = JSON.parse(line) as { custom_id?: unknown };
    if (!isAmong(request.custom_id, among)) continue;
    seen += 1;
    const place = drawn.length < count ? drawn.length : Math.floor(random() * seen);
    if (place < count) drawn[place] = request;
  }
  tell(`Running ${drawn.length} of ${seen} documents through every stage, ${cost}`);
  const { id } = batchObject.parse(
    await api.post('/batches', {
      requests: drawn,
      endpoint: source.endpoint,
      completion_window: '24h',
      metadata: { [SHADOW_KEY]: 'true', [SAMPLE_OF_KEY]: source.id },
    }),
  );
  return id;
}

const isAmong = (id: unknown, among: ReadonlySet<string>): boolean =>
  typeof id === 'string' && (among.has(id) || among.has(writtenId(id)));

/** Waits for the end of a sample, and tells how far it is. */
export async function sampleEnds(api: ApiClient, id: string, tell: (line: string) => void): Promise<void> {
  let told = 0;
  for (;;) {
    const { status, request_counts: counts } = await readBatch(api, id);
    const done = counts.completed + counts.failed;
    if (status === 'completed') return;
    if (status === 'failed') throw new UserError(`the sample ${id} failed: see GET /v1/batches/${id}`);
    if (ENDED.has(status)) return tell(`The sample ended as ${status}: ${done} of ${counts.total} are answered`);
    const step = counts.total === 0 ? 0 : Math.floor((STEPS * done) / counts.total);
    if (step > told) tell(`${done} of ${counts.total} are answered`);
    told = Math.max(told, step);
    await delay(LOOK_MS);
  }
}
