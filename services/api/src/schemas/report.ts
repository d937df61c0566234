import { DELAY_REASONS } from '@spillway/core';
import { z } from 'zod';
import {
  audits,
  countedFailures,
  countedReasons,
  namedStage,
  progress,
  thresholds,
  waiting,
  warnings,
} from './account.ts';
import { batchObject } from './objects.ts';

const count = z.int();
const ms = z.number().nullable();
const spread = z.strictObject({ count, mean: ms, p50: ms, p95: ms, p99: ms }).meta({
  id: 'Spread',
  description: 'Milliseconds; quantiles are right within one percent. Null where there are none.',
});

const stage = z
  .strictObject({
    ...namedStage,
    model: z.string().meta({ description: 'By its name in the configuration.' }),
    role: z.enum(['drafter', 'expert']),
    ask: z.string().meta({ description: 'How the model is asked.' }),
    calibrated: z
      .boolean()
      .nullable()
      .meta({
        description:
          'Whether it has a calibration; null for a stage that judges none. The line of a document that asks for a response ' +
          'format that the calibration was not made with says `calibrated: false` all the same.',
      }),
    accept_at: z
      .number()
      .nullable()
      .meta({ description: 'From which confidence on its drafts are final; null: none is, or it judges nothing.' }),
    documents: z
      .strictObject({
        accepted: count,
        escalated: count,
        skipped: count,
        answered: count,
        failed: count,
        kept: count.meta({
          description: 'Passed on by a draft that is known from the batch that this one was decided anew from.',
        }),
      })
      .meta({
        description: 'What became of the documents that reached the stage; skipped and kept ones were not asked about.',
      }),
    reasons: countedReasons,
    confidences: z
      .array(z.strictObject({ from: z.number(), to: z.number(), drafts: count }))
      .readonly()
      .meta({
        description:
          'How sure its drafts were, as far as they could be judged and were not given up early: bins that have any.',
      }),
    queue_wait_ms: spread.meta({ description: 'Waiting for a free worker, and for nothing else.' }),
    delay_ms: z.partialRecord(z.enum(DELAY_REASONS), spread).meta({
      description: 'What else documents waited for, each of those that did: see the waits in the operations guide.',
    }),
    inference_ms: spread,
    inference_seconds: z.number(),
    input_tokens: count.meta({ description: 'Cached ones among them.' }),
    cached_tokens: count,
    output_tokens: count,
    usd: z.number().meta({ description: 'Cached tokens at their own price.' }),
    stopped_early: z
      .strictObject({ documents: count, output_tokens: count, saved_output_tokens: count.nullable() })
      .meta({
        description:
          'Drafts that were given up, as nothing could make them final any more; the tokens that came of them, and ' +
          'about how many more would have, had they been as long as the accepted ones (null: none was).',
      }),
    reuse: z
      .strictObject({
        documents: count,
        whole: count.meta({ description: 'Those whose draft stood as it was.' }),
        input_tokens: count,
        output_tokens: count,
        usd: z.number(),
        instead: z.strictObject({ input_tokens: count, output_tokens: count, usd: z.number() }),
        fields: z
          .array(z.strictObject({ field: z.string().nullable(), count }))
          .readonly()
          .meta({
            description:
              'Values that were asked for by themselves, by JSON pointer; null: those without a rule of their own.',
          }),
        saved_seconds: z.number().nullable().meta({
          description: 'Of inference, by how fast the model wrote whole answers; null: nobody knows.',
        }),
      })
      .meta({
        description:
          'Documents whose earlier drafts the stage made use of (`ask: verify`, `fields`, `verdict`): what that took, and what their whole ' +
          'answers would have taken of the same model.',
      }),
    asked_whole: z
      .array(z.strictObject({ reason: z.string(), count }))
      .readonly()
      .meta({ description: 'Why documents were asked about whole though the stage is to ask otherwise; most first.' }),
  })
  .meta({ id: 'ReportedStage', description: 'What one stage of a cascade did and cost.' });

