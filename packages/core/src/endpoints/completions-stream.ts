import type { Json, JsonObject } from '../text/json.ts';
import {
  choicesOf,
  chunksOf,
  collectChoices,
  extendLogprobs,
  hasEnded,
  indexOf,
  showUsage,
  type ChoicePieces,
} from './choice-stream.ts';
import { completionChoice } from './completions-choice.ts';
import { Pieces, type EndpointStream } from './stream.ts';

const OBJECT = 'text_completion';

/** How `/v1/completions` streams: a chunk looks as an answer does. */
export const completionsStream: EndpointStream = {
  fields: { stream: true, stream_options: { include_usage: true } },
  end: '[DONE]',
  collect: () => collectChoices(OBJECT, openChoice),
  events: (body, request) => {
    const choices = choicesOf(body).map((choice, at) => ({ choice, index: indexOf(choice, at) }));
    const pieces = [
      // Every choice begins before one ends, so that nobody takes the first for all.
      ...choices.map(({ choice, index }) => said(choice, index)),
      ...choices.map(({ choice, index }) => ended(choice, index)),
    ];
    return chunksOf(body, request, OBJECT, pieces);
  },
  annotate: (data, cascade) => ({ ...data, cascade }),
  show: (data, request) => {
    const shown = showUsage(data, request);
    if (shown === null) return null;
    const choices = (shown['choices'] as readonly Json[]).map((choice) => completionChoice(choice, request, true));
    return { event: null, data: { ...shown, choices } };
  },
  failed: (envelope) => ({ event: null, data: envelope }),
};

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
