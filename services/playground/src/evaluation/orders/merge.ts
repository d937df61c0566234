import type { OrderField, OrderTruth } from '../../documents/orders/index.ts';
import { ORDER_FIELDS, writeOrderAnswer } from '../../documents/orders/index.ts';
import type { EvaluatedModel } from '../answers.ts';
import { answerAll } from '../answers.ts';
import type { Answered } from './pairs.ts';
import { ROWS } from './pairs.ts';

/** What a cascade gives in the end, and what the expert wrote for it. */
export interface Outcome {
  readonly text: string;
  readonly expertTokens: number;
  /** How many values were asked for. */
  readonly unsure: number;
}

/** The values of a draft that are less probable than the threshold; all of them where it cannot be judged. */
export function unsureFields({ confidences, draft }: Answered, acceptAt: number): readonly OrderField[] {
  if (confidences === undefined || draft.said === undefined) return ORDER_FIELDS;
  return ORDER_FIELDS.filter((field) => confidences[field] < acceptAt);
}

const wholeAnswer = ({ expert }: Answered): Outcome => ({
  text: expert.text,
  expertTokens: expert.generatedTokens,
  unsure: ORDER_FIELDS.length,
});

/** `ask: answer`: a draft with an unsure value is answered anew. */
export function askAnswer(order: Answered, acceptAt: number): Outcome {
  const unsure = unsureFields(order, acceptAt).length;
  return unsure === 0 ? { text: order.draft.text, expertTokens: 0, unsure } : { ...wholeAnswer(order), unsure };
}

/** The unsure values taken from the expert's whole answer: what merging gives if asking for a value alone costs nothing. */
export function takeFields(order: Answered, acceptAt: number): Outcome {
  const { draft, expert } = order;
  const fields = unsureFields(order, acceptAt);
  const unsure = fields.length;
  if (unsure === 0 || draft.said === undefined || expert.said === undefined) return askAnswer(order, acceptAt);
  const taken = expert.said;
  const merged = { ...draft.said, ...Object.fromEntries(fields.map((field) => [field, taken[field]])) };
  return { text: writeOrderAnswer(merged), expertTokens: expert.generatedTokens, unsure };
}

/** Longer than any value with the quotation mark behind it; what does not end within is no value. */
const VALUE_TOKENS = 14;

/** An answer up to the quotation mark that opens a field's value. */
function answerUpTo(field: OrderField, said: OrderTruth): string {
  const before = ORDER_FIELDS.slice(0, ORDER_FIELDS.indexOf(field));
  const kept = before.map((name) => `${JSON.stringify(name)}:${JSON.stringify(said[name])},`).join('');
  return `{${kept}${JSON.stringify(field)}:"`;
}

/** A value that an expert gave, and what it wrote for it. */
interface GivenValue {
  readonly value: string;
  readonly tokens: number;
}

/** What an expert has said already, by the order and the JSON before the value: two thresholds often ask the same. */
export type GivenValues = Map<string, GivenValue>;

interface Merging {
  readonly order: Answered;
  readonly fields: readonly OrderField[];
  said: OrderTruth;
  expertTokens: number;
}

/**
 * `ask: fields`, for a model that follows no instructions: the expert goes on from the kept JSON up to each unsure value,
 * one after the other, and is stopped behind the value. Tokens count up to the one with the closing quotation mark.
 */
export async function askFields(
  expert: EvaluatedModel,
  orders: readonly Answered[],
  { acceptAt, given }: { readonly acceptAt: number; readonly given: GivenValues },
): Promise<Outcome[]> {
  const merging = new Map<Answered, Merging>();
  for (const order of orders) {
    const { said } = order.draft;
    const fields = unsureFields(order, acceptAt);
    if (said !== undefined && fields.length < ORDER_FIELDS.length)
      merging.set(order, { order, fields, said, expertTokens: 0 });
  }
  for (let turn = 0; turn < ORDER_FIELDS.length; turn++) await askNext(expert, [...merging.values()], { turn, given });
  return orders.map((order) => {
    const merged = merging.get(order);
    if (merged === undefined) return wholeAnswer(order);
    return { text: writeOrderAnswer(merged.said), expertTokens: merged.expertTokens, unsure: merged.fields.length };
  });
}

/** Asks for the unsure value of this number in each draft that has so many. */
async function askNext(
  expert: EvaluatedModel,
  merging: readonly Merging[],
  { turn, given }: { readonly turn: number; readonly given: GivenValues },
): Promise<void> {
  const items = merging.flatMap((merged) => {
    const field = merged.fields[turn];
    if (field === undefined) return [];
    const begun = answerUpTo(field, merged.said);
    const prompt = [...merged.order.prompt, ...expert.tokenizer.encode(begun)];
    return [{ merged, field, prompt, key: `${merged.order.seed} ${begun}` }];
  });
  await giveValues(
    expert,
    items.filter(({ key }) => !given.has(key)),
    given,
  );
  for (const { merged, field, key } of items) {
    const { value, tokens } = given.get(key) ?? { value: '', tokens: 0 };
    merged.said = { ...merged.said, [field]: value };
    merged.expertTokens += tokens;
  }
}

async function giveValues(
  expert: EvaluatedModel,
  items: readonly { readonly key: string; readonly prompt: readonly number[] }[],
  given: GivenValues,
): Promise<void> {
  if (items.length === 0) return;
  const { answers } = await answerAll(expert, items, { maxTokens: VALUE_TOKENS, rows: ROWS });
  for (const { item, text, tokens } of answers) {
    const last = tokens.findIndex(({ token }) => token.includes('"'));
    given.set(item.key, { value: text.split('"', 1)[0] ?? '', tokens: last < 0 ? tokens.length : last + 1 });
  }
}
