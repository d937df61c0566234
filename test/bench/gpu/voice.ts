import type { JsonObject } from '@spillway/core';
import { completionBody } from '../../support/model-script.ts';
import { promptOf } from '../../support/model-shapes.ts';
import { eventsOf } from '../../support/model-stream.ts';
import { answerOf, type Answer, type Speaker } from './answers.ts';
import { blocksOf, textOf, tokensOf } from './prompt.ts';
import type { Blocks } from './prefix-cache.ts';

/** What is said to a request, and what it is to the engine. */
export type Said = {
  readonly kind: 'answer';
  /** In the engine's tokens. */
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly blocks: Blocks;
  /** Whether the prompt's blocks are looked up in the prefix cache; computed ones are kept in it all the same. */
  readonly readsCache: boolean;
  /** Engine's tokens for each token that the answer shows: a stream has a piece for so many. */
  readonly scale: number;
  /** The whole answer, or its events where a stream was asked for: first who speaks, then one for each token it shows. */
  readonly whole: (cachedTokens: number) => JsonObject;
  readonly pieces: (cachedTokens: number) => readonly string[];
};

export type Refusal = { readonly kind: 'refusal'; readonly status: number; readonly body: JsonObject };

/** Who speaks behind a server that only takes the time for it. */
export type Voice = {
  say: (url: string, body: JsonObject) => Said | Refusal | Promise<Said | Refusal>;
  /** Calls since it was last asked that had to wait until it was known what is said, beyond the engine's time. */
  takeWaited: () => number;
};

/** A voice that says what a seed says, in tokens of four characters. */
export function seededVoice(speaker: Speaker, blockTokens: number): Voice {
  const say = (url: string, body: JsonObject): Said => {
    const text = textOf(body);
    const answer = cut(answerOf(speaker, promptOf(body)), body);
    const promptTokens = tokensOf(text);
    const whole = (cachedTokens: number): JsonObject => wholeOf({ url, body, promptTokens, answer }, cachedTokens);
    return {
      kind: 'answer',
      promptTokens,
      outputTokens: answer.tokens.length,
      blocks: blocksOf(text, blockTokens),
      readsCache: true,
      scale: 1,
      whole,
      pieces: (cachedTokens) => eventsOf(url, whole(cachedTokens), body),
    };
  };
  return { say, takeWaited: () => 0 };
}

type Cut = Answer & { readonly isCut: boolean };

/** An answer without what is over the most that the request allows. */
function cut({ tokens, logprobs }: Answer, body: JsonObject): Cut {
  const most = body['max_completion_tokens'] ?? body['max_tokens'] ?? body['max_output_tokens'];
  const count = typeof most === 'number' ? Math.max(1, Math.min(most, tokens.length)) : tokens.length;
  return { tokens: tokens.slice(0, count), logprobs: logprobs.slice(0, count), isCut: count < tokens.length };
}

type Asked = {
  readonly url: string;
  readonly body: JsonObject;
  readonly promptTokens: number;
  readonly answer: Cut;
};

function wholeOf({ url, body, promptTokens, answer }: Asked, cachedTokens: number): JsonObject {
  const usage = {
    prompt_tokens: promptTokens,
    completion_tokens: answer.tokens.length,
    total_tokens: promptTokens + answer.tokens.length,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
  const finishReason = answer.isCut ? 'length' : 'stop';
  return completionBody(
    { kind: 'completion', text: answer.tokens.join(''), logprobs: [...answer.logprobs], usage, finishReason },
    { url, body, prompt: '' },
  );
}
