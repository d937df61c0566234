import type { DecoderShape } from '../engine/decoder.ts';
import type { GenerationRequest } from '../engine/generation.ts';
import type { Tokenizer, Turn } from '../engine/tokenizer.ts';
import { ASSISTANT, encodeTurns } from '../engine/tokenizer.ts';
import type { Body } from './fields.ts';
import { isBody, readBoolean, readInteger, readObject, readString } from './fields.ts';
import { ProtocolError, invalidField } from './protocol-error.ts';
import { MAX_TOP_LOGPROBS, readGeneration } from './sampling-fields.ts';
import { refuseTools } from './tool-fields.ts';
import type { TurnFields } from './turns.ts';
import { readTurns } from './turns.ts';

export interface ResponseRequest {
  readonly generation: GenerationRequest;
  readonly stream: boolean;
  readonly logprobs: boolean;
  /** The fields of the request that its answer repeats, with what was taken for those that were absent. */
  readonly repeated: object;
}

/** `text` is no name of OpenAI's here, but one that those write who come from chat. */
const INPUT: TurnFields = { name: 'input', partTypes: ['input_text', 'output_text', 'text'] };

const LOGPROBS = 'message.output_text.logprobs';

/** All that OpenAI knows: the others are about tools, pictures and reasoning, of which there is nothing to include. */
const INCLUDABLE: readonly unknown[] = [
  LOGPROBS,
  'code_interpreter_call.outputs',
  'computer_call_output.output.image_url',
  'file_search_call.results',
  'message.input_image.image_url',
  'reasoning.encrypted_content',
  'web_search_call.action.sources',
  'web_search_call.results',
];

function readInclude(body: Body): readonly unknown[] {
  const include = body['include'] ?? [];
  if (!Array.isArray(include) || !include.every((name) => INCLUDABLE.includes(name)))
    throw invalidField('include', `a list made of ${INCLUDABLE.join(', ')}`);
  return include;
}

/** A lone string is what a user says; `instructions` are dropped like every system message. */
function readInput(body: Body): Turn[] {
  const { input } = body;
  return typeof input === 'string' ? [{ role: 'user', content: input }] : readTurns(body, INPUT);
}

/** Refuses what would need a memory: an answer that left out the earlier conversation would be wrong without a word. */
function refuseStored(body: Body): void {
  const previous = readString(body, 'previous_response_id');
  if (previous !== undefined) {
    const message = `Nothing is stored here, so there is no response '${previous}': send the whole conversation as 'input'.`;
    throw new ProtocolError(400, message, { code: 'previous_response_not_found', param: 'previous_response_id' });
  }
  const stored = ['conversation', 'prompt'].find((name) => (body[name] ?? null) !== null);
  if (stored !== undefined) {
    const message = `Nothing is stored here, so '${stored}' refers to nothing: send all of it as 'input'.`;
    throw new ProtocolError(400, message, { code: 'unsupported_parameter', param: stored });
  }
  if (readBoolean(body, 'background') ?? false) {
    const message = 'Nothing is stored here, so no response can be fetched later: leave out `background`.';
    throw new ProtocolError(400, message, { code: 'unsupported_parameter', param: 'background' });
  }
}

/** A format is taken as in chat: repeated, and not enforced, for the models write JSON of one shape and nothing else. */
function readText(body: Body): object {
  const text = readObject(body, 'text');
  const format = text?.['format'] ?? { type: 'text' };
  if (!isBody(format)) throw invalidField('text.format', 'an object');
  return { ...text, format };
}

export function readResponseRequest(body: Body, tokenizer: Tokenizer, shape: DecoderShape): ResponseRequest {
  refuseTools(body);
  refuseStored(body);
  const prompt = [...encodeTurns(tokenizer, readInput(body)), ASSISTANT];
  const logprobs = readInclude(body).includes(LOGPROBS);
  const topLogprobs = readInteger(body, 'top_logprobs', 0, MAX_TOP_LOGPROBS) ?? 0;
  const asked = readInteger(body, 'max_output_tokens', 1, Number.MAX_SAFE_INTEGER);
  const generation = readGeneration(body, prompt, shape, {
    maxTokens: asked ?? shape.contextTokens,
    topLogprobs: logprobs ? topLogprobs : 0,
    promptLogprobs: undefined,
    param: 'input',
  });
  return {
    generation,
    stream: readBoolean(body, 'stream') ?? false,
    logprobs,
    repeated: {
      instructions: readString(body, 'instructions') ?? null,
      max_output_tokens: asked ?? null,
      metadata: readObject(body, 'metadata') ?? {},
      parallel_tool_calls: readBoolean(body, 'parallel_tool_calls') ?? true,
      temperature: generation.temperature,
      text: readText(body),
      tool_choice: readString(body, 'tool_choice') ?? 'auto',
      top_logprobs: topLogprobs,
      top_p: generation.topP,
      user: readString(body, 'user') ?? null,
    },
  };
}
