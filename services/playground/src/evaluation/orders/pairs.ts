import { judge, runAtOnce } from '@spillway/core';
import type { OrderField, OrderSplit, OrderTruth } from '../../documents/orders/index.ts';
import {
  generateOrder,
  ORDER_ANSWER_TOKENS,
  ORDER_FIELDS,
  orderRequest,
  readOrderAnswer,
} from '../../documents/orders/index.ts';
import type { Answer, EvaluatedModel } from '../answers.ts';
import { answerAll, evidenceOf, promptOf } from '../answers.ts';

export const ROWS = 16;

export interface OrderPair {
  readonly drafter: EvaluatedModel;
  readonly expert: EvaluatedModel;
}

interface Order {
  readonly seed: number;
  readonly text: string;
  readonly truth: OrderTruth;
  readonly difficulty: number;
  readonly prompt: readonly number[];
}

/** An answer, and its values where it is JSON with just the fields that are asked for. */
interface ReadAnswer {
  readonly text: string;
  readonly said: OrderTruth | undefined;
  readonly generatedTokens: number;
}

/** How probable the drafter holds each of its values: the product over the value's tokens. */
type Confidences = Readonly<Record<OrderField, number>>;

/** What both models say of one order. */
export interface Answered extends Order {
  readonly draft: ReadAnswer;
  /** Nothing where a draft cannot be judged; then all of it is asked for again. */
  readonly confidences: Confidences | undefined;
  readonly expert: ReadAnswer;
}

const readAnswer = ({ text, generatedTokens }: Answer<unknown>): ReadAnswer => ({
  text,
  generatedTokens,
  said: readOrderAnswer(text),
});

/** As a cascade with the signal `sum_logprob` scores each value of a draft. */
function confidencesOf(answer: Answer<Order>): Confidences | undefined {
  const evidence = evidenceOf(answer, orderRequest(answer.item.text));
  const judged = runAtOnce(judge(evidence, { signal: { name: 'sum_logprob' }, calibration: null }));
  if (judged.kind !== 'scored' || judged.fields === null) return undefined;
  const scores = new Map(judged.fields.map(({ path, score }) => [path, score]));
  const shares = ORDER_FIELDS.map((field) => [field, Math.exp(scores.get(`/${field}`) ?? Number.NEGATIVE_INFINITY)]);
  return Object.fromEntries(shares) as Confidences;
}

/** Asks both models about the first orders of a split. */
export async function answerOrders(pair: OrderPair, split: OrderSplit, count: number): Promise<Answered[]> {
  const orders = Array.from({ length: count }, (_, seed): Order => {
    const order = generateOrder(seed, { split });
    return { ...order, seed, prompt: promptOf(pair.drafter.tokenizer, order.text) };
  });
  const asked = { maxTokens: ORDER_ANSWER_TOKENS, rows: ROWS };
  const drafts = await answerAll(pair.drafter, orders, asked);
  const finals = await answerAll(
    pair.expert,
    drafts.answers.map((draft) => ({ ...draft.item, draft })),
    asked,
  );
  return finals.answers.map((final) => {
    const { draft, ...order } = final.item;
    return { ...order, draft: readAnswer(draft), confidences: confidencesOf(draft), expert: readAnswer(final) };
  });
}
