export { isCorrect, writeAnswer } from './answer.ts';
export type { GeneratedDocument, Split, Truth } from './generate.ts';
export { generateDocument, SPLITS } from './generate.ts';
export type { DemoDocument, DocumentRequestBody } from './request.ts';
export { ANSWER_TOKENS, demoDocuments, writeRequestBody } from './request.ts';
