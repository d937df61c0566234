import { DEMO } from '../../../services/playground/src/demo/cascade.ts';
import { ANSWER_TOKENS, demoDocuments, isCorrect } from '../../../services/playground/src/documents/index.ts';
import {
  demoOrders,
  isCorrectOrder,
  ORDER_ANSWER_TOKENS,
} from '../../../services/playground/src/documents/orders/index.ts';
import { ORDER_WAYS, WAYS, type Way } from './ways.ts';

/** What is answered: the demo's documents, three values each, or orders, ten values each, by a pair of their own. */
export const WORKS = ['documents', 'orders'] as const;
export type WorkName = (typeof WORKS)[number];

/** A document, and whether an answer to it is right. */
export type WorkDocument = {
  readonly customId: string;
  readonly body: {
    readonly messages: readonly { readonly role: 'user'; readonly content: string }[];
    readonly max_tokens: number;
    readonly temperature: number;
  };
  readonly isRight: (answer: string) => boolean;
};

export type Work = {
  readonly models: { readonly drafter: string; readonly expert: string };
  readonly documents: (count: number, seed: number) => readonly WorkDocument[];
  readonly ways: readonly Way[];
};

const asked = (text: string, maxTokens: number): WorkDocument['body'] => ({
  messages: [{ role: 'user', content: text }],
  max_tokens: maxTokens,
  temperature: 0,
});

export const WORK: Readonly<Record<WorkName, Work>> = {
  documents: {
    models: { drafter: DEMO.drafter.model, expert: DEMO.expert.model },
    documents: (count, seed) =>
      demoDocuments(count, seed).map(({ customId, text, truth }) => ({
        customId,
        body: asked(text, ANSWER_TOKENS),
        isRight: (answer) => isCorrect(answer, truth),
      })),
    ways: WAYS,
  },
  // Without their schema, which the pair does not follow: values are asked for by going on with the draft.
  orders: {
    models: { drafter: 'spillway-orders-drafter', expert: 'spillway-orders-expert' },
    documents: (count, seed) =>
      demoOrders(count, seed).map(({ customId, text, truth }) => ({
        customId,
        body: asked(text, ORDER_ANSWER_TOKENS),
        isRight: (answer) => isCorrectOrder(answer, truth),
      })),
    ways: ORDER_WAYS,
  },
};
