import { toFile } from 'openai';
import { CASCADE, DEMO } from '../../../services/playground/src/demo/cascade.ts';
import { demoDocuments } from '../../../services/playground/src/documents/index.ts';
import type { batchAccount } from '../../../services/api/src/schemas/account.ts';
import { batchEstimate, type EstimatedRange } from '../../../services/api/src/schemas/estimate.ts';
import { startPlayground } from '../../support/playground.ts';
import { System } from '../../support/system.ts';
import { PRODUCTION } from '../service.ts';
import type { z } from 'zod';

/** How sure a draft must be in each of the cascades that the runs take in turn: few are escalated, and many. */
const THRESHOLDS = [0.5, 0.7, 0.9] as const;

type Range = Pick<EstimatedRange, 'low' | 'high'>;

/** A batch of the embedded pair: what was said of it before, and what came. */
export type RealRun = {
  readonly acceptAt: number;
  readonly pilotUsd: number;
  readonly usd: Range & { readonly final: number };
  readonly share: Range & { readonly final: number };
  readonly seconds: (Range & { readonly final: number }) | null;
};

export type RealOptions = { readonly runs: number; readonly documents: number; readonly pilot: number };

/** Estimates batches of the demo's documents by pilots, runs them, and looks at what they cost. */
export async function* realRuns({ runs, documents, pilot }: RealOptions): AsyncGenerator<RealRun> {
  await using playground = startPlayground();
  const { port } = await playground.waitFor('ready');
  await using system = await startSystem(`http://127.0.0.1:${port}/v1`);
  for (let run = 0; run < runs; run += 1) {
    const acceptAt = THRESHOLDS[run % THRESHOLDS.length] ?? DEMO.acceptAt;
    const lines = demoDocuments(documents, 100 + run).map(({ customId, body }) =>
      JSON.stringify({
        custom_id: customId,
        method: 'POST',
        url: '/v1/chat/completions',
        body: { model: nameOf(acceptAt), ...body },
      }),
    );
    const input = await toFile(Buffer.from(lines.join('\n')), 'input.jsonl');
    const { id } = await system.client.files.create({ file: input, purpose: 'batch' });
    const order = { input_file_id: id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
    const answer = await system.client.post('/batches', { body: order, query: { dry_run: true, pilot } });
    const { cost_usd: cost, escalated_share: share, seconds, pilot: ran, notes } = batchEstimate.parse(answer);
    if (cost === null || share === null || ran === null) throw new Error(notes.join('\n'));
    const made = await system.client.batches.create(order);
    const ended = (await system.settled(made.id, undefined, 3_600_000)) as typeof made & {
      readonly spillway: z.output<typeof batchAccount>;
    };
    const report = (await system.client.get(`/batches/${made.id}/report`)) as { readonly escalated_share: number };
    const { spent_usd: spent, elapsed_seconds: elapsed } = ended.spillway.progress;
    yield {
      acceptAt,
      pilotUsd: ran.cost_usd ?? 0,
      usd: { low: cost.low, high: cost.high, final: spent ?? Number.NaN },
      share: { low: share.low, high: share.high, final: report.escalated_share },
      seconds: seconds === null ? null : { low: seconds.low, high: seconds.high, final: elapsed ?? Number.NaN },
    };
  }
}

const nameOf = (acceptAt: number): string => `${CASCADE}-${100 * acceptAt}`;

async function startSystem(baseURL: string): Promise<System> {
  const spec = (role: 'drafter' | 'expert') => {
    const { model, price, concurrency } = DEMO[role];
    return { base_url: baseURL, model, price, concurrency, timeout_s: 600 };
  };
  const cascades = THRESHOLDS.map((acceptAt) => {
    const own = { drafter: 'small', expert: 'large', confidence: { signal: 'sum_logprob' }, ask: DEMO.ask };
    return `  ${nameOf(acceptAt)}: ${JSON.stringify({ ...own, accept_at: acceptAt })}`;
  });
  const models = { small: spec('drafter'), large: spec('expert') };
  return await System.start({ models, moreCascades: cascades.join('\n'), env: PRODUCTION });
}
