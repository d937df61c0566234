import { randomUUID } from 'node:crypto';
import type { GenerationRequest } from '../engine/generation.ts';
import type { DecoderShape } from '../engine/decoder.ts';
import type { Tokenizer, Turn } from '../engine/tokenizer.ts';
import { ASSISTANT, encodeTurns } from '../engine/tokenizer.ts';
import { frameChunks } from './event-stream.ts';
import type { Body } from './fields.ts';
import { readBoolean, readInteger, readString } from './fields.ts';
import { ProtocolError, invalidField } from './protocol-error.ts';
import type { StreamFields } from './sampling-fields.ts';
import { MAX_TOP_LOGPROBS, readPromptLogprobs, readSampling, readStreamFields } from './sampling-fields.ts';
import type { ServedModels } from './served-model.ts';
import { chooseModel, gather, generateText, usageOf } from './served-model.ts';
import { showLogprobs, showPromptLogprobs } from './shown-logprobs.ts';
import type { ShownToken } from './text-assembler.ts';
import { refuseTools } from './tool-fields.ts';
import type { TurnFields } from './turns.ts';
import { readTurns } from './turns.ts';

interface ChatRequest extends StreamFields {
  readonly generation: GenerationRequest;
  readonly logprobs: boolean;
  /** The start of an unfinished answer that is to be repeated before its continuation. */
  readonly echoed: string;
}

const MESSAGES: TurnFields = { name: 'messages', partTypes: ['text'] };

/** Lays the conversation out, and opens an answer after it or leaves the last one open, as the caller says. */
function encodePrompt(body: Body, turns: readonly Turn[], tokenizer: Tokenizer): number[] {
  const addsPrompt = readBoolean(body, 'add_generation_prompt') ?? true;
  if (!(readBoolean(body, 'continue_final_message') ?? false)) {
    const encoded = encodeTurns(tokenizer, turns);
    return addsPrompt ? [...encoded, ASSISTANT] : encoded;
  }
  if (addsPrompt) {
    throw new ProtocolError(400, 'Cannot set both `continue_final_message` and `add_generation_prompt` to true', {
      param: 'continue_final_message',
    });
  }
  if (turns.at(-1)?.role !== 'assistant')
    throw invalidField('continue_final_message', 'used with an assistant message at the end');
  return encodeTurns(tokenizer, turns).slice(0, -1);
}

function readChatRequest(body: Body, tokenizer: Tokenizer, shape: DecoderShape): ChatRequest {
  refuseTools(body);
  const turns = readTurns(body, MESSAGES);
  const prompt = encodePrompt(body, turns, tokenizer);
  if (prompt.length === 0) throw invalidField('messages', 'a list with something to answer');
  const streaming = readStreamFields(body);
  const logprobs = readBoolean(body, 'logprobs') ?? false;
  const topLogprobs = readInteger(body, 'top_logprobs', 0, MAX_TOP_LOGPROBS) ?? 0;
  if (topLogprobs > 0 && !logprobs) throw invalidField('top_logprobs', 'used together with logprobs: true');
  const continues = readBoolean(body, 'continue_final_message') ?? false;
  return {
    ...streaming,
    logprobs,
    echoed: continues && (readBoolean(body, 'echo') ?? false) ? (turns.at(-1)?.content ?? '') : '',
    generation: readSampling(body, prompt, shape, {
      topLogprobs,
      promptLogprobs: readPromptLogprobs(body, streaming.stream),
      defaultMaxTokens: shape.contextTokens,
      param: 'messages',
    }),
  };
}

/** Answers a chat request with one object, or with a stream of chunks. */
export function answerChat(models: ServedModels, body: Body): Promise<object> | AsyncGenerator<string> {
  const served = chooseModel(models, readString(body, 'model'));
  const { thread, tokenizer } = served;
  const request = readChatRequest(body, tokenizer, thread.shape);
  const envelope = { id: `chatcmpl-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model: thread.name };
  const events = generateText(served, request.generation);
  return request.stream
    ? frameChunks(streamChat(events, request, tokenizer, envelope))
    : completeChat(events, request, tokenizer, envelope);
}

type Events = ReturnType<typeof generateText>;

/** The `logprobs` of a choice. */
function showContent(tokenizer: Tokenizer, tokens: readonly ShownToken[]): object {
  return { content: showLogprobs(tokenizer, tokens), refusal: null };
}

async function completeChat(
  events: Events,
  request: ChatRequest,
  tokenizer: Tokenizer,
  envelope: object,
): Promise<object> {
  const gathered = await gather(events, request.generation.choices);
  return {
    ...envelope,
    object: 'chat.completion',
    choices: gathered.choices.map((choice, index) => ({
      index,
      message: { role: 'assistant', content: request.echoed + choice.text, refusal: null },
      logprobs: request.logprobs ? showContent(tokenizer, choice.tokens) : null,
      finish_reason: choice.reason,
    })),
    usage: usageOf(request.generation.prompt.length, gathered.generatedTokens),
    ...(gathered.promptReports === undefined
      ? {}
      : { prompt_logprobs: showPromptLogprobs(tokenizer, gathered.promptReports) }),
  };
}

async function* streamChat(
  events: Events,
  request: ChatRequest,
  tokenizer: Tokenizer,
  envelope: object,
): AsyncGenerator<object> {
  const chunk = (choices: readonly object[], more: object = {}): object => ({
    ...envelope,
    object: 'chat.completion.chunk',
    choices,
    ...more,
  });
  const usage = request.includeUsage ? { usage: null } : {};
  for (let index = 0; index < request.generation.choices; index++) {
    const delta = { role: 'assistant', content: request.echoed, refusal: null };
    yield chunk([{ index, delta, logprobs: null, finish_reason: null }], usage);
  }
  let generatedTokens = 0;
  for await (const event of events) {
    if (event.kind === 'piece') {
      const logprobs = request.logprobs ? showContent(tokenizer, event.piece.tokens) : null;
      yield chunk(
        [{ index: event.choice, delta: { content: event.piece.text }, logprobs, finish_reason: null }],
        usage,
      );
    } else if (event.kind === 'finish') {
      generatedTokens += event.generatedTokens;
      yield chunk([{ index: event.choice, delta: {}, logprobs: null, finish_reason: event.reason }], usage);
    }
  }
  if (request.includeUsage) yield chunk([], { usage: usageOf(request.generation.prompt.length, generatedTokens) });
}
