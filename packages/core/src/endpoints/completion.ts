import { readUsage, type Usage } from './usage.ts';
import { cutThought, readTexts, type ReadTexts, type SaidOptions, type SaidText } from './said-text.ts';
import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';
import type { Sliced } from '../text/slices.ts';

export type { TokenLogprob, TopLogprob } from './completion-tokens.ts';
export { readUsage, type Usage } from './usage.ts';

/** What a model answered, read once from whatever shape its server uses. */
export type Completion = ReadTexts & CompletionFacts;

/** What an answer says of itself, beside its texts. */
export type CompletionFacts = {
  /** Why it ended; `length` also where the server does not say so and the request's limit is used up. */
  readonly finishReason: string | null;
  readonly refusal: string | null;
  readonly toolCall: boolean;
  /** How many answers the body holds; `text` and `tokens` are the first one's. */
  readonly choices: number;
  readonly model: string | null;
  readonly id: string | null;
  readonly usage: Usage;
};

const BROKEN_OFF: ReadonlySet<string> = new Set(['abort', 'error']);

/**
 * What the body of a 200 that has choices says beside its texts, as chat completions and the older completions do. Null
 * means that it is not a completion: no choices, no message, an error beside them, or an answer that the server itself
 * calls broken off (vLLM and SGLang say `abort` when they shut down, routers say `error`).
 */
export function choiceFacts(body: unknown, request: JsonObject = {}): CompletionFacts | null {
  const message = firstMessage(body);
  if (!isJsonObject(body) || message === null) return null;
  const choices = body['choices'] as readonly Json[];
  const reason = reasonOf((choices[0] as JsonObject)['finish_reason']);
  if (reason !== null && BROKEN_OFF.has(reason.toLowerCase())) return null;
  const usage = readUsage(body['usage']);
  return {
    finishReason: reason ?? (isUsedUp(usage, request) ? 'length' : null),
    refusal: textOf(message['refusal']),
    toolCall: callsTool(message, reason),
    choices: choices.length,
    model: textOf(body['model']),
    id: textOf(body['id']),
    usage,
  };
}

/** Reads such a body whole. What the server `echoed` of the prompt is no part of the answer. */
export function* readChoice(body: unknown, request: JsonObject = {}, echoed = ''): Sliced<Completion | null> {
  const facts = choiceFacts(body, request);
  const message = firstMessage(body);
  if (facts === null || message === null) return null;
  const [choice] = (body as { readonly choices: readonly JsonObject[] }).choices;
  const said = saidOf(contentText(message['content']), choice ?? {}, echoed);
  return { ...(yield* readTexts(said, optionsOf(message, facts.usage, request))), ...facts };
}

/** The message of a body's first choice, unless there is an error in it. */
function firstMessage(body: unknown): JsonObject | null {
  if (!isJsonObject(body) || saysError(body)) return null;
  const choices = body['choices'];
  if (!Array.isArray(choices)) return null;
  const choice: Json | undefined = choices[0];
  if (!isJsonObject(choice) || choices.some((one: Json) => isJsonObject(one) && saysError(one))) return null;
  return messageOf(choice);
}

/** The text of an answer whose thoughts have been taken out, or never were in it. */
export function choiceText(body: unknown, echoed: string): string | null {
  const choices = isJsonObject(body) ? body['choices'] : undefined;
  const choice: Json | undefined = Array.isArray(choices) ? choices[0] : undefined;
  const message = isJsonObject(choice) ? messageOf(choice) : null;
  const [said] = message === null ? [] : saidOf(contentText(message['content']), {}, echoed);
  return said?.text ?? null;
}

/** Whether an answer, or a part of one, has an error beside whatever else it says: then the rest is no answer. */
export function saysError(said: JsonObject): boolean {
  const { error } = said;
  return error !== undefined && error !== null && error !== '' && error !== false;
}

/** What a request names its limit of tokens by; a server that reads another of them keeps to that. */
const LIMITS_OF_TOKENS = ['max_completion_tokens', 'max_tokens', 'max_output_tokens'] as const;

/** Whether an answer has as many tokens as it might have, so that a server which does not say why it ended cut it. */
export function isUsedUp({ outputTokens }: Usage, request: JsonObject): boolean {
  return LIMITS_OF_TOKENS.some((name) => {
    const limit = request[name];
    return typeof limit === 'number' && limit > 0 && outputTokens >= limit;
  });
}

