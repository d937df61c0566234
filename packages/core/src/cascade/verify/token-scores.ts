import { readLogprob } from '../../endpoints/completion-tokens.ts';
import { isJsonObject, type Json, type JsonObject } from '../../text/json.ts';
import { unreadable, type Unreadable } from './spelling.ts';

/** What the expert says of a token that it was given. */
export type TokenScore = {
  /** It would have chosen this token itself. */
  readonly isBest: boolean;
  /** How likely the token is against the likeliest one there, 0 to 1; 0 where that is not listed. */
  readonly ratio: number;
  /** The log-prob of the token itself. */
  readonly logprob: number;
};

/** The tokens of a prompt as a server lists them, read one at a time: what stands before a draft need not be readable. */
export type ListedTokens = {
  readonly kind: 'listed';
  readonly count: number;
  readonly textsAt: (at: number) => readonly string[] | Unreadable;
  readonly scoreAt: (at: number) => TokenScore | Unreadable;
  /** How many log-probs stand at a token. */
  readonly sizeAt: (at: number) => number;
};

const best = (logprob: number): TokenScore => ({ isBest: true, ratio: 1, logprob });

/** Servers give 20 alternatives at most, unless they are told otherwise. */
const MAX_LISTED = 256;

/** Log-probs that differ by less are the same, computed twice. */
const ROUNDING = 1e-3;

/** vLLM's `prompt_logprobs`: an object for each token. */
export type PromptTokens = ListedTokens & {
  /** They stand beside the choices of a chat, and not in the choice of a completion. */
  readonly isChat: boolean;
};

export function promptTokens(body: unknown): PromptTokens | Unreadable {
  if (!isJsonObject(body)) return unreadable('the answer is no object');
  const isChat = (body['prompt_logprobs'] ?? null) !== null;
  const entries = isChat ? body['prompt_logprobs'] : choiceOf(body)?.['prompt_logprobs'];
  if (!Array.isArray(entries) || !entries.some(isJsonObject)) return unreadable('no prompt_logprobs');
  const { usage } = body;
  const counted = isJsonObject(usage) ? usage['prompt_tokens'] : undefined;
  if (typeof counted === 'number' && counted !== entries.length) {
    return unreadable(`prompt_logprobs of ${entries.length} tokens for a prompt of ${counted}`);
  }
  return {
    kind: 'listed',
    isChat,
    count: entries.length,
    textsAt: (at) => {
      const own = ownOf(entries[at] as Json | undefined);
      return 'kind' in own ? own : own.texts;
    },
    scoreAt: (at) => {
      const own = ownOf(entries[at] as Json | undefined);
      return 'kind' in own ? own : own.score;
    },
    sizeAt: (at) => Object.keys((entries[at] as JsonObject | null) ?? {}).length,
  };
}

/** A token that vLLM lists at a place; its rank is 1 and how many tokens are likelier. */
type Ranked = { readonly rank: number; readonly logprob: number; readonly text: string };

/** The token of the prompt itself, and what it may be. */
type OwnToken = { readonly texts: readonly string[]; readonly score: TokenScore };

/**
 * Which of the tokens at a place the prompt has. They are told apart by rank, as number-like keys are in no order:
 * asked for n alternatives vLLM lists the first n and, unless it is one of them, the prompt's own. Where an own token is as
 * likely as the likeliest, both have rank 1, and only the text can say which is meant.
 */
