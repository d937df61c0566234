import { z } from 'zod';
import { LIMITS } from '../limits.ts';

/** A line of a file of labels: which answer is right for a document. */
export const labelledAnswer = z.strictObject({
  custom_id: z.string().max(LIMITS.customIdCharacters),
  answer: z.union([z.string(), z.number(), z.boolean(), z.looseObject({}), z.array(z.unknown())]),
});

/** The right answer as a text that answers are compared with. */
export const labelText = ({ answer }: Pick<z.output<typeof labelledAnswer>, 'answer'>): string =>
  typeof answer === 'string' ? answer : JSON.stringify(answer);
