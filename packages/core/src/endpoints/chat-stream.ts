import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';
import { chatChoice } from './chat-choice.ts';
import { contentText } from './completion.ts';
import { choiceStream, extendLogprobs, hasEnded, indexOf, type ChoicePieces } from './choice-stream.ts';
import { Pieces } from './stream.ts';

/** How `/v1/chat/completions` streams. */
export const chatStream = choiceStream({
  object: 'chat.completion',
  chunk: 'chat.completion.chunk',
  open: openChoice,
  pieces: (choices) => [
    ...choices.map(({ choice, index }) => begun(choice, index)),
    ...choices.flatMap(({ choice, index }) => [...said(choice, index), ended(choice, index)]),
  ],
  said: ({ delta }) => {
    const { content = null, ...more } = isJsonObject(delta) ? delta : {};
    const isOther = Object.entries(more).some(([key, value]) => OTHERS.has(key) && value !== null && value !== '');
    return { text: contentText(content), isOther };
  },
  show: (choice, request) => chatChoice(choice, request, true),
});

/** What a message says beside its text. */
const OTHERS: ReadonlySet<string> = new Set([
  'refusal',
  'reasoning_content',
  'reasoning',
  'tool_calls',
  'function_call',
]);

/** What a message says as text, piece by piece. */
const TEXTS: ReadonlySet<string> = new Set(['refusal', 'reasoning_content', 'reasoning']);

function openChoice(): ChoicePieces {
  const rest = new Pieces();
  const message = new Pieces();
  const calls = new Calls();
  let logprobs: Pieces | null = null;
  const pushDelta = (delta: JsonObject): void => {
    for (const [key, value] of Object.entries(delta)) {
      if (key === 'content') message.set(key, contentOf(message.get(key), value));
      else if (key === 'tool_calls' && Array.isArray(value)) calls.push(value);
      else if (key === 'function_call' && isJsonObject(value)) {
        message.set(key, callOf(message.get(key), value));
      } else if (TEXTS.has(key)) message.append(key, value);
      else message.extend(key, value);
    }
  };
  return {
    push: ({ index: _index, delta, logprobs: piece, ...more }) => {
      for (const [key, value] of Object.entries(more)) rest.extend(key, value);
      if (isJsonObject(delta)) pushDelta(delta);
      if (piece === undefined) return;
      logprobs = extendLogprobs(logprobs, piece);
      rest.set('logprobs', null);
    },
    choice: (index) => {
      if (!hasEnded(rest)) return null;
      const whole = wholeMessage(message.object(), calls.list());
      return { index, ...rest.object(), message: whole, ...(logprobs === null ? {} : { logprobs: logprobs.object() }) };
    },
  };
}

/** Servers begin every message with an empty text; without a stream a call or a refusal has none. */
function wholeMessage(spoken: JsonObject, calls: readonly JsonObject[]): JsonObject {
  const { content = null, ...more } = spoken;
  const isOther = calls.length > 0 || isJsonObject(spoken['function_call']) || typeof spoken['refusal'] === 'string';
  return {
    role: 'assistant',
    content: content === '' && isOther ? null : content,
    ...more,
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
  };
}

/** Text, or a list of parts, which some servers have instead. */
function contentOf(before: Json | undefined, piece: Json): Json {
  if (piece === null || piece === '') return before ?? piece;
  if (typeof piece === 'string' && typeof before === 'string') return before + piece;
  if (typeof piece === 'string' && Array.isArray(before)) return [...before, { type: 'text', text: piece }];
  if (!Array.isArray(piece) || before === undefined || before === null || before === '') return piece;
  return [...(Array.isArray(before) ? before : [{ type: 'text', text: before }]), ...piece];
}

/** The function or the custom tool of a call: a name, and what it is called with, piece by piece. */
function callOf(before: Json | undefined, piece: JsonObject): JsonObject {
  const call = new Pieces();
  for (const [key, value] of Object.entries(isJsonObject(before) ? before : {})) call.set(key, value);
  for (const [key, value] of Object.entries(piece)) {
    if (key === 'arguments' || key === 'input') call.append(key, value);
    else call.set(key, value);
  }
  return call.object();
}

/** The tool calls of a message. */
class Calls {
  readonly #calls = new Map<number, Pieces>();
  #last = 0;

  push(pieces: readonly Json[]): void {
    for (const piece of pieces) {
      if (!isJsonObject(piece)) continue;
      const at = this.#indexOf(piece);
      this.#last = at;
      const call = this.#calls.get(at) ?? new Pieces();
      this.#calls.set(at, call);
      for (const [key, value] of Object.entries(piece)) {
        if (key === 'index') continue;
        const isCall = (key === 'function' || key === 'custom') && isJsonObject(value);
        call.set(key, isCall ? callOf(call.get(key), value) : value);
      }
    }
  }

  /** A server that does not number its calls begins a new one with an id. */
  #indexOf(piece: JsonObject): number {
    const begins = typeof piece['id'] === 'string' && piece['id'] !== '';
    return indexOf(piece, begins ? this.#calls.size : this.#last);
  }

  list(): readonly JsonObject[] {
    return [...this.#calls].toSorted(([left], [right]) => left - right).map(([, call]) => call.object());
  }
}

function begun(choice: JsonObject, index: number): JsonObject {
  const message = isJsonObject(choice['message']) ? choice['message'] : {};
  const refusal = 'refusal' in message ? { refusal: null } : {};
  const content = typeof message['content'] === 'string' ? '' : null;
  const delta = { role: message['role'] ?? 'assistant', content, ...refusal };
  return { index, delta, ...silent(choice), finish_reason: null };
}

/** A message in one piece; nothing where its beginning said it all. */
function said(choice: JsonObject, index: number): readonly JsonObject[] {
  const message = isJsonObject(choice['message']) ? choice['message'] : {};
  const { role: _role, content = null, refusal = null, tool_calls: calls, ...more } = message;
  const delta = {
    ...(content === null || content === '' ? {} : { content }),
    ...(refusal === null ? {} : { refusal }),
    ...(Array.isArray(calls) ? { tool_calls: calls.map(numbered) } : {}),
    ...more,
  };
  const { logprobs = null } = choice;
  if (Object.keys(delta).length === 0 && logprobs === null) return [];
  return [{ index, delta, ...('logprobs' in choice ? { logprobs } : {}), finish_reason: null }];
}

const numbered = (call: Json, index: number): Json => (isJsonObject(call) ? { ...call, index } : call);

function ended(choice: JsonObject, index: number): JsonObject {
  const { index: _index, message: _message, logprobs: _logprobs, finish_reason: reason, ...more } = choice;
  return { index, delta: {}, ...more, ...silent(choice), finish_reason: reason ?? 'stop' };
}

/** OpenAI says null of the log-probs wherever there are none. */
const silent = (choice: JsonObject): JsonObject => ('logprobs' in choice ? { logprobs: null } : {});
