// Documents per second of the whole service against a plain script that runs the same cascade in memory with the stock
// SDK at the same concurrency, both against the same instant model servers, in turn in one run. Also: what a draft's
// hand-off takes on an idle tier, the memory that Redis takes at its highest, and a small batch behind a large one.
// Run: node test/bench/cascade.ts [documents]
import { resultLine } from '@spillway/core';
import { OpenAI } from 'openai';
import { System } from '../support/system.ts';
import { prompts, quantile, report, startModel } from './processes.ts';

const DOCUMENTS = Number(process.argv[2] ?? 10_000);
const CONCURRENCY = 16;
const ROUNDS = 3;

/** The cascade as one would write it by hand: no queue, nothing kept, nothing survives. */
async function plainScript(drafterURL: string, expertURL: string, work: readonly string[]): Promise<number> {
  const drafter = new OpenAI({ baseURL: drafterURL, apiKey: 'none' });
  const expert = new OpenAI({ baseURL: expertURL, apiKey: 'none' });
  const startedMs = performance.now();
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < work.length; index = next++) {
      const messages = [{ role: 'user' as const, content: work[index] ?? '' }];
      const draft = await drafter.chat.completions.create({ model: 'small', messages, logprobs: true });
      const tokens = draft.choices[0]?.logprobs?.content ?? [];
      const mean = tokens.reduce((sum, token) => sum + token.logprob, 0) / Math.max(1, tokens.length);
      if (tokens.length === 0 || Math.exp(mean) < 0.8)
        await expert.chat.completions.create({ model: 'large', messages });
    }
  };
  // The service's two tiers have their own slots each.
  await Promise.all(Array.from({ length: CONCURRENCY * 2 }, worker));
  return work.length / ((performance.now() - startedMs) / 1000);
}

/** Highest `used_memory` of Redis over its level at the start, in bytes, until `over`. */
async function peakMemory(system: System, over: () => boolean): Promise<number> {
  const used = async (): Promise<number> =>
    Number(/used_memory:(\d+)/.exec(await system.redis.client.info('memory'))?.[1] ?? 0);
  const base = await used();
  let peak = base;
  while (!over()) {
    peak = Math.max(peak, await used());
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return peak - base;
}

async function timed(system: System, count: number): Promise<{ seconds: number; peakBytes: number; outputId: string }> {
  let over = false;
  const memory = peakMemory(system, () => over);
  const { id } = await system.submit(prompts(count));
  const startedMs = performance.now();
  const batch = await system.settled(id, undefined, 600_000);
  const seconds = (performance.now() - startedMs) / 1000;
  over = true;
  return { seconds, peakBytes: await memory, outputId: batch.output_file_id ?? '' };
}

const [drafter, expert] = await Promise.all([startModel('drafter'), startModel('expert')]);
const spec = { concurrency: CONCURRENCY };
await using system = await System.start({
  models: {
    small: { ...spec, base_url: drafter.baseURL },
    large: { ...spec, base_url: expert.baseURL },
  },
  env: { SPILLWAY_LEASE_MS: '10000', SPILLWAY_LOCK_MS: '30000', SPILLWAY_SWEEP_MS: '15000', SPILLWAY_POLL_MS: '100' },
});
await timed(system, 500);

const ratios: number[] = [];
for (let round = 0; round < ROUNDS; round += 1) {
  const plain = await plainScript(drafter.baseURL, expert.baseURL, prompts(DOCUMENTS));
  const ours = DOCUMENTS / (await timed(system, DOCUMENTS)).seconds;
  ratios.push(ours / plain);
  report({ round, documents: DOCUMENTS, plainPerSecond: plain, servicePerSecond: ours, ratio: ours / plain });
}
report({ medianRatio: quantile(ratios, 0.5) });

const waits: number[] = [];
for (let round = 0; round < 100; round += 1) {
  const { outputId } = await timed(system, 1);
  const [line] = await system.lines(outputId);
  const [draft, expertStage] = resultLine.parse(line).cascade?.stages ?? [];
  const [handOffMs, queueMs] = [draft?.wait_ms.hand_off, expertStage?.wait_ms.queue];
  if (handOffMs == null || queueMs == null) throw new Error('the document was not escalated');
  waits.push(handOffMs + queueMs);
}
report({ escalationToExpertCallMs: { p50: quantile(waits, 0.5), p99: quantile(waits, 0.99), runs: waits.length } });

for (const count of [1_000, 50_000]) {
  const { peakBytes, seconds } = await timed(system, count);
  report({ documents: count, redisPeakMiB: peakBytes / 2 ** 20, seconds });
}

const idle = (await timed(system, 20)).seconds;
const large = await system.submit(prompts(50_000));
await system.settled(large.id, (batch) => (batch.request_counts?.completed ?? 0) >= 2_000, 120_000);
const behind = (await timed(system, 20)).seconds;
report({ twentyDocuments: { idleSeconds: idle, behindFiftyThousandSeconds: behind, ratio: behind / idle } });
for (const { child } of [drafter, expert]) child.kill();