/**
 * A choice without the thought that its text begins with. `isKept`: the thought goes where servers put it that take it
 * out themselves, unless there is one already.
 */
export function* choiceWithoutThought(
  choice: Json,
  { request, usage, echoed = '', isKept }: ThoughtOptions & { readonly echoed?: string },
): Sliced<Json> {
  const message = isJsonObject(choice) ? messageOf(choice) : null;
  if (!isJsonObject(choice) || message === null) return choice;
  const { content } = message;
  const cut = yield* cutThought(saidOf(contentText(content), choice, echoed), optionsOf(message, usage, request));
  const [left] = cut?.texts ?? [];
  if (cut === null || left === undefined) return choice;
  const isSaid = message['reasoning_content'] !== undefined && message['reasoning_content'] !== null;
  const reasoning = isKept && cut.thought !== '' && !isSaid ? { reasoning_content: cut.thought } : {};
  const logprobs = 'logprobs' in choice ? { logprobs: left.logprobs ?? null } : {};
  if (!isJsonObject(choice['message'])) {
    const said = contentText(content)?.startsWith(echoed) === true ? echoed : '';
    return { ...choice, text: said + left.text, ...reasoning, ...logprobs };
  }
  return { ...choice, message: { ...message, content: withText(content, left.text), ...reasoning }, ...logprobs };
}

/** How the thought of an answer is taken out. */
export type ThoughtOptions = {
  readonly request: JsonObject;
  readonly usage: Usage;
  readonly isKept: boolean;
};

/** How thoughts are taken out of an answer to a request, which says whether its client wants to see them. */
export const thoughtOptions = (answer: JsonObject, request: JsonObject): ThoughtOptions => ({
  request,
  usage: readUsage(answer['usage']),
  isKept: request['include_reasoning'] === true,
});

/** The text of a choice behind what the server echoed; none where it has no text. */
function saidOf(content: string | null, { logprobs }: JsonObject, echoed: string): readonly SaidText[] {
  if (content === null) return [];
  return [{ text: content.startsWith(echoed) ? content.slice(echoed.length) : content, logprobs }];
}

const optionsOf = (message: JsonObject, usage: Usage, request: JsonObject): SaidOptions => ({
  request,
  usage,
  reasoned: hasReasoned(message, usage),
});

/** A text in place of one, or of the parts that make one. */
function withText(content: Json | undefined, text: string): Json {
  if (!Array.isArray(content)) return text;
  const parts = content as readonly Json[];
  const isText = (part: Json): boolean => isJsonObject(part) && typeof part['text'] === 'string';
  const first = parts.findIndex(isText);
  return parts.flatMap((part, at): Json[] => {
    if (!isJsonObject(part) || !isText(part)) return [part];
    return at === first ? [{ ...part, text }] : [];
  });
}

/** A chat answer has a message; the older completions shape has the text in the choice itself. */
function messageOf(choice: JsonObject): JsonObject | null {
  if (isJsonObject(choice['message'])) return choice['message'];
  const text = choice['text'];
  return typeof text === 'string' ? { content: text } : null;
}

/** Some servers answer with a list of parts where the others have a string. */
export function contentText(content: Json | undefined): string | null {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return null;
  const parts = content.flatMap((part: Json) =>
    isJsonObject(part) && typeof part['text'] === 'string' ? [part['text']] : [],
  );
  return parts.length === 0 ? null : parts.join('');
}

/** Why an answer ended, also in SGLang's own shape: `{"type": "length"}`. What is neither is no reason to take it as whole. */
function reasonOf(given: Json | undefined): string | null {
  if (given === undefined || given === null || given === '') return null;
  const said = isJsonObject(given) ? (textOf(given['type']) ?? given) : given;
  return typeof said === 'string' ? said : JSON.stringify(said);
}

function callsTool(message: JsonObject, finishReason: string | null): boolean {
  const calls = message['tool_calls'];
  if (Array.isArray(calls) && calls.length > 0) return true;
  return isJsonObject(message['function_call']) || finishReason === 'tool_calls' || finishReason === 'function_call';
}

function hasReasoned(message: JsonObject, usage: Usage): boolean {
  const thoughts = textOf(message['reasoning_content']) ?? textOf(message['reasoning']);
  return thoughts !== null || usage.reasoningTokens > 0;
}

/** An empty string says as little as null. */
export function textOf(value: Json | undefined): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
