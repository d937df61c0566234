/** The fields of an answer, in the order in which a model writes them. */
export const ORDER_FIELDS = [
  'number',
  'date',
  'currency',
  'customer',
  'items',
  'net',
  'vat',
  'total',
  'due',
  'express',
] as const;
export type OrderField = (typeof ORDER_FIELDS)[number];

/** What a right answer says; `net + vat = total`. */
export type OrderTruth = Readonly<Record<OrderField, string>>;

/** The answer that a model is trained to give, letter for letter. */
export function writeOrderAnswer(truth: OrderTruth): string {
  return JSON.stringify(Object.fromEntries(ORDER_FIELDS.map((field) => [field, truth[field]])));
}

/** The fields of an answer by name, or nothing where it is not an object of just these fields with text in each. */
export function readOrderAnswer(text: string): OrderTruth | undefined {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) return undefined;
  const said = new Map<string, unknown>(Object.entries(answer));
  if (said.size !== ORDER_FIELDS.length) return undefined;
  return ORDER_FIELDS.every((field) => typeof said.get(field) === 'string') ? (answer as OrderTruth) : undefined;
}

/** Right means: readable as JSON, and every field equal. Nothing for coming close. */
export function isCorrectOrder(answerText: string, truth: OrderTruth): boolean {
  const answer = readOrderAnswer(answerText);
  return answer !== undefined && ORDER_FIELDS.every((field) => answer[field] === truth[field]);
}
