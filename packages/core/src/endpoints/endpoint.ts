import type { Completion } from '../completion.ts';
import type { Json, JsonObject } from '../json.ts';

/** What a body lacks or must not have, in the words of a batch's `errors`. */
export type BodyProblem = { readonly code: string; readonly message: string; readonly param: string };

/** Whether an answer is asked for with log-probs, and with how many alternatives per token. */
export type AskedLogprobs = { readonly wanted: boolean; readonly top: number };

/** JSON that the answer's text is asked to be. */
export type AskedFormat = {
  readonly type: 'json_object' | 'json_schema';
  readonly schema: Json | undefined;
};

/** One of OpenAI's ways to ask a model for text: all that differs between them is here. */
export type Endpoint = {
  readonly name: string;
  /** `gen_ai.operation.name`. */
  readonly operation: 'chat' | 'text_completion';
  /** Behind the model server's base URL, which ends with `/v1`. */
  readonly path: string;
  /** The first problem of a body's own fields; null when there is none. */
  readonly problem: (body: JsonObject) => BodyProblem | null;
  /**
   * The client's request as the model server gets it: under the model's own name, never streamed, and with log-probs
   * if the confidence needs them, unless the client's own request asks for more.
   */
  readonly request: (body: JsonObject, model: string, asked: AskedLogprobs) => JsonObject;
  /**
   * The server's answer as the client asked for it: log-probs that only Spillway wanted are taken out as OpenAI leaves
   * them out, and alternatives that only Spillway wanted are cut.
   */
  readonly answer: (answer: JsonObject, body: JsonObject, asked: AskedLogprobs) => JsonObject;
  /** Whether the client's own request asks for log-probs; then a server's refusal of them is the client's. */
  readonly wantsLogprobs: (body: JsonObject) => boolean;
  /** What the server said to a request; null: it is no completion. */
  readonly read: (answer: unknown, body: JsonObject) => Completion | null;
  readonly format: (body: JsonObject) => AskedFormat | null;
};

export const required = (name: string): BodyProblem => {
  const title = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  return { code: 'invalid_request', message: `${title} parameter is required.`, param: `body.${name}` };
};

export const streamed = (endpoint: string): BodyProblem => ({
  code: 'streaming_unsupported',
  message: `${endpoint}: Streaming is not supported in the Batch API.`,
  param: 'body.stream',
});
