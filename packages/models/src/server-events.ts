import { GrowingText } from './body-text.ts';

/** One server-sent event. */
export type ServerEvent = { readonly event: string | null; readonly data: string };

/**
 * Reads server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) from text that comes in any
 * pieces. Comments, ids and reconnection times are passed over, and so are events without data.
 */
export class EventReader {
  readonly #line = new GrowingText();
  #event: string | null = null;
  #data: string[] = [];
  #isAfterReturn = false;

  /** The events that end in this piece. */
  *push(text: string): Generator<ServerEvent> {
    if (text === '') return;
    // The second half of a line end that was cut in two.
    let from = this.#isAfterReturn && text.startsWith('\n') ? 1 : 0;
    this.#isAfterReturn = text.endsWith('\r');
    const ends = /\r\n|\n|\r/g;
    ends.lastIndex = from;
    for (let end = ends.exec(text); end !== null; end = ends.exec(text)) {
      this.#line.push(text.slice(from, end.index));
      from = ends.lastIndex;
      yield* this.#take(this.#line.take());
    }
    this.#line.push(text.slice(from));
  }

  /** An event that nothing ended; whether it is whole only its data can say. */
  *end(): Generator<ServerEvent> {
    const line = this.#line.take();
    if (line !== '') yield* this.#take(line);
    yield* this.#take('');
  }

  *#take(line: string): Generator<ServerEvent> {
    if (line === '') {
      const one = { event: this.#event, data: this.#data.join('\n') };
      this.#event = null;
      this.#data = [];
      if (one.data !== '') yield one;
      return;
    }
    const colon = line.indexOf(':');
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'data') this.#data.push(value);
    else if (field === 'event') this.#event = value;
  }
}