const way = z.strictObject({ usd: z.number(), inference_seconds: z.number(), mean_inference_ms: ms });
const side = z.strictObject({ escalated_share: z.number().nullable(), pays: z.boolean().nullable() });

/** The account of a batch. */
export const batchReport = z
  .strictObject({
    object: z.literal('batch.report'),
    id: z.string(),
    status: batchObject.shape.status,
    model: z.string().nullable(),
    warnings,
    audits,
    progress,
    waiting,
    thresholds,
    over_time: z
      .array(
        z.strictObject({
          at: z.number().meta({ description: 'Unix seconds.' }),
          settled: count,
          stages: z
            .array(z.strictObject({ reached: count, left: count }))
            .readonly()
            .meta({
              description:
                'By stage, of all cascades together: documents that had come to it, and those that it was done with.',
            }),
        }),
      )
      .meta({ description: 'How far the batch was, at 48 moments at most; empty where nobody knows.' }),
    documents: z.strictObject({
      total: count,
      completed: count,
      failed: count,
      accepted: count,
      escalated: count,
      copied: count.meta({
        description: 'Of the completed ones, those that were answered from an equal one, without a call.',
      }),
      kept: count.meta({
        description:
          'Of the completed ones, those whose answers are known from the batch that this one was decided anew from.',
      }),
      unfinished: count,
    }),
    traces: z
      .strictObject({ kept: count, documents: count })
      .meta({ description: 'Of how many of the documents a trace is kept so far.' }),
    escalated_share: z.number().nullable().meta({ description: 'Of the documents that were asked about.' }),
    stages: z
      .array(stage)
      .meta({ description: 'The stages of the cascades that the documents name; known from the validation on.' }),
    failures: countedFailures,
    latency_ms: z.strictObject({ accepted: spread, escalated: spread }).meta({
      description: 'From enqueueing to the answer, queues included.',
    }),
    sequential_wait: z
      .strictObject({
        ms: spread,
        share_of_time: z.number().nullable(),
        mean_parts_ms: z
          .array(
            z.strictObject({
              ...namedStage,
              queue: ms,
              delays: z.partialRecord(z.enum(DELAY_REASONS), z.number()),
              call: ms,
              hand_off: ms,
            }),
          )
          .meta({
            description:
              'What each stage has of it: waiting in its queue, what delayed it, its call, the hand-off after it.',
          }),
      })
      .meta({
        description: 'Of escalated documents: from enqueueing until the first call of the stage that delivered.',
      }),
    wasted: z
      .strictObject({ drafter_seconds: z.number(), input_tokens: count, output_tokens: count, usd: z.number() })
      .meta({ description: 'What drafts cost that were not final, by themselves or by a verdict.' }),
    saved_by_copies: z
      .strictObject({ documents: count, input_tokens: count, output_tokens: count, usd: z.number() })
      .meta({
        description:
          'What the copies among the documents would have cost as well: each what the one took that it is a copy of. ' +
          'Where lines are not annotated they do not say which stages that was: then the least that it can be.',
      }),
    counterfactuals: z.strictObject({ cascade: way, all_expert: way, all_drafter: way }).meta({
      description:
        'The settled documents as they were answered, copies and kept ones left out, and as the last or the first stage would have ' +
        'answered all of them: what the expert would have read and written for an accepted draft is taken to be what the drafter ' +
        'did for one answer, its time to be its mean.',
    }),
    break_even: z.strictObject({ time: side, money: side }).meta({
      description:
        'The share of escalations, 0 to 1, below which a cascade of two stages takes less than the expert for every ' +
        'document (0: never, as a draft takes as much; null: not known, more stages, or a batch that was decided anew), and whether it does; null in a ' +
        'shadow run, too, which escalates everything.',
    }),
  })
  .meta({ id: 'BatchReport' });
