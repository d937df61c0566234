import type { GeneratedDocument, Truth } from './generate.ts';
import { generateDocument } from './generate.ts';

/** The longest right answer has 24 tokens; the rest is for a model that loses its way. */
export const ANSWER_TOKENS = 40;

/** The part of a request that says nothing of models: the demo puts the name of a cascade beside it. */
interface DocumentRequestBody {
  readonly messages: readonly { readonly role: 'user'; readonly content: string }[];
  readonly max_tokens: number;
  readonly temperature: number;
}

/** The models know one task and were trained without a system message: the document is all that is said. */
function writeRequestBody(document: GeneratedDocument): DocumentRequestBody {
  return { messages: [{ role: 'user', content: document.text }], max_tokens: ANSWER_TOKENS, temperature: 0 };
}

export interface DemoDocument {
  readonly customId: string;
  readonly body: DocumentRequestBody;
  readonly truth: Truth;
  readonly difficulty: number;
  readonly text: string;
}

/** A demo bundle uses this many seeds in a row at most, so that no two bundles share a document. */
const SEEDS_PER_BUNDLE = 1_000_000;

/** The documents of a demo bundle; the same count and seed give the same bundle. */
export function demoDocuments(count: number, seed: number): DemoDocument[] {
  if (count > SEEDS_PER_BUNDLE)
    throw new RangeError(`a bundle has at most ${SEEDS_PER_BUNDLE} documents, not ${count}`);
  const digits = Math.max(4, String(count).length);
  return Array.from({ length: count }, (_, i) => {
    const document = generateDocument(seed * SEEDS_PER_BUNDLE + i, { split: 'demo' });
    return {
      customId: `document-${String(i + 1).padStart(digits, '0')}`,
      body: writeRequestBody(document),
      truth: document.truth,
      difficulty: document.difficulty,
      text: document.text,
    };
  });
}
