export { isCorrect, writeAnswer } from './answer.ts';
export type { Split, Truth } from './generate.ts';
export { generateDocument, SPLITS } from './generate.ts';
export type { DemoDocument } from './request.ts';
export { ANSWER_TOKENS, demoDocuments } from './request.ts';
