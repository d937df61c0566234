import { LIMITS } from '@spillway/core';
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
    z.strictObject({ tier: z.string(), state: z.enum(['held', 'open', 'half_open', 'paused']), reason: z.string() }),
  )
  .readonly()
  .meta({
    description:
      'The tiers in which nobody works now, of those that the documents can pass: nothing fails, its queue waits. ' +
      'Empty once the batch has ended.',
  });

/** What a batch object says beside what OpenAI's does. */
export const batchAccount = z
  .strictObject({
    escalations: z
      .array(z.strictObject({ ...namedStage, model: z.string(), reasons: countedReasons }))
      .meta({ description: 'The stages of which drafts went on, and why.' }),
    failures: countedFailures,
    warnings,
    waiting,
  })
  .meta({ id: 'BatchAccount', description: 'Why documents were escalated and failed, and what they wait for.' });
