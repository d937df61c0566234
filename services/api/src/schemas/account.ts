import { BATCH_PRIORITIES, LIMITS, NOT_CERTIFIED, OTHERWISE, WAITING_STATES } from '@spillway/core';
import { z } from 'zod';

const count = z.int().min(0);

/** How a list of an account names its stages. */
export const namedStage = {
  cascade: z.string(),
  stage: z.int().min(1).meta({ description: 'From 1.' }),
};

const said = z
  .string()
  .nullable()
  .meta({
    description:
      'What the model server said the first time, without keys and cut at ' +
      `${LIMITS.saidCharacters} characters; null: nothing is known of that.`,
  });

export const countedReasons = z
  .array(z.strictObject({ reason: z.string(), count, said }))
  .readonly()
  .meta({ description: 'Why drafts went on to the next stage, the most frequent reason first.' });

export const countedFailures = z
  .array(z.strictObject({ status: z.int().nullable(), code: z.string().nullable(), count, said }))
  .readonly()
  .meta({
    description: 'What the lines of the error file hold, by HTTP status or code, the most frequent first.',
  });

export const warnings = z
  .array(
    z.strictObject({
      code: z.literal('no_draft_judged'),
      message: z.string(),
      tier: z.string(),
      ...namedStage,
      reasons: z.array(z.strictObject({ reason: z.string(), count })),
      said,
    }),
  )
  .meta({ description: 'What somebody should look at: none of the first drafts of a stage could be judged.' });

export const waiting = z
  .array(
    z.strictObject({
      tier: z.string().nullable().meta({ description: 'Null where it is not one tier alone.' }),
      state: z.enum(WAITING_STATES),
      since: z.int().nullable().meta({ description: 'Unix seconds; null: not known.' }),
      reason: z.string(),
    }),
  )
  .readonly()
  .meta({
    description:
      'Why documents of the batch do not move: tiers that they can pass and in which nobody works now, no capacity ' +
      'to enqueue them, a cap that is reached, a Redis that recovers. Nothing fails there, it waits. Empty once the ' +
      'batch has ended.',
  });

const seconds = z.int().min(0);
const usd = z.number().min(0);

export const progress = z
  .strictObject({
    elapsed_seconds: seconds.nullable().meta({ description: 'From `in_progress_at` until now, or until it was done.' }),
    documents_per_second: z
      .number()
      .min(0)
      .nullable()
      .meta({
        description:
          'Documents that were settled in the latest minute, or in the latest eighth of the time where that is ' +
          'longer; of a batch that takes no more results, the mean.',
      }),
    left_seconds: z
      .strictObject({ low: seconds, high: seconds })
      .nullable()
      .meta({ description: 'How long it still takes, in nine of ten cases; never longer than its window.' }),
    at_risk: z.boolean().nullable().meta({ description: 'Whether the window will probably be missed.' }),
    spent_usd: usd.nullable().meta({ description: 'What the settled documents have cost; null without any price.' }),
    all_expert_usd: usd.nullable().meta({
      description:
        'What the settled documents would have cost by the last stages of their cascades alone; null where such a ' +
        'stage has no price.',
    }),
    projected_usd: z
      .strictObject({ low: usd, high: usd })
      .nullable()
      .meta({ description: 'What all of them will have cost in the end, in nine of ten cases.' }),
  })
  .meta({
    id: 'BatchProgress',
    description: 'How far a batch is. What there is nothing to judge by yet, and what is over, is null.',
  });

