import type { StageRecord } from '../document/ending.ts';
import type { Answer, DocumentJob } from '../document/job.ts';
import type { AttemptError } from '../document/attempt-error.ts';
import type { ExtraCall } from '../document/times.ts';
import { ENDPOINTS, type CompletionFacts } from '../endpoints/index.ts';
import type { JsonObject } from '../text/json.ts';
import { inputMessages, outputMessages } from './messages.ts';
import type { SpanAttributes } from './span.ts';

/** A model as its server knows it. */
export type NamedModel = { readonly model: string; readonly address: string; readonly port: number };

type CallOptions = {
  /** The models of the cascade, by their names in the configuration. */
  readonly models: (name: string) => NamedModel | null;
  /** Whether prompts and answers may be in the spans. */
  readonly content: boolean;
  /** Null: it brought none. */
  readonly answer: Answer | null;
};

/**
 * A stage's call as the GenAI conventions describe it (semantic-conventions 1.38, in development: the names are ours to
 * keep).
 */
export function describeCall(
  job: DocumentJob,
  { model }: Pick<StageRecord, 'model'>,
  { models, content, answer }: CallOptions,
): { name: string; attributes: SpanAttributes } {
  const endpoint = ENDPOINTS[job.endpoint];
  const named = models(model);
  const completion = answer === null ? null : endpoint.facts(answer.body, job.body);
  return {
    name: `${endpoint.operation} ${named?.model ?? model}`,
    attributes: {
      'gen_ai.operation.name': endpoint.operation,
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': named?.model ?? model,
      'gen_ai.request.max_tokens': numberOf(job.body, 'max_completion_tokens', 'max_tokens', 'max_output_tokens'),
      'gen_ai.request.temperature': numberOf(job.body, 'temperature'),
      'server.address': named?.address ?? null,
      'server.port': named?.port ?? null,
      'http.response.status_code': answer?.status ?? null,
      ...(completion === null ? {} : describeCompletion(completion)),
      ...(content
        ? {
            'gen_ai.input.messages': inputMessages(job.body[endpoint.inputField]),
            'gen_ai.output.messages':
              answer === null ? null : outputMessages(endpoint.text(answer.body, job.body), completion),
          }
        : {}),
    },
  };
}

/** One of several calls of an attempt: by which a draft is judged, or by which its stage made use of an earlier one. */
export function describeExtraCall(
  job: DocumentJob,
  { purpose, inputTokens, outputTokens }: ExtraCall,
  { name, named }: { readonly name: string; readonly named: NamedModel | null },
): SpanAttributes {
  return {
    'gen_ai.operation.name': ENDPOINTS[job.endpoint].operation,
    'gen_ai.provider.name': 'openai',
    'gen_ai.request.model': named?.model ?? name,
    'server.address': named?.address ?? null,
    'server.port': named?.port ?? null,
    'cascade.call.purpose': purpose,
    'gen_ai.usage.input_tokens': inputTokens,
    'gen_ai.usage.output_tokens': outputTokens,
  };
}

/** What a server says of key, account and load. Anything else may quote the request, or what the model wrote. */
const OF_THE_SERVER: ReadonlySet<string> = new Set(['401', '402', '407', '429', '503', '529']);

/** How a call failed: its status, and the first words of what the server said. */
export function describeFailure({ type, said }: AttemptError, content: boolean): SpanAttributes {
  const isHttp = /^\d{3}$/.test(type);
  const isShown = content || OF_THE_SERVER.has(type);
  return {
    'error.type': type,
    'http.response.status_code': isHttp ? Number(type) : null,
    'cascade.server.said': isShown ? (said ?? null) : null,
  };
}

function describeCompletion({ id, model, finishReason, usage }: CompletionFacts): SpanAttributes {
  return {
    'gen_ai.response.id': id,
    'gen_ai.response.model': model,
    'gen_ai.response.finish_reasons': finishReason === null ? null : [finishReason],
    'gen_ai.usage.input_tokens': usage.inputTokens,
    'gen_ai.usage.output_tokens': usage.outputTokens,
  };
}

function numberOf(body: JsonObject, ...names: readonly string[]): number | null {
  for (const name of names) {
    const value = body[name];
    if (typeof value === 'number') return value;
  }
  return null;
}