function ownOf(entry: Json | undefined): OwnToken | Unreadable {
  const listed = rankedIn(entry);
  if ('kind' in listed) return listed;
  const [only] = listed;
  if (listed.length === 1 && only !== undefined) {
    return {
      texts: [only.text],
      score: only.rank === 1 ? best(only.logprob) : { isBest: false, ratio: 0, logprob: only.logprob },
    };
  }
  const firsts = listed.filter(({ rank }) => rank === 1);
  if (listed.length === 2 && firsts.length === 2) {
    const [left, right] = firsts.map(({ logprob }) => logprob);
    const isTie = Math.abs((left ?? 0) - (right ?? 0)) <= ROUNDING;
    return isTie
      ? { texts: firsts.map(({ text }) => text), score: best(left ?? 0) }
      : unreadable('two tokens of rank 1');
  }
  const others = listed.filter(({ rank }) => rank > (listed.length === 2 ? 1 : listed.length));
  const [own] = others;
  if (firsts.length !== 1 || own === undefined || others.length > 1) {
    return unreadable("nobody can say which of several tokens is the prompt's own");
  }
  const ahead = own.logprob - (firsts[0]?.logprob ?? 0);
  if (ahead > ROUNDING) return unreadable('a token is likelier than the one of rank 1');
  return { texts: [own.text], score: { isBest: false, ratio: Math.min(1, Math.exp(ahead)), logprob: own.logprob } };
}

function rankedIn(entry: Json | undefined): readonly Ranked[] | Unreadable {
  if (!isJsonObject(entry)) return unreadable('a token without scores');
  const ranked: Ranked[] = [];
  for (const id in entry) {
    const one = entry[id];
    if (ranked.length === MAX_LISTED) return unreadable('more alternatives than anybody asks for');
    if (!isJsonObject(one)) return unreadable('a score that is no object');
    const { rank, decoded_token: text } = one;
    const logprob = readLogprob(one['logprob']);
    if (logprob === null) return unreadable('a log-prob that is none');
    if (typeof rank !== 'number' || !Number.isSafeInteger(rank) || rank < 1) return unreadable('a rank that is none');
    if (typeof text !== 'string') return unreadable('a token without its text');
    ranked.push({ rank, logprob, text });
  }
  return ranked.length === 0 ? unreadable('a token without scores') : ranked;
}

/** The parallel arrays of `/v1/completions` with `echo`; `text` is what it says, the prompt first. */
export type EchoedTokens = ListedTokens & { readonly text: string };

export function echoedTokens(body: unknown): EchoedTokens | Unreadable {
  const choice = isJsonObject(body) ? choiceOf(body) : null;
  const text = choice?.['text'];
  const logprobs = choice?.['logprobs'];
  if (typeof text !== 'string' || !isJsonObject(logprobs)) return unreadable('no echo with log-probs');
  const { tokens, token_logprobs: own, top_logprobs: top } = logprobs;
  if (!Array.isArray(tokens) || tokens.length === 0) return unreadable('an echo without tokens');
  if (!Array.isArray(own) || !Array.isArray(top)) return unreadable('an echo without log-probs or alternatives');
  if (own.length !== tokens.length || top.length !== tokens.length)
    return unreadable('an echo with lists of two lengths');
  return {
    kind: 'listed',
    text,
    count: tokens.length,
    textsAt: (at) => {
      const token: unknown = tokens[at];
      return typeof token === 'string' ? [token] : unreadable('a token without its text');
    },
    scoreAt: (at) => echoedScore(own[at] as Json | undefined, top[at] as Json | undefined),
    sizeAt: (at) => 1 + Object.keys((top[at] as JsonObject | null) ?? {}).length,
  };
}

/** A token is the best where none of those listed beside it is likelier; servers list at least the likeliest. */
function echoedScore(given: Json | undefined, top: Json | undefined): TokenScore | Unreadable {
  const own = readLogprob(given);
  if (own === null) return unreadable('a log-prob that is none');
  if (!isJsonObject(top)) return unreadable('a token without alternatives');
  let most: number | null = null;
  let listed = 0;
  for (const token in top) {
    const logprob = readLogprob(top[token]);
    listed += 1;
    if (listed > MAX_LISTED) return unreadable('more alternatives than anybody asks for');
    if (logprob === null) return unreadable('a log-prob that is none');
    most = Math.max(most ?? logprob, logprob);
  }
  if (most === null) return unreadable('a token without alternatives');
  return own >= most ? best(own) : { isBest: false, ratio: Math.exp(own - most), logprob: own };
}

function choiceOf(body: JsonObject): JsonObject | null {
  const { choices } = body;
  const first: Json | undefined = Array.isArray(choices) ? choices[0] : undefined;
  return isJsonObject(first) ? first : null;
}
