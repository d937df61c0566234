import type { JsonObject } from '@spillway/core';
import type { OrderTruth } from './answer.ts';
import { ORDER_FIELDS } from './answer.ts';
import { generateOrder } from './generate.ts';

/** The longest right answer has 88 tokens; the rest is for a model that loses its way. */
export const ORDER_ANSWER_TOKENS = 104;

/** What an answer must look like: ten fields of text and nothing else. */
const ORDER_SCHEMA = {
  type: 'object',
  properties: Object.fromEntries(ORDER_FIELDS.map((field) => [field, { type: 'string' }])),
  required: ORDER_FIELDS,
  additionalProperties: false,
} as const;

/** The part of a request that says nothing of models. The playground ignores the schema; whoever judges values reads it. */
export function orderRequest(text: string): JsonObject {
  return {
    messages: [{ role: 'user', content: text }],
    max_tokens: ORDER_ANSWER_TOKENS,
    temperature: 0,
    response_format: { type: 'json_schema', json_schema: { name: 'order', strict: true, schema: ORDER_SCHEMA } },
  };
}

interface DemoOrder {
  readonly customId: string;
  readonly body: JsonObject;
  readonly truth: OrderTruth;
  readonly difficulty: number;
  readonly text: string;
}

/** A bundle uses this many seeds in a row at most, so that no two bundles share an order. */
const SEEDS_PER_BUNDLE = 1_000_000;

/** The orders of a demo bundle; the same count and seed give the same bundle. */
export function demoOrders(count: number, seed: number): DemoOrder[] {
  if (count > SEEDS_PER_BUNDLE) throw new RangeError(`a bundle has at most ${SEEDS_PER_BUNDLE} orders, not ${count}`);
  const digits = Math.max(4, String(count).length);
  return Array.from({ length: count }, (_, i) => {
    const { text, truth, difficulty } = generateOrder(seed * SEEDS_PER_BUNDLE + i, { split: 'demo' });
    const customId = `order-${String(i + 1).padStart(digits, '0')}`;
    return { customId, body: orderRequest(text), truth, difficulty, text };
  });
}
