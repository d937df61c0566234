import { LIMITS } from '../../limits.ts';
import { isJsonObject, type Json, type JsonObject } from '../../text/json.ts';
import type { Sliced } from '../../text/slices.ts';
import { scoreGroups, type ReadScores } from './scores.ts';
import type { OwnRequest } from './requests.ts';
import { spellEnd, unreadable } from './spelling.ts';
import { echoedTokens } from './token-scores.ts';

/**
 * The tokens of its prompt that an answer tells of, as their ids (SGLang from 0.5.13 on, asked by
 * `return_prompt_token_ids`); null: none. The server has put its chat template around the messages: so nobody else need
 * know it.
 */
export function promptIdsOf({ choices }: JsonObject): readonly number[] | null {
  const first: Json | undefined = Array.isArray(choices) ? choices[0] : undefined;
  const ids: Json | undefined = isJsonObject(first) ? first['prompt_token_ids'] : undefined;
  if (!Array.isArray(ids) || ids.length === 0 || ids.length > LIMITS.jsonValues) return null;
  return ids.every((id): id is number => Number.isSafeInteger(id) && Number(id) >= 0) ? ids : null;
}

/** Asks by `/v1/completions` how likely the tokens of a prompt are; as one token is written, it is asked for. */
export const idsRequest = (ids: readonly number[]): OwnRequest => ({
  body: { prompt: [...ids], echo: true, logprobs: 1, max_tokens: 1, temperature: 0 },
  own: ['prompt', 'echo', 'logprobs', 'max_tokens', 'max_completion_tokens', 'temperature'],
});

/** The scores of a draft that is the end of a prompt of so many tokens, by their echo; see `readScores`. */
export function* readIdScores(body: unknown, count: number, draft: string): Sliced<ReadScores> {
  if (draft.trim() === '') return unreadable('the draft is empty');
  const listed = echoedTokens(body);
  if (listed.kind === 'unreadable') return listed;
  if (listed.count < count || listed.count > count + 1)
    return unreadable(`log-probs of ${listed.count} tokens for a prompt of ${count}`);
  const spelling = yield* spellEnd(draft, { end: count, textsAt: listed.textsAt });
  return spelling.kind === 'spelt' ? yield* scoreGroups(listed, spelling.groups, 0) : spelling;
}
