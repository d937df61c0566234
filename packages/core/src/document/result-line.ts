import { z } from 'zod';
import { ASK_KINDS, ASK_REASONS } from '../cascade/ask.ts';
import { FORMAT_KINDS } from '../endpoints/index.ts';
import { promisedTerms } from '../promise/aim.ts';
import { LIMITS } from '../limits.ts';
import type { JsonLimits } from '../text/json-scan.ts';
import { DELAY_REASONS } from './delays.ts';
import { shownReview } from './review.ts';

const count = z.int().min(0);
const ms = z.number().min(0).nullable();

const stage = z
  .strictObject({
    model: z.string().meta({ description: 'By its name in the configuration.' }),
    role: z.enum(['drafter', 'expert']),
    ask: z.enum(ASK_KINDS).meta({ description: 'How its model was asked in the end.' }),
    ask_reason: z
      .enum(ASK_REASONS.map(({ reason }) => reason))
      .optional()
      .meta({ description: 'Why it was asked for the whole answer though the stage is to ask otherwise.' }),
    kept_characters: count.optional().meta({
      description: 'Of a verified draft: how many of its characters (UTF-16) the answer begins with.',
    }),
    asked_fields: z.array(z.string()).optional().meta({
      description: 'The values that it was asked for, by JSON pointer; all others are those of the draft before.',
    }),
    verdict_on: z.int().min(1).optional().meta({
      description: 'Of a verdict: the stage, from 1, whose draft it is on; score and confidence are of that draft.',
    }),
    kept: z.literal(true).optional().meta({
      description:
        'What it said was kept of the batch that this one was decided anew from: nothing was asked in this one, so it has no attempts, no tokens and no waits.',
    }),
    outcome: z.enum(['accepted', 'answered', 'escalated', 'failed', 'skipped', 'deadline_draft']),
    reason: z.string().nullable().meta({ description: 'Why it was escalated or skipped.' }),
    signal: z.string().nullable(),
    score: z.number().nullable(),
    confidence: z.number().nullable(),
    calibrated: z.boolean().meta({
      description:
        'Whether the confidence comes from a calibration that was made with answers of this response format.',
    }),
    accept_at: z.number().nullable(),
    values_sure: z.boolean().optional().meta({
      description:
        'Whether every value of its JSON answer was sure by its own rule (`fields`), or by that of the stage that it came from (`ask: fields`); absent: none has one.',
    }),
    attempts: count,
    usage: z.strictObject({
      input_tokens: count,
      cached_tokens: count,
      output_tokens: count,
      estimated: z
        .literal(true)
        .optional()
        .meta({ description: 'The call was given up before its server said what it took: the input is estimated.' }),
    }),
    wait_ms: z.strictObject({
      queue: ms.meta({ description: 'For a free worker.' }),
      call: ms,
      hand_off: ms,
      delays: z
        .partialRecord(z.enum(DELAY_REASONS), z.number().min(0))
        .optional()
        .meta({ description: 'What else it waited for, by reason; absent: nothing.' }),
    }),
    draft: z
      .strictObject({
        text: z.string().nullable(),
        evidence: z
          .strictObject({
            scores: z.record(z.string(), z.number().nullable()),
            features: z.array(z.number()).nullable(),
            values: z.record(z.string(), z.number()).optional(),
          })
          .optional()
          .meta({
            description:
              'What every signal says, and of the least sure values (64) what the own one does; in a shadow run only.',
          }),
      })
      .optional()
      .meta({ description: 'What was drafted and is not the answer.' }),
    stopped: z.strictObject({ text: z.string().nullable(), score_at_most: z.number().nullable() }).optional().meta({
      description:
        'What there was of a draft that was given up, as nothing could make it final any more, and what it could have scored at most (null: it could not have been judged).',
    }),
    fields: z
      .record(z.string(), z.number())
      .optional()
      .meta({ description: 'The confidence in the least sure values of a JSON answer, by JSON pointer.' }),
  })
  .meta({ id: 'ResultStage' });

/** What was decided for a document and why. Stages that were not reached have no entry. */
export const cascadeAnnotation = z
  .strictObject({
    name: z.string(),
    stage: z.int().min(1).meta({ description: 'The stage whose answer was delivered, from 1.' }),
    model: z.string(),
    role: z.enum(['drafter', 'expert']),
    by: z
      .literal('verdict')
      .optional()
      .meta({ description: 'The answer is a draft that is final by the verdict of the last of the stages.' }),
    escalated: z.boolean().meta({ description: "Whether the first stage's draft was not final by itself." }),
    response_format: z
      .enum(FORMAT_KINDS)
      .optional()
      .meta({ description: 'What the request asks its answer to be; absent in lines that an older Spillway wrote.' }),
    certificate: promisedTerms
      .nullable()
      .meta({ description: 'What was promised of the answers of the batch and is certified; null: nothing.' }),
    sampled: z
      .literal(true)
      .optional()
      .meta({ description: "The document is of the sample by which the batch's thresholds were found." }),
    trace_id: z.string().nullable(),
    copy_of: z
      .string()
      .optional()
      .meta({
        description:
          'The `custom_id` of the first document of the batch with the same body, whose answer this is: nothing was ' +
          'asked for this one, so its stages have no attempts, no tokens and no waits. Absent: it was asked about itself.',
      }),
    kept_from: z.string().optional().meta({
      description:
        'The batch that this one was decided anew from, where all of the answer is known from that one: nothing was asked.',
    }),
    review: shownReview.optional(),
    stages: z.array(stage),
    wait_ms: z.strictObject({
      sequential: ms.meta({ description: 'From enqueueing until the first call of the last stage.' }),
      total: ms,
    }),
  })
  .meta({ id: 'CascadeAnnotation', description: 'What was decided for this document and why; times in milliseconds.' });

/** A line of an output or error file. */
export const resultLine = z
  .strictObject({
    id: z.string(),
    custom_id: z
      .string()
      .nullable()
      .meta({ description: 'Null for a bad line whose id cannot be read or is not its own.' }),
    response: z.strictObject({ status_code: z.int(), request_id: z.string(), body: z.unknown() }).nullable(),
    error: z
      .strictObject({
        code: z.string(),
        message: z.string(),
        param: z.string().nullable().optional().meta({ description: 'Of a bad line: what is wrong with it.' }),
        line: z.int().nullable().optional().meta({ description: 'Of a bad line: its number in the input file.' }),
      })
      .nullable(),
    cascade: cascadeAnnotation.optional(),
  })
  .meta({ id: 'ResultLine' });

export type ResultLine = z.output<typeof resultLine>;
export type CascadeAnnotation = z.output<typeof cascadeAnnotation>;
export type StageAnnotation = CascadeAnnotation['stages'][number];

/** What stands around an answer in its line, in levels and in values. */
const AROUND = { depth: 8, values: 100_000 } as const;

/** What a line of ours may hold: what its model said was counted before. */
export const LINE_LIMITS: JsonLimits = {
  depth: LIMITS.jsonDepth + AROUND.depth,
  values: LIMITS.answerValues + AROUND.values,
};

/** Reads a line of an output or error file; null for what is none. */
export function readResultLine(text: string): ResultLine | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  return resultLine.safeParse(value).data ?? null;
}
