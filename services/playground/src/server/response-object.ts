import { randomUUID } from 'node:crypto';
import type { FinishReason } from '../engine/generation.ts';
import type { ResponseRequest } from './response-fields.ts';
import type { ShownLogprob } from './shown-logprobs.ts';

/** What a response is from its first event on. */
export interface OpenResponse {
  readonly id: string;
  readonly createdAt: number;
  readonly model: string;
  /** Of the one message that it has. */
  readonly messageId: string;
  readonly request: ResponseRequest;
}

/** How its text ended. */
export interface ResponseEnding {
  readonly reason: FinishReason;
  readonly generatedTokens: number;
}

const createId = (prefix: string): string => `${prefix}_${randomUUID().replaceAll('-', '')}`;
const nowInSeconds = (): number => Math.floor(Date.now() / 1000);

export function openResponse(request: ResponseRequest, model: string): OpenResponse {
  return { id: createId('resp'), createdAt: nowInSeconds(), model, messageId: createId('msg'), request };
}

/** The fields that the official client's types require and that never differ here: nothing is stored, called or reasoned. */
const CONSTANT_FIELDS = {
  access_programs: null,
  background: false,
  error: null,
  max_tool_calls: null,
  previous_response_id: null,
  prompt_cache_key: null,
  reasoning: { effort: null, summary: null },
  safety_identifier: null,
  service_tier: 'default',
  store: false,
  tools: [],
  truncation: 'disabled',
};

/** A response without its output, which has none before its end. */
export function showOpenResponse(open: OpenResponse): object {
  return {
    id: open.id,
    object: 'response',
    created_at: open.createdAt,
    status: 'in_progress',
    completed_at: null,
    incomplete_details: null,
    model: open.model,
    output: [],
    usage: null,
    ...CONSTANT_FIELDS,
    ...open.request.repeated,
  };
}

export function statusOf({ reason }: ResponseEnding): 'completed' | 'incomplete' {
  return reason === 'length' ? 'incomplete' : 'completed';
}

export function showClosedResponse(open: OpenResponse, message: object, ending: ResponseEnding): object {
  const status = statusOf(ending);
  const inputTokens = open.request.generation.prompt.length;
  return {
    ...showOpenResponse(open),
    status,
    completed_at: status === 'completed' ? nowInSeconds() : null,
    // An answer that the end of the context cut off ran into a limit on tokens, too, and OpenAI has no other word.
    incomplete_details: status === 'completed' ? null : { reason: 'max_output_tokens' },
    output: [message],
    usage: {
      input_tokens: inputTokens,
      input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
      output_tokens: ending.generatedTokens,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: inputTokens + ending.generatedTokens,
    },
  };
}

export function showMessage(open: OpenResponse, status: string, content: readonly object[]): object {
  return { id: open.messageId, type: 'message', status, role: 'assistant', content };
}

export function showPart(text: string, logprobs: readonly ShownLogprob[]): object {
  return { type: 'output_text', text, annotations: [], logprobs };
}
