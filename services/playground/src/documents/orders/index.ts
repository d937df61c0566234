export type { OrderField, OrderTruth } from './answer.ts';
export { isCorrectOrder, ORDER_FIELDS, readOrderAnswer, writeOrderAnswer } from './answer.ts';
export type { OrderSplit } from './generate.ts';
export { generateOrder, ORDER_SPLITS } from './generate.ts';
export { demoOrders, ORDER_ANSWER_TOKENS, orderRequest } from './request.ts';
