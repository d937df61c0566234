import {
  isJsonObject,
  readingJson,
  runAtOnce,
  saysError,
  SLICE_CHARACTERS,
  type Json,
  type JsonObject,
  type ReadJson,
  type EndpointStream,
  type StreamCollector,
  type ThoughtWatch,
} from '@spillway/core';
import { readJson } from '@spillway/runtime';
import { ANSWER_LIMITS } from './answer-limits.ts';
import { GrowingText } from './body-text.ts';
import { EventReader, type ServerEvent } from './server-events.ts';

/** What a streamed call has brought. */
type StreamedAnswer =
  | { readonly kind: 'whole'; readonly body: JsonObject }
  /** Whoever gets the events has enough: what came of the answer until then. */
  | { readonly kind: 'stopped'; readonly body: JsonObject }
  /** The server does not stream: the text is its answer. */
  | { readonly kind: 'plain'; readonly text: string }
  /** Something that is no answer, such as an error in mid-stream or a page for people. */
  | { readonly kind: 'refused'; readonly text: string }
  /** Events came, and stopped before the answer was whole. */
  | { readonly kind: 'broken' };

/** Takes an event; a promise: no more are wanted before it is over; `enough`: no more are wanted at all. */
export type OnEvent = (data: JsonObject) => Promise<void> | 'enough' | undefined;

/** What ends the streams of some endpoints; nothing behind it counts. */
const END = '[DONE]';

export type AnswerStreamOptions = {
  readonly stream: Pick<EndpointStream, 'collect' | 'stopped'>;
  readonly watch: ThoughtWatch;
  readonly onEvent: OnEvent;
  readonly signal: AbortSignal;
};

/**
 * Reads the body of a streamed call as it comes: passes every event on, unless it may be of a thought, and puts the answer
 * together. Whether a server streams is seen by the body's first character, as content types are not to be trusted.
 */
export class AnswerStream {
  readonly #collector: StreamCollector;
  readonly #watch: ThoughtWatch;
  /** What ends the stream of one that has enough. */
  readonly #stopped: JsonObject | null;
  readonly #onEvent: OnEvent;
  /** Nothing more is wanted. */
  #isEnough = false;
  /** Until when whoever gets the events wants no more of them. */
  #isTaken: Promise<void> | undefined;
  readonly #signal: AbortSignal;
  readonly #decoder = new TextDecoder();
  readonly #reader = new EventReader();
  #kind: 'unknown' | 'plain' | 'events' = 'unknown';
  readonly #plain = new GrowingText();
  /** The beginning of a stream, by which one sees what it is if it is none. */
  #begin = '';
  #refused: string | null = null;
  #hasEvents = false;
  #isOver = false;

  constructor({ stream, watch, onEvent, signal }: AnswerStreamOptions) {
    this.#collector = stream.collect();
    this.#stopped = stream.stopped;
    this.#watch = watch;
    this.#onEvent = onEvent;
    this.#signal = signal;
  }

  /** Takes a piece of the body; false: the rest is of no use. A promise: the next piece is to come after it. */
  readonly push = (chunk: Uint8Array): boolean | Promise<boolean> => {
    const isWanted = this.#push(chunk);
    if (typeof isWanted !== 'boolean') return isWanted.then((wanted) => this.#whenTaken(wanted));
    return this.#whenTaken(isWanted);
  };

  #whenTaken(isWanted: boolean): boolean | Promise<boolean> {
    const taken = this.#isTaken;
    this.#isTaken = undefined;
    return isWanted && taken !== undefined ? taken.then(() => true) : isWanted;
  }

  #push(chunk: Uint8Array): boolean | Promise<boolean> {
    const text = this.#decoder.decode(chunk, { stream: true });
    if (this.#kind === 'events') return this.#takeAll(this.#reader.push(text));
    // Blanks before the answer say nothing, and servers that keep a connection awake by them send many.
    const said = this.#kind === 'unknown' ? text.trimStart() : text;
    if (said === '') return true;
    if (this.#kind === 'unknown') this.#kind = said.startsWith('{') ? 'plain' : 'events';
    if (this.#kind === 'plain') {
      this.#plain.push(said);
      return true;
    }
    this.#begin = said;
    return this.#takeAll(this.#reader.push(said));
  }

  /** To be called once, when the body has ended. */
  async end(): Promise<StreamedAnswer> {
    if (this.#isEnough) return this.#stoppedAnswer();
    if (this.#kind !== 'events') {
      this.#plain.push(this.#decoder.decode());
      return { kind: 'plain', text: this.#plain.take() };
    }
    for (const last of this.#reader.end()) {
      const read = await readJson(last.data, ANSWER_LIMITS);
      // Half of an event is no event: its end is missing, as the answer's is.
      if (read.kind === 'json' && isJsonObject(read.value)) this.#take(last, read);
    }
    if (this.#refused !== null) return { kind: 'refused', text: this.#refused };
    const body = this.#collector.body();
    if (body !== null) return { kind: 'whole', body };
    return this.#hasEvents ? { kind: 'broken' } : { kind: 'refused', text: this.#begin };
  }

  #stoppedAnswer(): StreamedAnswer {
    if (this.#stopped !== null) this.#collector.push(this.#stopped);
    const body = this.#collector.body();
    return body === null ? { kind: 'broken' } : { kind: 'stopped', body };
  }

  /** Takes one event after the other; a long one is read in slices, and the others wait for it. */
  #takeAll(events: Iterator<ServerEvent, unknown, undefined>): boolean | Promise<boolean> {
    for (let next = events.next(); next.done !== true; next = events.next()) {
      const event = next.value;
      if (event.data.length > SLICE_CHARACTERS) return this.#takeLong(event, events);
      if (!this.#take(event, runAtOnce(readingJson(event.data, ANSWER_LIMITS)))) return false;
    }
    return true;
  }

  async #takeLong(event: ServerEvent, others: Iterator<ServerEvent, unknown, undefined>): Promise<boolean> {
    return this.#take(event, await readJson(event.data, ANSWER_LIMITS)) && (await this.#takeAll(others));
  }

  /** False: nothing that comes after it counts. */
  #take({ event, data: text }: ServerEvent, read: ReadJson): boolean {
    // A caller that stops at an event wants none of those that came in the same piece.
    if (this.#signal.aborted) return false;
    this.#isOver ||= text === END;
    // The body's end is waited for all the same, so that the connection can be used again.
    if (this.#isOver) return true;
    const data = read.kind === 'json' ? read.value : null;
    if (!isJsonObject(data) || isError(event, data)) {
      this.#refused = text;
      return false;
    }
    this.#hasEvents = true;
    this.#collector.push(data);
    this.#pass(this.#watch.push(data));
    return !this.#isEnough;
  }

  /** Passes on what was held back, of an answer that turned out to have no thought in it. */
  release(): void {
    this.#pass(this.#watch.release());
  }

  #pass(events: readonly JsonObject[]): void {
    for (const data of events) {
      if (this.#signal.aborted || this.#isEnough) return;
      const wanted = this.#onEvent(data);
      if (wanted === 'enough') this.#isEnough = true;
      else this.#isTaken = wanted ?? this.#isTaken;
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
