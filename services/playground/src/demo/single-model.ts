import type { PricedTokens } from '@spillway/core';
import { mapConcurrent } from '@spillway/runtime';
import type { OpenAI } from 'openai';
import { isCorrect, type DemoDocument } from '../documents/index.ts';
import { bar } from './progress.ts';
import type { Screen } from './screen.ts';
import { addTokens, NO_TOKENS } from './tokens.ts';

/** How one model does without the other. */
export type SingleModelRun = { readonly correct: number; readonly tokens: PricedTokens; readonly durationMs: number };

/** As many as the playground answers at once; more would only wait there. */
const MAX_CALLS = 16;

/** Asks one model for every document, directly and in order. */
export async function askSingleModel(
  client: OpenAI,
  model: string,
  documents: readonly DemoDocument[],
  { screen, label, signal }: { screen: Screen; label: string; signal: AbortSignal },
): Promise<SingleModelRun> {
  const startedAtMs = performance.now();
  let tokens = NO_TOKENS;
  let correct = 0;
  let done = 0;
  await mapConcurrent(documents, MAX_CALLS, async (document) => {
    const messages = document.body.messages.map((message) => ({ ...message }));
    const answer = await client.chat.completions.create({ ...document.body, messages, model }, { signal });
    if (isCorrect(answer.choices[0]?.message.content ?? '', document.truth)) correct += 1;
    tokens = addTokens(tokens, {
      inputTokens: answer.usage?.prompt_tokens ?? 0,
      cachedTokens: answer.usage?.prompt_tokens_details?.cached_tokens ?? 0,
      outputTokens: answer.usage?.completion_tokens ?? 0,
    });
    done += 1;
    screen.progress(bar(done, documents.length), `${label}: ${done} of ${documents.length} documents`);
  });
  return { correct, tokens, durationMs: performance.now() - startedAtMs };
}
