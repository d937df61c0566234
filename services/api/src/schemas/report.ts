import { z } from 'zod';
import { batchObject } from './objects.ts';

const count = z.int();
const ms = z.number().nullable();
const spread = z.strictObject({ count, mean: ms, p50: ms, p95: ms, p99: ms }).meta({
  id: 'Spread',
  description: 'Milliseconds; quantiles are right within one percent. Null where there are none.',
});

const tier = z.strictObject({
  queue_wait_ms: spread,
  inference_ms: spread,
  inference_seconds: z.number(),
  input_tokens: count,
  output_tokens: count,
  usd: z.number(),
});

const way = z.strictObject({ usd: z.number(), inference_seconds: z.number(), mean_inference_ms: ms });
const side = z.strictObject({ escalated_share: z.number().nullable(), pays: z.boolean().nullable() });

/** The account of a batch. */
export const batchReport = z
  .strictObject({
    object: z.literal('batch.report'),
    id: z.string(),
    status: batchObject.shape.status,
    model: z.string().nullable(),
    documents: z.strictObject({
      total: count,
      completed: count,
      failed: count,
      accepted: count,
      escalated: count,
      unfinished: count,
    }),
    escalated_share: z.number().nullable(),
    tiers: z.strictObject({ drafter: tier, expert: tier }),
    latency_ms: z.strictObject({ accepted: spread, escalated: spread }).meta({
      description: 'From feeding to the answer, queues included.',
    }),
    sequential_wait: z
      .strictObject({
        ms: spread,
        share_of_time: z.number().nullable(),
        mean_parts_ms: z.strictObject({ drafter_queue: ms, draft: ms, hand_over: ms, expert_queue: ms }),
      })
      .meta({ description: 'Of escalated documents: from feeding until the first call of the expert starts.' }),
    wasted: z
      .strictObject({ drafter_seconds: z.number(), input_tokens: count, output_tokens: count, usd: z.number() })
      .meta({ description: 'What drafts cost that were not accepted.' }),
    counterfactuals: z.strictObject({ cascade: way, all_expert: way, all_drafter: way }).meta({
      description:
        'The settled documents as they were answered, and with one model alone: what the expert would have read and ' +
        'written for an accepted draft is taken to be what the drafter did, its time to be its mean.',
    }),
    break_even: z.strictObject({ time: side, money: side }).meta({
      description: 'The share of escalations below which the cascade takes less than the expert alone.',
    }),
  })
  .meta({ id: 'BatchReport' });
