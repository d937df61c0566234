import { performance } from 'node:perf_hooks';
import { requestLine } from '../support/request-line.ts';
import { System, until } from '../support/system.ts';
import { peakMiB } from './processes.ts';

/**
 * Peak resident memory of the API and of the dispatcher for inputs of 1, 20 and 200 MB, each with processes of its own,
 * and how fast files are taken and validated. Usage: node test/bench/upload.ts [characters of a prompt] [repetitions]
 * [distinct | equal]: at a temperature of 0, so that copies are looked for, and none is one or all are.
 *
 * What validation is held against is `JSON.parse` of the same lines, one by one, in this process: nothing that reads a
 * line's fields can be faster.
 */
const SIZES_MB = [1, 20, 200] as const;
const CHARACTERS = Number(process.argv[2] ?? 2_000);
const COLD = process.argv[4];

type Row = {
  readonly mb: number;
  readonly apiMiB: number;
  readonly dispatcherMiB: number;
  readonly uploadMBs: number;
  readonly validateMBs: number;
  readonly parseMBs: number;
};

function* linesOf(bytes: number): Generator<string> {
  const text = 'a document of some length, as they come: '.repeat(CHARACTERS / 40);
  for (let at = 0, sent = 0; sent < bytes; at += 1) {
    const prompt = COLD === 'distinct' ? `${at} ${text}` : text;
    const options = COLD === undefined ? {} : { body: { temperature: 0 } };
    const line = `${requestLine(prompt, `doc-${at}`, options)}\n`;
    sent += line.length;
    yield line;
  }
}

async function measure(mb: number): Promise<Row> {
  await using system = await System.create();
  const [api, dispatcher] = [await system.run('api'), await system.run('dispatcher')];
  await system.admitted();
  const lines = linesOf(mb * 1e6).toArray();
  const blob = new File(lines, 'input.jsonl');
  const megabytes = blob.size / 1e6;
  const uploading = performance.now();
  const file = await system.client.files.create({ file: blob, purpose: 'batch' });
  const uploadS = (performance.now() - uploading) / 1000;
  const order = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
  const validating = performance.now();
  const { id } = await system.client.batches.create(order);
  await until(async () => (await system.client.batches.retrieve(id)).status === 'in_progress', 120_000);
  const validateS = (performance.now() - validating) / 1000;
  const parsing = performance.now();
  for (const line of lines) JSON.parse(line);
  const parseS = (performance.now() - parsing) / 1000;
  return {
    mb,
    apiMiB: peakMiB(api.child.pid),
    dispatcherMiB: peakMiB(dispatcher.child.pid),
    uploadMBs: megabytes / uploadS,
    validateMBs: megabytes / validateS,
    parseMBs: megabytes / parseS,
  };
}

const repetitions = Number(process.argv[3] ?? 1);
for (let round = 0; round < repetitions; round += 1) {
  const rows: Row[] = [];
  for (const mb of SIZES_MB) {
    const row = await measure(mb);
    rows.push(row);
    const shown = Object.entries(row).map(([name, value]) => `${name} ${value.toFixed(0)}`);
    process.stdout.write(`${shown.join('  ')}\n`);
  }
  const [small, , large] = rows;
  if (small === undefined || large === undefined) break;
  const grown = (of: 'apiMiB' | 'dispatcherMiB'): string => (large[of] - small[of]).toFixed(0);
  process.stdout.write(
    `grown from the smallest to the largest: API ${grown('apiMiB')} MiB, dispatcher ${grown('dispatcherMiB')} MiB\n`,
  );
}
