import { isJsonObject, type Json, type JsonObject } from '@spillway/core';
import type { Scripted } from './model-server.ts';

/** What an expert says when it is asked, and how its server does not do as it should. */
export type VerifyingOptions = {
  /** The model's own answer to a prompt. */
  readonly answer: (prompt: string) => string;
  /** Changes what the server says to a scoring call. */
  readonly scores?: (entries: readonly Json[], body: JsonObject) => Json;
  /** Answers a scoring call otherwise, or every call that goes on from a given text. */
  readonly scoring?: (body: JsonObject) => Scripted | null;
  readonly continuation?: (given: string, rest: string) => Scripted | string | null;
};

/** Words, punctuation marks and white space, each a token. */
export const tokensOf = (text: string): string[] => text.match(/\s+|\p{L}+|\p{N}|[^\s\p{L}\p{N}]/gu) ?? [];

const LOGPROB = { best: -0.01, other: -3 } as const;

/**
 * A model that always says the same to a prompt, behind a server that scores and continues as vLLM does: a token of a
 * given answer is the best one as long as the answer so far is the model's own; what comes after another one is anything.
 */
export function verifyingAnswer(options: VerifyingOptions): (request: { readonly body: JsonObject }) => Scripted {
  return ({ body }) => {
    const messages = (body['messages'] as readonly JsonObject[] | undefined) ?? [];
    const prompt = textOf(messages.find(({ role }) => role === 'user'));
    const own = options.answer(prompt);
    const given = body['continue_final_message'] === true ? textOf(messages.at(-1)) : null;
    const limit = Number(body['max_tokens'] ?? body['max_completion_tokens'] ?? Number.POSITIVE_INFINITY);
    if (given === null) return completion(tokensOf(own), limit, tokensOf(prompt).length);
    const promptTokens = ['<s>', ...tokensOf(prompt), '\n', ...tokensOf(given)];
    // Behind words that are not its own the model goes on somehow.
    const rest = own.startsWith(given) ? own.slice(given.length) : ' or so';
    if (!('prompt_logprobs' in body)) {
      const otherwise = options.continuation?.(given, rest) ?? null;
      if (otherwise !== null && typeof otherwise !== 'string') return otherwise;
      return completion(tokensOf(otherwise ?? rest), limit, promptTokens.length);
    }
    const otherwise = options.scoring?.(body) ?? null;
    if (otherwise !== null) return otherwise;
    const entries = entriesOf(promptTokens, tokensOf(given), own);
    return completion(tokensOf(rest), limit, promptTokens.length, {
      prompt_logprobs: options.scores?.(entries, body) ?? entries,
    });
  };
}

/** One entry a token, as vLLM writes them; only those of the given answer mean anything. */
function entriesOf(prompt: readonly string[], given: readonly string[], own: string): Json[] {
  let said = '';
  const scored = given.map((token) => {
    const isBest = own.startsWith(said + token);
    said += token;
    return entryOf(token, isBest);
  });
  return [null, ...prompt.slice(1, prompt.length - given.length).map((token) => entryOf(token, true)), ...scored];
}

const entryOf = (token: string, isBest: boolean): JsonObject => ({
  [String(Buffer.from(token).reduce((sum, byte) => (sum * 31 + byte) % 50_000, 7))]: {
    logprob: isBest ? LOGPROB.best : LOGPROB.other,
    rank: isBest ? 1 : 9,
    decoded_token: token,
  },
});

function completion(tokens: readonly string[], limit: number, promptTokens: number, more: JsonObject = {}): Scripted {
  const isCut = tokens.length >= limit;
  const shown = tokens.slice(0, limit);
  return {
    kind: 'completion',
    text: shown.join(''),
    finishReason: isCut ? 'length' : 'stop',
    usage: {
      prompt_tokens: promptTokens,
      completion_tokens: shown.length,
      total_tokens: promptTokens + shown.length,
    },
    more,
  };
}

