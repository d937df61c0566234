import {
  deeperThan,
  isJsonObject,
  LIMITS,
  parseJson,
  saysError,
  type Json,
  type JsonObject,
  type StreamCollector,
  type ThoughtWatch,
} from '@spillway/core';
import { EventReader, type ServerEvent } from './server-events.ts';

/** What a streamed call has brought. */
type StreamedAnswer =
  | { readonly kind: 'whole'; readonly body: JsonObject }
  /** The server does not stream: the text is its answer. */
  | { readonly kind: 'plain'; readonly text: string }
  /** Something that is no answer, such as an error in mid-stream or a page for people. */
  | { readonly kind: 'refused'; readonly text: string }
  /** Events came, and stopped before the answer was whole. */
  | { readonly kind: 'broken' };

/** Takes an event; a promise: no more are wanted before it is over. */
export type OnEvent = (data: JsonObject) => Promise<void> | undefined;

/** What ends the streams of some endpoints; nothing behind it counts. */
const END = '[DONE]';

/**
 * Reads the body of a streamed call as it comes: passes every event on, unless it may be of a thought, and puts the answer
 * together. Whether a server streams is seen by the body's first character, as content types are not to be trusted.
 */
export class AnswerStream {
  readonly #collector: StreamCollector;
  readonly #watch: ThoughtWatch;
  readonly #onEvent: OnEvent;
  /** Until when whoever gets the events wants no more of them. */
  #isTaken: Promise<void> | undefined;
  readonly #signal: AbortSignal;
  readonly #decoder = new TextDecoder();
  readonly #reader = new EventReader();
  #kind: 'unknown' | 'plain' | 'events' = 'unknown';
  /** A plain answer, or the beginning of a stream. */
  #text = '';
  #refused: string | null = null;
  #hasEvents = false;
  #isOver = false;

  constructor(collector: StreamCollector, watch: ThoughtWatch, onEvent: OnEvent, signal: AbortSignal) {
    this.#collector = collector;
    this.#watch = watch;
    this.#onEvent = onEvent;
    this.#signal = signal;
  }

  /** Takes a piece of the body; false: the rest is of no use. A promise: the next piece is to come after it. */
  readonly push = (chunk: Uint8Array): boolean | Promise<boolean> => {
    const isWanted = this.#push(chunk);
    const taken = this.#isTaken;
    this.#isTaken = undefined;
    return isWanted && taken !== undefined ? taken.then(() => true) : isWanted;
  };

  #push(chunk: Uint8Array): boolean {
    const text = this.#decoder.decode(chunk, { stream: true });
    if (this.#kind === 'events') return this.#read(text);
    // Blanks before the answer say nothing, and servers that keep a connection awake by them send many.
    this.#text += this.#text === '' ? text.trimStart() : text;
    if (this.#kind === 'plain' || this.#text === '') return true;
    this.#kind = this.#text.startsWith('{') ? 'plain' : 'events';
    return this.#kind === 'plain' || this.#read(this.#text);
  }

  /** To be called once, when the body has ended. */
  end(): StreamedAnswer {
    if (this.#kind !== 'events') return { kind: 'plain', text: this.#text + this.#decoder.decode() };
    // Half of an event is no event: its end is missing, as the answer's is.
    for (const last of this.#reader.end()) if (isJsonObject(parseJson(last.data))) this.#take(last);
    if (this.#refused !== null) return { kind: 'refused', text: this.#refused };
    const body = this.#collector.body();
    if (body !== null) return { kind: 'whole', body };
    return this.#hasEvents ? { kind: 'broken' } : { kind: 'refused', text: this.#text };
  }

  #read(text: string): boolean {
    for (const event of this.#reader.push(text)) if (!this.#take(event)) return false;
    return true;
  }

  /** False: nothing that comes after it counts. */
  #take({ event, data: text }: ServerEvent): boolean {
    // A caller that stops at an event wants none of those that came in the same piece.
    if (this.#signal.aborted) return false;
    this.#isOver ||= text === END;
    // The body's end is waited for all the same, so that the connection can be used again.
    if (this.#isOver) return true;
    const data = parseJson(text);
    if (!isJsonObject(data) || isError(event, data) || deeperThan(data, LIMITS.answerDepth)) {
      this.#refused = text;
      return false;
    }
    this.#hasEvents = true;
    this.#collector.push(data);
    this.#pass(this.#watch.push(data));
    return true;
  }

  /** Passes on what was held back, of an answer that turned out to have no thought in it. */
  release(): void {
    this.#pass(this.#watch.release());
  }

  #pass(events: readonly JsonObject[]): void {
    for (const data of events) {
      if (this.#signal.aborted) return;
      this.#isTaken = this.#onEvent(data) ?? this.#isTaken;
    }
  }
}

/**
 * Servers say an error in mid-stream by the event's name, under `error`, also in a choice or in the response, or (older
 * vLLM) as an object of that name.
 */
function isError(event: string | null, data: JsonObject): boolean {
  if (event === 'error' || data['type'] === 'error' || data['object'] === 'error') return true;
  const { choices, response } = data;
  const parts: readonly (Json | undefined)[] = [data, response, ...(Array.isArray(choices) ? (choices as Json[]) : [])];
  return parts.some((part) => isJsonObject(part) && saysError(part));
}
