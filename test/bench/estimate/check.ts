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
  /** Of requests that are sent every 10 ms: the longest wait, and that of 99 in 100. */
  readonly longestMs: number;
  readonly p99Ms: number;
};

const POLL_MS = 10;

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
  const waits: number[] = [];
  let isOver = false;
  const polling = (async () => {
    while (!isOver) {
      const sentMs = performance.now();
      await (await fetch(live)).text();
      waits.push(performance.now() - sentMs);
      await delay(POLL_MS);
    }
  })();
  const body = { input_file_id: id, endpoint: '/v1/chat/completions', completion_window: '24h' };
  const beganMs = performance.now();
  await system.client.post('/batches', { body, query: { dry_run: true } });
  const seconds = (performance.now() - beganMs) / 1000;
  isOver = true;
  await polling;
  const sorted = waits.toSorted((left, right) => left - right);
  return {
    lines,
    mebibytes: Math.round(bytes.length / 1024 ** 2),
    seconds: Number(seconds.toFixed(1)),
    moreMiB: peakMiB(api.child.pid) - before,
    longestMs: Math.round(sorted.at(-1) ?? 0),
    p99Ms: Math.round(sorted[Math.floor(0.99 * sorted.length)] ?? 0),
  };
}
