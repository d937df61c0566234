import { z } from 'zod';
import { aimRecord } from '../promise/aim.ts';

/** Why nothing can be promised. */
export const NOT_CERTIFIED = [
  /** A sample that could show it would be most of the batch: all of it goes to the expert, and nothing is paid twice. */
  'batch_too_small',
  /** So few documents have labels that not even a sample without a mistake would show it. */
  'too_few_labels',
  'no_evidence',
  'disagreements',
  /** The expert itself is too often wrong. */
  'expert_below_target',
  /** The sample's documents were not all answered: the batch came to its cap, or to the end of its window. */
  'sample_unfinished',
] as const;

const count = z.int().min(0);

/** The thresholds that were found for a batch's cascades, and what is promised by them. */
export const calibrationRecord = z.record(
  z.string(),
  z.object({
    aim: aimRecord,
    /** Documents of the batch that name the cascade, and how many of them were sampled. */
    population: count,
    n: count,
    outcome: z.enum(['certified', 'not_certified', 'budgeted']),
    reason: z.enum(NOT_CERTIFIED).optional(),
    /** Of `batch_too_small` and `too_few_labels`: how many documents would have to be sampled; null: no number of them would show it. */
    needed: count.nullable().optional(),
    /** Everything goes to the expert. */
    expertOnly: z.literal(true).optional(),
    /** One for each judging stage, in order. */
    stages: z.array(
      z.object({
        acceptAt: z.number(),
        /** It is as it is configured, values with thresholds of their own among it: nothing was found for it. */
        configured: z.literal(true).optional(),
        /** Of a promise: how many disagreements the sample may show of what the stage would accept, and how many it does. */
        allowed: count.optional(),
        disagreements: count.optional(),
        /** At most this share of the cascade's answers disagrees because of this stage. */
        bound: z.number().optional(),
        /** The values in which drafts of the sample differ from the expert's, those first that do most often. */
        differing: z.array(z.object({ field: z.string(), count })).optional(),
      }),
    ),
    /** The share of the sample that goes to the expert with these thresholds. */
    expertShare: z.number().nullable(),
  }),
);

export type CascadeCalibration = z.output<typeof calibrationRecord>[string];
export type CascadeCalibrations = Readonly<Record<string, CascadeCalibration>>;
