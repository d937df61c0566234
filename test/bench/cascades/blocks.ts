import {
  isJsonObject,
  keptPrefix,
  readScores,
  runAtOnce,
  type JsonObject,
  type KeepRule,
  type KeptPrefix,
  type PricedTokens,
} from '@spillway/core';
import { chat, type ChatModel, type Reply } from './chat.ts';
import { addTokens, NO_TOKENS, type Handled } from './handled.ts';
import type { WorkDocument } from './work.ts';

export type BlocksOptions = {
  readonly drafter: ChatModel;
  readonly expert: ChatModel;
  readonly block: number;
  readonly tolerance: number | null;
};

/** How the embedded pair's tokeniser shows the end of an answer among the tokens of a prompt. */
const END = '<|end|>';

/**
 * Speculative decoding (Leviathan et al., arXiv 2211.17192), greedy, and with a tolerance a speculative cascade (Narasimhan
 * et al., arXiv 2405.19261): the drafter writes a block, the expert reads it in one pass, what stands of it is kept with
 * one token of the expert behind it, and so on to the end. An engine does this inside itself, and keeps what it has
 * computed; over the protocol each pass is two calls, which send all that there is so far. `readInside` says what the
 * expert would read inside an engine: the prompt once, and of each pass its block.
 *
 * What is passed on is text, so a token that the drafter's text is cut into otherwise than the expert would have written it
 * can be refused again and again: where a pass brings nothing the expert writes a token by itself.
 */
export async function answerInBlocks(
  { customId, body }: Pick<WorkDocument, 'customId' | 'body'>,
  { drafter, expert, block, tolerance }: BlocksOptions,
): Promise<Handled> {
  const rule: KeepRule = tolerance === null ? { exact: true } : { tolerance };
  const paid = { drafter: NO_TOKENS, expert: NO_TOKENS };
  const ask = async (role: 'drafter' | 'expert', given: string, more: JsonObject): Promise<Reply> => {
    const reply = await chat(role === 'drafter' ? drafter : expert, { ...requestOf(body, given), ...more });
    paid[role] = addTokens(paid[role], reply.tokens);
    return reply;
  };
  let given: Given = { text: '', tokens: 0, isEnd: false };
  let [wasted, readInside] = [0, 0];
  while (!given.isEnd && given.tokens < body.max_tokens) {
    const draft = await ask('drafter', given.text, { max_tokens: block });
    const text = given.text + draft.text;
    const scored = text === '' ? null : await ask('expert', text, { max_tokens: 1, prompt_logprobs: 1 });
    const kept = scored === null ? null : keptOf(scored.body, text, rule);
    if (scored !== null) readInside += readInside === 0 ? scored.tokens.inputTokens : draft.tokens.outputTokens + 1;
    const next: Given | null = scored === null || kept === null ? null : after(kept, scored);
    const isFurther = next !== null && (next.isEnd || next.text.length > given.text.length);
    const stood = isFurther && kept !== null ? Math.max(0, kept.tokens - given.tokens) : 0;
    // The end of an answer is a token, too, and is agreed on where both come to it.
    const isAgreed = isFurther && kept?.isWhole === true && draft.isEnd && next.isEnd;
    wasted += Math.max(0, draft.tokens.outputTokens - stood - (isAgreed ? 1 : 0));
    given = isFurther ? next : ownToken(given, await ask('expert', given.text, { max_tokens: 1 }));
  }
  const tokens: { drafter: PricedTokens; expert: PricedTokens } = paid;
  const none = { sequentialMs: null, slow: null, draft: null, keptCharacters: null };
  return { customId, answer: given.text, ...tokens, wasted, readInside, escalated: true, asked: 'blocks', ...none };
}

/** An answer as far as it is, in the expert's tokens. */
type Given = { readonly text: string; readonly tokens: number; readonly isEnd: boolean };

function requestOf({ messages, temperature }: WorkDocument['body'], given: string): JsonObject {
  const asked = messages.map((message) => ({ ...message }));
  if (given === '') return { messages: asked, temperature };
  const begun = [...asked, { role: 'assistant', content: given }];
  return { messages: begun, temperature, add_generation_prompt: false, continue_final_message: true };
}

function keptOf(body: JsonObject, text: string, rule: KeepRule): KeptPrefix {
  const scores = runAtOnce(readScores(body, 'prompt_logprobs', text));
  if (scores.kind === 'unreadable') throw new Error(scores.why);
  return keptPrefix(text, scores.tokens, rule);
}

/** What stands, and the expert's own token behind it. */
function after(kept: KeptPrefix, scored: Reply): Given {
  const tokens = kept.tokens + 1;
  if (kept.isWhole) return { text: kept.text + scored.text, tokens, isEnd: scored.isEnd };
  const best = bestAt(scored.body, kept.draftTokens - kept.tokens);
  return best === END ? { ...kept, isEnd: true } : { text: kept.text + best, tokens, isEnd: false };
}

const ownToken = ({ text, tokens }: Given, own: Reply): Given => ({
  text: text + own.text,
  tokens: tokens + 1,
  isEnd: own.isEnd,
});

/** The likeliest token at a place of the prompt, counted from its end. */
function bestAt(body: JsonObject, fromEnd: number): string {
  const entries = body['prompt_logprobs'];
  const entry: unknown = Array.isArray(entries) ? entries.at(-fromEnd) : null;
  const best = isJsonObject(entry) ? Object.values(entry).find((one) => isJsonObject(one) && one['rank'] === 1) : null;
  const token = isJsonObject(best) ? best['decoded_token'] : null;
  if (typeof token !== 'string') throw new Error('the likeliest token of a place is not said');
  return token;
}
