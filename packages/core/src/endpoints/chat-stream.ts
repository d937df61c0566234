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
  unjudgeable: ({ delta }) => {
    const { tool_calls: calls, function_call: called, refusal } = isJsonObject(delta) ? delta : {};
    if ((Array.isArray(calls) && calls.length > 0) || isJsonObject(called)) return 'tool_call';
    return typeof refusal === 'string' && refusal !== '' ? 'refused' : null;
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
  const content = new Content();
  const calls = new Calls();
  let called: Pieces | null = null;
  let logprobs: Pieces | null = null;
  const pushDelta = (delta: JsonObject): void => {
    for (const [key, value] of Object.entries(delta)) {
      if (key === 'content') content.push(value);
      else if (key === 'tool_calls' && Array.isArray(value)) calls.push(value);
      else if (key === 'function_call' && isJsonObject(value)) called = extendCall(called, value);
      else if (TEXTS.has(key)) message.append(key, value);
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
      const spokenText = content.whole();
      const spoken = {
        ...message.object(),
        ...(spokenText === undefined ? {} : { content: spokenText }),
        ...(called === null ? {} : { function_call: called.object() }),
      };
      const whole = wholeMessage(spoken, calls.list());
      return { index, ...rest.object(), message: whole, ...(logprobs === null ? {} : { logprobs: logprobs.object() }) };
    },
  };
}

/** Text that comes in pieces, or a list of parts, which some servers have instead. */
class Content {
  /** What was said that is no text and no list. */
  #other: Json | undefined;
  #text = '';
  #parts: Json[] | null = null;

  push(piece: Json): void {
    if (typeof piece === 'string') this.#pushText(piece);
    else if (Array.isArray(piece)) this.#pushParts(piece);
    else if (piece !== null || (this.#text === '' && this.#parts === null)) this.#other ??= piece;
  }

  #pushText(piece: string): void {
    if (this.#parts === null) this.#text += piece;
    else if (piece !== '') this.#parts.push({ type: 'text', text: piece });
    this.#other ??= '';
  }

  #pushParts(pieces: readonly Json[]): void {
    this.#parts ??= this.#text === '' ? [] : [{ type: 'text', text: this.#text }];
    for (const piece of pieces) this.#parts.push(piece);
  }

  /** Undefined: nothing was said of it. */
  whole(): Json | undefined {
    if (this.#parts !== null) return [...this.#parts];
    return this.#text === '' ? this.#other : this.#text;
  }
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

/** Goes on with the function or the custom tool of a call: a name, and what it is called with, piece by piece. */
function extendCall(call: Pieces | null, piece: JsonObject): Pieces {
  const grown = call ?? new Pieces();
  for (const [key, value] of Object.entries(piece)) {
    if (key === 'arguments' || key === 'input') grown.append(key, value);
    else grown.set(key, value);
  }
  return grown;
}

/** A tool call that comes in pieces: its own fields, and the function or custom tool that it calls. */
type CallPieces = { readonly fields: Pieces; readonly called: Map<string, Pieces> };

/** The tool calls of a message. */
class Calls {
  readonly #calls = new Map<number, CallPieces>();
  #last = 0;

  push(pieces: readonly Json[]): void {
    for (const piece of pieces) {
      if (!isJsonObject(piece)) continue;
      const at = this.#indexOf(piece);
      this.#last = at;
      const call = this.#calls.get(at) ?? { fields: new Pieces(), called: new Map<string, Pieces>() };
      this.#calls.set(at, call);
      for (const [key, value] of Object.entries(piece)) {
        if (key === 'index') continue;
        const isCall = (key === 'function' || key === 'custom') && isJsonObject(value);
        if (isCall) call.called.set(key, extendCall(call.called.get(key) ?? null, value));
        // What is called takes its place among the fields.
        call.fields.set(key, isCall ? {} : value);
      }
    }
  }

  /** A server that does not number its calls begins a new one with an id. */
  #indexOf(piece: JsonObject): number {
    const begins = typeof piece['id'] === 'string' && piece['id'] !== '';
    return indexOf(piece, begins ? this.#calls.size : this.#last);
  }

  list(): readonly JsonObject[] {
    return [...this.#calls]
      .toSorted(([left], [right]) => left - right)
      .map(([, { fields, called }]) => ({
        ...fields.object(),
        ...Object.fromEntries([...called].map(([key, pieces]) => [key, pieces.object()])),
      }));
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
