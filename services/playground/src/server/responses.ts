import type { Tokenizer } from '../engine/tokenizer.ts';
import type { ResponseEvent } from './event-stream.ts';
import { frameEvents } from './event-stream.ts';
import type { Body } from './fields.ts';
import { readString } from './fields.ts';
import { readResponseRequest } from './response-fields.ts';
import type { OpenResponse, ResponseEnding } from './response-object.ts';
import {
  openResponse,
  showClosedResponse,
  showMessage,
  showOpenResponse,
  showPart,
  statusOf,
} from './response-object.ts';
import type { ServedModels, TextEvent } from './served-model.ts';
import { chooseModel, generateText } from './served-model.ts';
import type { ShownLogprob } from './shown-logprobs.ts';
import { omitBytes, showLogprobs } from './shown-logprobs.ts';

/** Answers a request of the Responses API with one object, or with a stream of events. */
export function answerResponse(models: ServedModels, body: Body): Promise<object> | AsyncGenerator<string> {
  const served = chooseModel(models, readString(body, 'model'));
  const { thread, tokenizer } = served;
  const request = readResponseRequest(body, tokenizer, thread.shape);
  const texts = generateText(served, request.generation);
  const events = streamResponse(texts, openResponse(request, thread.name), tokenizer);
  return request.stream ? frameEvents(events) : takeResponse(events);
}

/** Without a stream, the answer is the response that the last event of one would carry. */
async function takeResponse(events: AsyncGenerator<ResponseEvent>): Promise<object> {
  let response: object = {};
  for await (const event of events) response = event.response ?? response;
  return response;
}

/** A response here is always one message of one part, so they open and close together. */
async function* streamResponse(
  texts: AsyncGenerator<TextEvent>,
  open: OpenResponse,
  tokenizer: Tokenizer,
): AsyncGenerator<ResponseEvent> {
  const item = { output_index: 0 };
  const place = { ...item, item_id: open.messageId, content_index: 0 };
  yield { type: 'response.created', response: showOpenResponse(open) };
  yield { type: 'response.in_progress', response: showOpenResponse(open) };
  yield { type: 'response.output_item.added', ...item, item: showMessage(open, 'in_progress', []) };
  yield { type: 'response.content_part.added', ...place, part: showPart('', []) };
  let text = '';
  const logprobs: ShownLogprob[] = [];
  let ending: ResponseEnding = { reason: 'stop', generatedTokens: 0 };
  for await (const event of texts) {
    if (event.kind === 'piece') {
      const added = open.request.logprobs ? showLogprobs(tokenizer, event.piece.tokens) : [];
      text += event.piece.text;
      logprobs.push(...added);
      yield { type: 'response.output_text.delta', ...place, delta: event.piece.text, logprobs: omitBytes(added) };
    } else if (event.kind === 'finish') ending = event;
  }
  const status = statusOf(ending);
  const part = showPart(text, logprobs);
  const message = showMessage(open, status, [part]);
  yield { type: 'response.output_text.done', ...place, text, logprobs: omitBytes(logprobs) };
  yield { type: 'response.content_part.done', ...place, part };
  yield { type: 'response.output_item.done', ...item, item: message };
  yield { type: `response.${status}`, response: showClosedResponse(open, message, ending) };
}
