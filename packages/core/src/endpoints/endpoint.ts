import type { Sliced } from '../text/slices.ts';
import type { Completion, CompletionFacts } from './completion.ts';
import { cutText } from '../text/cut.ts';
import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';
import type { EndpointStream } from './stream.ts';

/** What a body lacks or must not have, in the words of a batch's `errors`. */
export type BodyProblem = { readonly code: string; readonly message: string; readonly param: string };

/**
 * Whether an answer is asked for with log-probs, and with how many alternatives per token. Some servers give no log-probs
 * without alternatives, or many that nobody asked for, so 0 is for those that refuse them.
 */
export type AskedLogprobs = { readonly wanted: boolean; readonly top: number };

/** What an answer may be asked to be. A server that is held to JSON by a mask says other log-probs of the same answer. */
export const FORMAT_KINDS = ['text', 'json_object', 'json_schema'] as const;

export type FormatKind = (typeof FORMAT_KINDS)[number];

/** JSON that the answer's text is asked to be. */
export type AskedFormat = {
  readonly type: Exclude<FormatKind, 'text'>;
  readonly schema: Json | undefined;
};

/** One of OpenAI's ways to ask a model for text: all that differs between them is here. */
export type Endpoint = {
  readonly name: string;
  /** `gen_ai.operation.name`. */
  readonly operation: 'chat' | 'text_completion';
  /** Behind the model server's base URL, which ends with `/v1`. */
  readonly path: string;
  /** The field of a body that holds what the model is to answer. */
  readonly inputField: 'messages' | 'prompt' | 'input';
  /** Whether a request may name a `seed` to sample by. */
  readonly takesSeed: boolean;
  /**
   * The first problem of a body's own fields; null when there is none. A batch's line may not ask for a stream; a
   * request that is answered at once may, and its caller says that it `streams`.
   */
  readonly problem: (body: JsonObject, options?: { readonly streams: boolean }) => BodyProblem | null;
  /** The fields of a body that says no more than these words. */
  readonly saying: (words: string) => JsonObject;
  /** The fields of a body that bound its answer to so many tokens, or to the fewest that servers take. */
  readonly limit: (tokens: number) => JsonObject;
  /** A body with this text put before whatever else the model reads; unchanged where there is no place for it. */
  readonly withSystem: (body: JsonObject, text: string) => JsonObject;
  /**
   * The request that asks a further question after an answer to a body, answered in so many tokens; null for a body
   * that has no place for it.
   */
  readonly followUp: (body: JsonObject, answer: string, question: string, maxTokens: number) => JsonObject | null;
  /**
   * The client's request as the model server gets it: under the model's own name, not streamed, and with log-probs if
   * the confidence needs them, unless the client's own request asks for more.
   */
  readonly request: (body: JsonObject, model: string, asked: AskedLogprobs) => JsonObject;
  /**
   * The server's answer as the client asked for it: log-probs that only Spillway wanted are taken out as OpenAI leaves
   * them out, and alternatives that only Spillway wanted are cut. A thought that a text begins with is taken out, too;
   * with `include_reasoning: true` it goes where servers put it that take it out themselves.
   */
  readonly answer: (answer: JsonObject, body: JsonObject, asked: AskedLogprobs) => Sliced<JsonObject>;
  /** Whether the client's own request asks for log-probs; then a server's refusal of them is the client's. */
  readonly wantsLogprobs: (body: JsonObject) => boolean;
  /** What the server's answer to a request says of itself; null: it is no completion. */
  readonly facts: (answer: unknown, body: JsonObject) => CompletionFacts | null;
  /** The same with what it says as text, and the tokens of that. */
  readonly read: (answer: unknown, body: JsonObject) => Sliced<Completion | null>;
  /** The text of an answer as it was shown to the client; null: it has none. */
  readonly text: (answer: unknown, body: JsonObject) => string | null;
  readonly format: (body: JsonObject) => AskedFormat | null;
  /**
   * A body with these words put behind whatever else the model reads; null for a body that has no place for them, or whose
   * answer is begun.
   */
  readonly withInstruction: (body: JsonObject, words: string) => JsonObject | null;
  /** A body whose `json_schema` format has this schema in place of its own, and a name that ends with this. */
  readonly withSchema: (body: JsonObject, schema: JsonObject, suffix: string) => JsonObject;
  readonly stream: EndpointStream;
};

export const required = (name: string): BodyProblem => {
  const title = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  return { code: 'invalid_request', message: `${title} parameter is required.`, param: `body.${name}` };
};

/** A problem where a body asks for a stream and cannot have one. */
export const streamProblem = (
  endpoint: string,
  body: JsonObject,
  options: { readonly streams: boolean } | undefined,
): BodyProblem | null =>
  body['stream'] !== true || options?.streams === true
    ? null
    : {
        code: 'streaming_unsupported',
        message: `${endpoint}: Streaming is not supported in the Batch API.`,
        param: 'body.stream',
      };

/** What of a body a further question keeps: the model that it goes to. */
export const modelOf = (body: JsonObject): JsonObject => (body['model'] === undefined ? {} : { model: body['model'] });

/** Words as the only message. */
export const messagesOf = (words: string): readonly JsonObject[] => [{ role: 'user', content: words }];

/** A further question as the messages behind those of a body. */
export const exchangeOf = (answer: string, question: string): readonly JsonObject[] => [
  { role: 'assistant', content: answer },
  { role: 'user', content: question },
];

/**
 * Messages with words behind them: at the end of what the user said last, as some chat templates take no two messages of
 * one role in a row, and no system message but the first. Null: the last one is the model's own, and to be gone on with.
 */
export function messagesWith(messages: readonly Json[], words: string, partType: string): readonly Json[] | null {
  const last = messages.at(-1);
  if (!isJsonObject(last) || last['role'] === 'assistant') return null;
  if (last['role'] !== 'user') return [...messages, ...messagesOf(words)];
  const { content } = last;
  const isText = typeof content === 'string';
  if (!isText && !Array.isArray(content)) return null;
  const longer = isText ? `${content}\n\n${words}` : [...(content as Json[]), { type: partType, text: words }];
  return [...messages.slice(0, -1), { ...last, content: longer }];
}

/** The format of a body with another schema; `format` is what has the name and the schema in it. */
export const withOwnSchema = (format: JsonObject, schema: JsonObject, suffix: string): JsonObject => {
  const { name } = format;
  return { ...format, ...(typeof name === 'string' ? { name: suffixed(name, suffix) } : {}), schema };
};

/** OpenAI takes no longer names of a schema. */
const MAX_NAME_CHARACTERS = 64;

const suffixed = (name: string, suffix: string): string =>
  `${cutText(name, MAX_NAME_CHARACTERS - suffix.length)}${suffix}`;
