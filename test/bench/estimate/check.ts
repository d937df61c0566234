import { setTimeout as delay } from 'node:timers/promises';
import { toFile } from 'openai';
import { requestLine } from '../../support/request-line.ts';
import { System } from '../../support/system.ts';
import { peakMiB, residentMiB } from '../processes.ts';

/** How long a dry run of a large file takes, what it holds of the API's memory, and how long others wait meanwhile. */
export type CheckedFile = {
  readonly lines: number;
  readonly mebibytes: number;
  readonly seconds: number;
  readonly moreMiB: number;
  /** What other requests wait meanwhile, and while nothing is done. */
  readonly busyMs: Spread;
  readonly idleMs: Spread;
};

type Spread = { readonly median: number; readonly p99: number; readonly most: number };

const POLL_MS = 10;
const IDLE_MS = 5_000;

export async function checkFile(lines: number): Promise<CheckedFile> {
  await using system = await System.create();
  const api = await system.run('api');
  const text = Array.from({ length: lines }, (_, at) =>
    requestLine(`document ${at} ${'word '.repeat(170)}`, `d-${at}`),
  );
  const bytes = Buffer.from(text.join('\n'));
  const { id } = await system.client.files.create({ file: await toFile(bytes, 'input.jsonl'), purpose: 'batch' });
  const before = residentMiB(api.child.pid);
  const live = new URL('/health/live', system.client.baseURL).href;
  const idle = await waitsDuring(live, delay(IDLE_MS));
  const body = { input_file_id: id, endpoint: '/v1/chat/completions', completion_window: '24h' };
  const beganMs = performance.now();
  const busy = await waitsDuring(live, system.client.post('/batches', { body, query: { dry_run: true } }));
  const seconds = (performance.now() - beganMs) / 1000;
  return {
    lines,
    mebibytes: Math.round(bytes.length / 1024 ** 2),
    seconds: Number(seconds.toFixed(1)),
    moreMiB: peakMiB(api.child.pid) - before,
    busyMs: spreadOf(busy),
    idleMs: spreadOf(idle),
  };
}

/** What requests wait that are sent one after the other, with a moment between, until some work is done. */
async function waitsDuring(url: string, work: Promise<unknown>): Promise<readonly number[]> {
  const waits: number[] = [];
  const over = new AbortController();
  const done = work.finally(() => over.abort());
  while (!over.signal.aborted) {
    const sentMs = performance.now();
    await (await fetch(url)).text();
    waits.push(performance.now() - sentMs);
    await delay(POLL_MS);
  }
  await done;
  return waits.toSorted((left, right) => left - right);
}

const spreadOf = (sorted: readonly number[]): Spread => ({
  median: Math.round(sorted[Math.floor(0.5 * sorted.length)] ?? 0),
  p99: Math.round(sorted[Math.floor(0.99 * sorted.length)] ?? 0),
  most: Math.round(sorted.at(-1) ?? 0),
});
