import type { ErrorEnvelope } from '../text/error-envelope.ts';
import type { Json, JsonObject } from '../text/json.ts';
import type { TokenLogprob } from './completion-tokens.ts';

/** A server-sent event; most endpoints give theirs no name. */
export type StreamEvent = { readonly event: string | null; readonly data: JsonObject };

/** Puts the events of a streamed answer together. */
export type StreamCollector = {
  push(data: JsonObject): void;
  /** The answer as it would have come without a stream; null as long as it is not whole. */
  body(): JsonObject | null;
};

/** What an event says of the answer: more of the texts of its choices, or something else, such as a call. */
type StreamedPiece = {
  readonly texts: readonly { readonly index: number; readonly text: string }[];
  readonly isOther: boolean;
};

/** What an event says of a draft: more of its text, with the tokens of that, or something by which it cannot be judged. */
export type DraftPiece =
  | { readonly kind: 'text'; readonly text: string; readonly tokens: readonly TokenLogprob[] }
  | { readonly kind: 'tool_call' | 'refused' | 'other'; readonly tokens: readonly TokenLogprob[] };

/** How an endpoint streams. */
export type EndpointStream = {
  /** What makes a request a streamed one. */
  readonly fields: JsonObject;
  /** What ends a stream behind its last event; null: the last event says so itself. */
  readonly end: '[DONE]' | null;
  readonly collect: () => StreamCollector;
  readonly said: (data: JsonObject) => StreamedPiece;
  /** What an event says of the only choice, if it is to be judged; null: drafts are not watched on this endpoint. */
  readonly draft: ((data: JsonObject) => DraftPiece) | null;
  /** What ends a draft that was given up, so that what came of it can be put together; null: as above. */
  readonly stopped: JsonObject | null;
  /** A whole answer as the events that would have made it. */
  readonly events: (body: JsonObject, request: JsonObject) => readonly StreamEvent[];
  /** The last event of a stream with what the cascade has to say of the answer. */
  readonly annotate: (data: JsonObject, cascade: JsonObject) => JsonObject;
  /** A server's event as the client asked for it; null: it is nothing that the client asked for. */
  readonly show: (data: JsonObject, request: JsonObject) => StreamEvent | null;
  /** What ends a stream that broke off; null: nothing was sent before it. */
  readonly failed: (envelope: ErrorEnvelope, last: JsonObject | null) => StreamEvent;
};

/** The fields of an object that comes in pieces. A null never takes back what was said before. */
export class Pieces {
  readonly #fields = new Map<string, Json | Json[]>();

  get(key: string): Json | undefined {
    return this.#fields.get(key);
  }

  /** Keeps what was said last. */
  set(key: string, value: Json): void {
    if ((value !== null && value !== '') || (this.#fields.get(key) ?? null) === null) this.#fields.set(key, value);
  }

  /** Goes on with a text where it stopped. */
  append(key: string, piece: Json): void {
    const before = this.#fields.get(key);
    if (typeof before === 'string' && typeof piece === 'string') this.#fields.set(key, before + piece);
    else this.set(key, piece);
  }

  /** Goes on with a list; what is no list is kept as it was said last. */
  extend(key: string, piece: Json): void {
    if (!Array.isArray(piece)) return this.set(key, piece);
    const before = this.#fields.get(key);
    // A list in here is always a copy, so it may grow: long answers come in thousands of pieces.
    if (Array.isArray(before)) for (const one of piece) before.push(one);
    else this.#fields.set(key, [...piece]);
  }

  object(): JsonObject {
    return Object.fromEntries(
      [...this.#fields].map(([key, value]) => [key, Array.isArray(value) ? [...value] : value] as const),
    );
  }
}
