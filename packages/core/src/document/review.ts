import { z } from 'zod';

/** What somebody who looked at an answer may say of it: it is right, or another one is. */
export const REVIEW_VERDICTS = ['accepted', 'corrected'] as const;

/** A review as result lines have it. */
export const shownReview = z
  .strictObject({
    verdict: z.enum(REVIEW_VERDICTS),
    answer: z.string().meta({ description: 'The text of the right answer.' }),
    at: z.int().meta({ description: 'Unix seconds.' }),
  })
  .meta({ id: 'Review', description: 'What somebody said who looked at the answer.' });

export type ShownReview = z.output<typeof shownReview>;
