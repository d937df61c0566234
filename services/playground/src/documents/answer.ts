import type { Truth } from './generate.ts';

/** The answer that a model is trained to give, letter for letter. */
export function writeAnswer(truth: Truth): string {
  return JSON.stringify({ type: truth.type, currency: truth.currency, total: truth.total });
}

/** Right means: readable as JSON, and all three fields equal. Nothing for coming close. */
export function isCorrect(answerText: string, truth: Truth): boolean {
  let answer: unknown;
  try {
    answer = JSON.parse(answerText);
  } catch {
    return false;
  }
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) return false;
  const fields = new Map<string, unknown>(Object.entries(answer));
  return (
    fields.size === 3 &&
    fields.get('type') === truth.type &&
    fields.get('currency') === truth.currency &&
    fields.get('total') === truth.total
  );
}
