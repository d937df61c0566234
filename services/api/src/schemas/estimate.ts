import { z } from 'zod';
import { lineErrors } from './objects.ts';

const count = z.int().min(0);
const amount = z.number().min(0);
const how = z.string().meta({ description: 'How it was computed.' });

const range = z
  .strictObject({ low: amount, high: amount, expected: amount, how })
  .meta({ id: 'EstimatedRange', description: 'What is expected, and a range that holds it in nine of ten cases.' });

const inputTokens = z
  .strictObject({
    low: amount.nullable(),
    high: amount.nullable(),
    expected: amount,
    characters: count.meta({ description: 'Of all texts that the models are to read, copies left out.' }),
    characters_per_token: amount,
    not_counted: z.strictObject({
      images: count.meta({ description: 'Documents that show images.' }),
      no_text: count.meta({ description: 'Documents without any text, such as lists of tokens.' }),
    }),
    how,
  })
  .meta({ description: 'Tokens of one reading of every document that is asked about.' });

const pilot = z.strictObject({
  asked_for: count,
  documents: count.meta({ description: 'Documents that were answered; the ranges are made of them.' }),
  escalated: count,
  failed: count,
  cost_usd: amount.nullable().meta({ description: 'Spent, beside what the batch will cost; null without prices.' }),
  seconds: amount,
});

const stage = z.strictObject({
  stage: z.int().min(1),
  share: range.meta({ description: 'Of the documents that are asked about, those that come to this stage.' }),
  cost_usd: range.nullable(),
});

const seconds = range
  .extend({ expected: amount.nullable() })
  .meta({ id: 'EstimatedSeconds', description: 'The same of times; without a pilot nothing is expected of them.' });

/** What a batch would be; nothing is made of it. */
export const batchEstimate = z
  .strictObject({
    object: z.literal('batch.estimate'),
    valid: z.boolean(),
    errors: lineErrors.nullable().meta({ description: 'What the batch would fail with; null for a valid one.' }),
    documents: z.strictObject({
      total: count,
      bad_lines: count.meta({ description: 'Of them, lines that go to the error file unasked.' }),
      copies: count.meta({ description: 'Of them, those that are answered from an equal one.' }),
      cascades: z.record(z.string(), count),
    }),
    input_tokens: inputTokens.nullable(),
    pilot: pilot.nullable(),
    stages: z.array(stage).nullable().meta({ description: 'By stage, of all cascades together.' }),
    escalated_share: range.nullable(),
    cost_usd: range.nullable(),
    all_expert_usd: range.nullable().meta({ description: "What the last stages' models alone would cost." }),
    seconds: seconds.nullable(),
    notes: z.array(z.string()).meta({ description: 'Why something is null, and what to keep in mind.' }),
  })
  .meta({ id: 'BatchEstimate', description: 'The answer of a dry run. What is not known is null.' });

export type BatchEstimate = z.input<typeof batchEstimate>;
export type EstimatedRange = z.input<typeof range>;
