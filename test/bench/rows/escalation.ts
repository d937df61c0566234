import { channel } from 'node:diagnostics_channel';
import { performance } from 'node:perf_hooks';
import { pairs, quantile, type Figure } from '../figure.ts';
import type { Scripted } from '../../support/model-server.ts';
import type { Run } from '../run.ts';
import { longWarmUp, PRODUCTION, secondsOf } from '../service.ts';
import { System } from '../../support/system.ts';

const UNSURE: Scripted = { kind: 'completion', logprobs: -2 };
const SURE: Scripted = { kind: 'completion' };

/** What node's own HTTP server says when a request begins and when an answer has been written. */
const BEGINS = 'http.server.request.start';
const WRITTEN = 'http.server.response.finish';
type Told = {
  readonly request: { readonly headers: Readonly<Record<string, unknown>> };
  readonly socket: { readonly localPort?: number };
};

/** Which server it is told of; null: of a call of a worker's check, which is no document's. */
const portOf = ({ request, socket }: Told): number | null =>
  request.headers['user-agent'] === 'spillway-check' ? null : (socket.localPort ?? null);

/**
 * From the moment that a draft's answer is written until the expert's server has its call, on tiers without other work: the
 * draft read, judged and handed off, the job taken up, the expert's call sent. Both model servers are this process, so one
 * clock says both. Beside it a `PING` of the same Redis from this process.
 */
export async function measureEscalation(run: Run): Promise<Figure[]> {
  const documents = run.isQuick ? 20 : 100;
  await using system = await System.start({
    stopEarly: false,
    env: PRODUCTION,
    drafter: { record: false, answer: () => UNSURE },
    expert: { record: false, answer: () => SURE },
  });
  const { drafterModel, expertModel } = system;
  let draftedMs = 0;
  let waitMs = 0;
  channel(WRITTEN).subscribe((told) => {
    if (portOf(told as Told) === drafterModel.port) draftedMs = performance.now();
  });
  channel(BEGINS).subscribe((told) => {
    if (portOf(told as Told) === expertModel.port) waitMs = performance.now() - draftedMs;
  });
  const prompts = Array.from({ length: longWarmUp(run) }, (_, at) => `document ${at}`);
  await secondsOf(system, (await system.submit(prompts)).id);
  /** One document by itself, and a round trip before it. */
  const once = async (): Promise<{ readonly waitMs: number; readonly pingMs: number }> => {
    const startedMs = performance.now();
    await system.redis.client.ping();
    const pingMs = performance.now() - startedMs;
    await secondsOf(system, (await system.submit(['a document'])).id);
    return { waitMs, pingMs };
  };
  for (let warmUp = 0; warmUp < 10; warmUp += 1) await once();
  const rounds: { readonly waits: number[]; readonly pings: number[] }[] = [];
  for (let round = 0; round < run.rounds; round += 1) {
    const found: Awaited<ReturnType<typeof once>>[] = [];
    for (let document = 0; document < documents; document += 1) found.push(await once());
    rounds.push({ waits: found.map((one) => one.waitMs), pings: found.map((one) => one.pingMs) });
    run.tell(`round ${round + 1} of ${run.rounds}: p50 ${quantile(rounds.at(-1)?.waits ?? [], 0.5).toFixed(2)} ms`);
  }
  const at = (share: number): Pick<Figure, 'rounds'> => ({
    rounds: pairs(
      rounds.map(({ waits }) => quantile(waits, share)),
      rounds.map(({ pings }) => quantile(pings, 0.5)),
    ),
  });
  const line = { reference: 'a Redis round trip, p50', unit: 'ms', notes: [] };
  return [
    { ...line, ...at(0.5), figure: 'escalation → expert call, idle tier, p50', aim: { atMost: 10 } },
    { ...line, ...at(0.99), figure: 'escalation → expert call, idle tier, p99', aim: { atMost: 50 } },
  ];
}
