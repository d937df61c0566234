import type { Json, JsonObject } from '@spillway/core';
import type { Scripted } from './model-server.ts';

/** Whether a call asks if the answer before it is right. */
export function isVerdictCall(body: JsonObject): boolean {
  const messages = body['messages'];
  const last = Array.isArray(messages) ? (messages.at(-1) as JsonObject | undefined) : undefined;
  const said = last?.['content'];
  return typeof said === 'string' && said.startsWith('Is the answer above');
}

/** The kinds of calls that a server had, in order. */
export const verdictCallsOf = (requests: readonly { readonly body: JsonObject }[]): string[] =>
  requests.map(({ body }) => (isVerdictCall(body) ? 'verdict' : 'answer'));

/** One token, and how likely it was; the rest of the likelihood is that of the other letter. */
export function says(token: string, p: number): Scripted {
  const other = token === 'N' ? 'Y' : 'N';
  const entry = (text: string, share: number): JsonObject => ({ token: text, logprob: Math.log(share), bytes: null });
  const isLetter = token === 'Y' || token === 'N';
  const top: Json[] = [entry(token, p), ...(isLetter ? [entry(other, 1 - p)] : [])];
  return {
    kind: 'completion',
    text: token,
    logprobs: { content: [{ ...entry(token, p), top_logprobs: top }] },
    finishReason: 'length',
    usage: { prompt_tokens: 30, completion_tokens: 1, total_tokens: 31 },
  };
}
