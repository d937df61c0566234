import { startFaultProxy } from '../support/fault-proxy.ts';
import { startModelServer } from '../support/model-server.ts';
import { System } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

/**
 * 2,000 documents, half of them escalated, while the drafters' server is restarted behind a gateway and the experts' is
 * terminated with its calls in flight, five times each: how many failed, went to the expert or were charged because of
 * it, and how long it took beside the time that the servers were away.
 *
 *     node test/bench/restarts.ts [documents] [restarts]
 */
const [documents = 2_000, restarts = 5] = process.argv.slice(2).map(Number);

const AWAY_MS = 1_500;
const BAD_GATEWAY =
  'HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: 24\r\n\r\n<h1>502 Bad Gateway</h1>';

await using drafter = await startModelServer({ role: 'drafter', latencyMs: 20 });
await using expert = await startModelServer({ role: 'expert', latencyMs: 20 });
await using gateway = await startFaultProxy({ target: drafter.baseURL });
await using direct = await startFaultProxy({ target: expert.baseURL });
await using system = await System.start({
  models: {
    small: { base_url: gateway.through(drafter.baseURL), concurrency: 8, timeout_s: 300 },
    large: { base_url: direct.through(expert.baseURL), concurrency: 8, timeout_s: 300 },
  },
});
const prompts = Array.from({ length: documents }, (_, at) => `${at % 2 === 0 ? '[[drafter unsure]] ' : ''}${at}`);
const startedAtMs = performance.now();
const { id } = await system.submit(prompts);
for (let restart = 1; restart <= restarts; restart += 1) {
  const due = (restart * documents) / (restarts + 2);
  await system.settled(id, (batch) => (batch.request_counts?.completed ?? 0) >= due, 60_000);
  await gateway.set({ kind: 'answer', text: BAD_GATEWAY });
  await direct.set({ kind: 'terminate' });
  await new Promise((resolve) => setTimeout(resolve, AWAY_MS));
  await gateway.set({ kind: 'pass' });
  await direct.set({ kind: 'pass' });
}
const { output, errors } = await wholeResults(system, await system.settled(id, undefined, 120_000), docIds(documents));
const stages = output.flatMap(({ cascade }) => cascade?.stages ?? []);
const found = {
  documents,
  restarts,
  failed: errors.length,
  escalatedByIt: output.filter(({ cascade }) => cascade?.escalated).length - Math.ceil(documents / 2),
  attemptsSpent: stages.reduce((sum, { attempts }) => sum + attempts - 1, 0),
  seconds: Number(((performance.now() - startedAtMs) / 1_000).toFixed(1)),
  secondsAway: (restarts * AWAY_MS) / 1_000,
};
process.stdout.write(`${JSON.stringify(found)}\n`);
