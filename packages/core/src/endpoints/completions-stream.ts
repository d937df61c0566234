import type { JsonObject } from '../text/json.ts';
import { choiceStream, extendLogprobs, hasEnded, type ChoicePieces } from './choice-stream.ts';
import { completionChoice } from './completions-choice.ts';
import { Pieces } from './stream.ts';

/** How `/v1/completions` streams: a chunk looks as an answer does. */
export const completionsStream = choiceStream({
  object: 'text_completion',
  chunk: 'text_completion',
  open: openChoice,
  pieces: (choices) => [
    ...choices.map(({ choice, index }) => said(choice, index)),
    ...choices.map(({ choice, index }) => ended(choice, index)),
  ],
  said: ({ text }) => ({ text: typeof text === 'string' ? text : null, isOther: false }),
  unjudgeable: () => null,
  show: (choice, request) => completionChoice(choice, request, true),
});

function openChoice(): ChoicePieces {
  const rest = new Pieces();
  let logprobs: Pieces | null = null;
  return {
    push: ({ index: _index, text, logprobs: piece, ...more }) => {
      if (text !== undefined) rest.append('text', text);
      for (const [key, value] of Object.entries(more)) rest.extend(key, value);
      if (piece === undefined) return;
      logprobs = extendLogprobs(logprobs, piece);
      rest.set('logprobs', null);
    },
    choice: (index) => {
      if (!hasEnded(rest)) return null;
      return { text: '', index, ...rest.object(), ...(logprobs === null ? {} : { logprobs: logprobs.object() }) };
    },
  };
}

function said({ text = '', logprobs, ...choice }: JsonObject, index: number): JsonObject {
  const kept = logprobs === undefined ? {} : { logprobs };
  return { ...choice, text, index, ...kept, finish_reason: null };
}

function ended({ logprobs, finish_reason: reason }: JsonObject, index: number): JsonObject {
  return { text: '', index, ...(logprobs === undefined ? {} : { logprobs: null }), finish_reason: reason ?? 'stop' };
}