/** The kinds of calls that a server had, in order. */
export const callsOf = (requests: readonly { readonly body: JsonObject }[]): string[] =>
  requests.map(({ body }) =>
    body['continue_final_message'] !== true ? 'answer' : 'prompt_logprobs' in body ? 'scoring' : 'continuation',
  );

/** What a call had as the beginning of its answer. */
export function givenIn({ body }: { readonly body: JsonObject }): string | null {
  const messages = body['messages'];
  const last: Json | undefined = Array.isArray(messages) ? messages.at(-1) : undefined;
  return isJsonObject(last) && last['role'] === 'assistant' ? textOf(last) : null;
}

function textOf(message: JsonObject | undefined): string {
  const content = message?.['content'];
  return typeof content === 'string' ? content : '';
}

/**
 * The same model behind a server like SGLang: its chat says no log-probs of a prompt, but (`return_prompt_token_ids`) which
 * tokens the messages become, and completions score an echo of those. `echoes` changes what is said of them.
 */
export function answerByIds(
  options: VerifyingOptions & { readonly echoes?: (logprobs: JsonObject) => Json },
): (request: { readonly body: JsonObject }) => Scripted {
  const { echoes, ...others } = options;
  const plain = verifyingAnswer(others);
  const words: string[] = [];
  const idOf = (word: string): number => {
    const known = words.indexOf(word);
    return known === -1 ? words.push(word) - 1 : known;
  };
  const raw = (body: JsonObject): Scripted => ({ kind: 'raw', body: JSON.stringify(body) });
  return (request) => {
    const { prompt, messages, return_prompt_token_ids: wantsIds, prompt_logprobs: _none, ...rest } = request.body;
    if (Array.isArray(prompt))
      return raw(
        echoOf(
          (prompt as number[]).map((id) => words[id] ?? ''),
          options,
          echoes,
        ),
      );
    if (wantsIds !== true) return plain({ body: { ...rest, ...(messages === undefined ? {} : { messages }) } });
    const said = (messages as readonly JsonObject[]).map(textOf);
    const [given = '', asked = ''] = said.toReversed();
    const tokens = ['<s>', ...tokensOf(asked), '\n', ...tokensOf(given)];
    const own = options.answer(asked);
    const next = own.startsWith(given) ? (tokensOf(own.slice(given.length))[0] ?? null) : ' or';
    const message = { role: 'assistant', content: next ?? '' };
    const choice = { index: 0, message, finish_reason: next === null ? 'stop' : 'length' };
    const usage = { prompt_tokens: tokens.length, completion_tokens: 1, total_tokens: tokens.length + 1 };
    return raw({
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 1,
      model: 'm',
      choices: [{ ...choice, prompt_token_ids: tokens.map(idOf) }],
      usage,
    });
  };
}

/** What completions say of the tokens of a prompt, whose answer begins behind its only line break; and one token more. */
function echoOf(
  tokens: readonly string[],
  { answer }: VerifyingOptions,
  echoes: (logprobs: JsonObject) => Json = (logprobs) => logprobs,
): JsonObject {
  const start = tokens.indexOf('\n') + 1;
  const own = answer(tokens.slice(1, start - 1).join(''));
  const isBest = tokens.map((_, at) => at < start || own.startsWith(tokens.slice(start, at + 1).join('')));
  const all = [...tokens, '</s>'];
  const logprobs = {
    tokens: all,
    token_logprobs: all.map((_, at) => (at === 0 ? null : (isBest[at] ?? true) ? LOGPROB.best : LOGPROB.other)),
    top_logprobs: all.map((token, at) =>
      at === 0 ? null : (isBest[at] ?? true) ? { [token]: LOGPROB.best } : { other: LOGPROB.best },
    ),
    text_offset: all.map(() => -1),
  };
  const choice = { index: 0, text: tokens.slice(1).join(''), logprobs: echoes(logprobs), finish_reason: 'length' };
  const usage = { prompt_tokens: tokens.length, completion_tokens: 1, total_tokens: tokens.length + 1 };
  return { id: 'cmpl-1', object: 'text_completion', created: 1, model: 'm', choices: [choice], usage };
}