export const thresholds = z
  .array(
    z.strictObject({
      cascade: z.string(),
      promise: z
        .strictObject({
          agreement: z.number().optional(),
          accuracy: z.number().optional(),
          certainty: z.number(),
          otherwise: z.enum(OTHERWISE),
        })
        .nullable(),
      budget: z.strictObject({ expert_share: z.number() }).nullable(),
      outcome: z.enum(['sampling', 'certified', 'not_certified', 'budgeted']),
      reason: z
        .enum([...NOT_CERTIFIED, 'deadline'])
        .nullable()
        .meta({ description: 'Why nothing could be promised.' }),
      documents: count.meta({ description: 'Of the batch that name the cascade.' }),
      sampled: count,
      expert_share: z.number().nullable().meta({ description: 'Of the sample, with these thresholds.' }),
      stages: z
        .array(
          z.strictObject({
            stage: namedStage.stage,
            model: z.string(),
            accept_at: z.number().nullable().meta({ description: 'Null: no draft is final.' }),
            allowed: count
              .nullable()
              .meta({ description: 'How many disagreements the sample may show of what the stage accepts.' }),
            disagreements: count.nullable(),
            bound: z
              .number()
              .nullable()
              .meta({ description: 'At most this share of all answers disagrees because of the stage.' }),
            differing: z
              .array(z.strictObject({ field: z.string(), count }))
              .readonly()
              .meta({
                description: 'The values of JSON answers in which drafts of the sample differ, by JSON pointer.',
              }),
          }),
        )
        .readonly(),
    }),
  )
  .readonly()
  .meta({
    description:
      'How the thresholds are found of cascades that have no fixed ones (a promise, a budget): the certificate. Empty ' +
      'where all are fixed, and while the batch is validated.',
  });
const share = z.number().min(0).max(1);

export const audits = z
  .array(
    z.strictObject({
      cascade: z.string(),
      share: share.meta({ description: 'Of the accepted drafts, those that the expert is asked about too.' }),
      at_most: share.meta({ description: 'The share of the accepted drafts that may disagree with the expert.' }),
      certainty: share.meta({ description: 'The probability that no alarm is a false one.' }),
      on_alarm: z.enum(['report', 'tighten']),
      chosen: count,
      done: count.meta({ description: 'Those that the expert answered by now.' }),
      agreed: count,
      disagreed: count,
      not_done: count.meta({
        description:
          'Those that wait, were lost or had no answer of the expert; of a batch that has ended none follows.',
      }),
      rate: share.nullable().meta({ description: 'Of those that were done, the share that disagrees.' }),
      bounds: z.strictObject({ low: share, high: share }).meta({
        description:
          'Of the rate, with the certainty: they hold whenever one looks, as long as the rate stays the same.',
      }),
      alarm: z
        .strictObject({ at: z.int().meta({ description: 'Unix seconds.' }), audits: count })
        .nullable()
        .meta({
          description: 'Since when, and after how many audits, more drafts disagree than may; null: they do not.',
        }),
      input_tokens: count,
      output_tokens: count,
      usd: usd.meta({ description: 'What the audits cost: it counts towards `spent_usd` and `spillway.max_usd`.' }),
    }),
  )
  .readonly()
  .meta({ id: 'BatchAudits', description: 'Accepted drafts of which the expert was asked too, by cascade.' });

/** What a batch object says beside what OpenAI's does. */
export const batchAccount = z
  .strictObject({
    paused: z.boolean().meta({ description: 'Somebody paused it: nothing more of it is asked. Its window runs on.' }),
    priority: z.enum(BATCH_PRIORITIES).meta({ description: '`high`: it goes before the others of its tenant.' }),
    documents: z.strictObject({ accepted: count, copied: count, kept: count }).meta({
      description:
        'Of the completed documents: those whose answer is an accepted draft, those that were answered from an equal one, ' +
        'and those whose answers are known from the batch that this one was decided anew from.',
    }),
    escalations: z
      .array(z.strictObject({ ...namedStage, model: z.string(), reasons: countedReasons }))
      .meta({ description: 'The stages of which drafts went on, and why.' }),
    failures: countedFailures,
    warnings,
    audits,
    progress,
    waiting,
    thresholds,
  })
  .meta({
    id: 'BatchAccount',
    description: 'Why documents were escalated and failed, how far the batch is, and what it waits for.',
  });
