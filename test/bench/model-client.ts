/**
 * CPU per call of the model client against the SDK on its own `fetch`, in one run against one server process.
 * `node test/bench/model-client.ts [calls]` prints one JSON line. Rounds alternate, so that a busy machine hits both.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { openModel } from '@spillway/models';
import { OpenAI } from 'openai';

const CONCURRENCY = 16;
const ROUNDS = 4;

type Ask = () => Promise<void>;

async function startServer() {
  const child = spawn(process.execPath, [new URL('../support/model-server.ts', import.meta.url).pathname], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { child, baseURL: (JSON.parse(line) as { baseURL: string }).baseURL };
}

/** CPU milliseconds and wall milliseconds of so many calls. */
async function measure(ask: Ask, calls: number) {
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  let left = calls;
  const lane = async () => {
    while (left-- > 0) await ask();
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, lane));
  const used = process.cpuUsage(cpu);
  return { cpuMs: (used.user + used.system) / 1000, wallMs: performance.now() - startMs };
}

async function main(): Promise<void> {
  const calls = Number(process.argv[2] ?? 2000);
  const { child, baseURL } = await startServer();
  const body = { model: 'cascade', messages: [{ role: 'user', content: 'a document of some length '.repeat(40) }] };
  const { signal } = new AbortController();
  await using ours = openModel({ baseURL, model: 'any', apiKey: 'k', timeoutMs: 10_000, connections: CONCURRENCY });
  const stock = new OpenAI({ baseURL, apiKey: 'k', maxRetries: 0 });

  const asks: Record<'ours' | 'stock', Ask> = {
    ours: async () => {
      const attempt = await ours.complete({
        endpoint: '/v1/chat/completions',
        body,
        logprobs: true,
        timeoutMs: 10_000,
        signal,
      });
      if (attempt.kind !== 'completed') throw new Error(`the bench's server failed: ${attempt.kind}`);
    },
    stock: async () => {
      await stock.chat.completions.create({
        model: 'any',
        logprobs: true,
        messages: [{ role: 'user', content: body.messages[0]?.content ?? '' }],
      });
    },
  };
  const spent = { ours: { cpuMs: 0, wallMs: 0 }, stock: { cpuMs: 0, wallMs: 0 } };
  for (const name of ['ours', 'stock'] as const) await measure(asks[name], calls);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const name of ['ours', 'stock'] as const) {
      const { cpuMs, wallMs } = await measure(asks[name], calls);
      spent[name].cpuMs += cpuMs;
      spent[name].wallMs += wallMs;
    }
  }
  const perCall = (name: 'ours' | 'stock') => ({
    cpuMsPerCall: Number((spent[name].cpuMs / (ROUNDS * calls)).toFixed(3)),
    callsPerSecond: Math.round((ROUNDS * calls * 1000) / spent[name].wallMs),
  });
  const ratio = Number((spent.ours.cpuMs / spent.stock.cpuMs).toFixed(2));
  const result = { calls: ROUNDS * calls, ours: perCall('ours'), stock: perCall('stock'), ratio };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  child.kill('SIGTERM');
  await once(child, 'exit');
}

await main();
