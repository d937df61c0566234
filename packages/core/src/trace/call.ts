import type { StageRecord } from '../document/ending.ts';
import type { DocumentJob } from '../document/job.ts';
import { ENDPOINTS, type CompletionFacts } from '../endpoints/index.ts';
import { strictJson } from '../text/json-line.ts';
import type { JsonObject } from '../text/json.ts';
import type { SpanAttributes } from './span.ts';

/** A model as its server knows it. */
export type NamedModel = { readonly model: string; readonly address: string; readonly port: number };

type CallOptions = {
  /** The models of the cascade, by their names in the configuration. */
  readonly models: (name: string) => NamedModel | null;
  /** Whether prompts and answers may be in the spans. */
  readonly content: boolean;
};

/**
 * A stage's call as the GenAI conventions describe it (semantic-conventions 1.38, in development: the names are ours to
 * keep). `isLast`: it is the attempt that brought the stage's answer, if there is one.
 */
export function describeCall(
  job: DocumentJob,
  { model, answer }: Pick<StageRecord, 'model' | 'answer'>,
  { models, content, isLast }: CallOptions & { readonly isLast: boolean },
): { name: string; attributes: SpanAttributes } {
  const endpoint = ENDPOINTS[job.endpoint];
  const named = models(model);
  const given = isLast ? answer : null;
  const completion = given === null ? null : endpoint.facts(given.body, job.body);
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
      'http.response.status_code': given?.status ?? null,
      ...(completion === null ? {} : describeCompletion(completion)),
      ...(content
        ? {
            'gen_ai.input.messages': strictJson(job.body[endpoint.inputField] ?? null),
            'gen_ai.output.messages': given === null ? null : endpoint.text(given.body, job.body),
          }
        : {}),
    },
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
