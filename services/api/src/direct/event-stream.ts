import { ENDPOINTS, type EndpointUrl, type ErrorEnvelope, type JsonObject, type StreamEvent } from '@spillway/core';
import { writeJson } from '@spillway/runtime';

/** So many events may wait; whoever makes them is stopped until they are read, so that a slow reader costs little memory. */
const MAX_WAITING = 1_024;

/** A queue between whoever makes events and whoever reads them; a reader that is slow finds them all. */
export class EventQueue {
  readonly #events: JsonObject[] = [];
  readonly #begun = Promise.withResolvers<boolean>();
  #arrived = Promise.withResolvers<void>();
  #taken: PromiseWithResolvers<void> | null = null;
  #isOver = false;

  /** True once there is an event; false when none came at all. */
  get begun(): Promise<boolean> {
    return this.#begun.promise;
  }

  /** A promise: so many wait that no more should come before it is over. */
  push(data: JsonObject): Promise<void> | undefined {
    this.#events.push(data);
    this.#begun.resolve(true);
    this.#arrived.resolve();
    if (this.#events.length < MAX_WAITING) return undefined;
    this.#taken ??= Promise.withResolvers();
    return this.#taken.promise;
  }

  /** No more events come. */
  end(): void {
    this.#isOver = true;
    this.#begun.resolve(false);
    this.#arrived.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<JsonObject> {
    for (;;) {
      for (let data = this.#events.shift(); data !== undefined; data = this.#events.shift()) yield data;
      this.#taken?.resolve();
      this.#taken = null;
      if (this.#isOver) return;
      await this.#arrived.promise;
      this.#arrived = Promise.withResolvers();
    }
  }
}

/** What is known of an answer once it is whole. */
export type WholeAnswer = { readonly body: JsonObject; readonly cascade: JsonObject };

/**
 * The text of a stream of server-sent events, as the endpoint's own API has it. What the last stage's server says is
 * passed on as it comes; where it did not stream, as for an accepted draft, the whole answer comes at once. The last
 * event, held back until the answer is whole, says in `cascade` what was decided. An answer that breaks off after its
 * beginning ends with an error event: its status was sent long before.
 */
export async function* streamText(
  url: EndpointUrl,
  request: JsonObject,
  { events, answer, onError }: StreamSource,
): AsyncGenerator<string> {
  const { stream } = ENDPOINTS[url];
  let held: StreamEvent | null = null;
  for await (const data of events) {
    const event = stream.show(data, request);
    if (event === null) continue;
    if (held !== null) yield await textOf(held);
    held = event;
  }
  try {
    const { body, cascade } = await answer;
    const rest = held === null ? [...stream.events(body, request)] : [held];
    const last = rest.pop();
    for (const event of rest) yield await textOf(event);
    if (last !== undefined) yield await textOf({ ...last, data: stream.annotate(last.data, cascade) });
    if (stream.end !== null) yield `data: ${stream.end}\n\n`;
  } catch (error) {
    if (held !== null) yield await textOf(held);
    yield await textOf(stream.failed(onError(error), held?.data ?? null));
  }
}

export type StreamSource = {
  readonly events: AsyncIterable<JsonObject>;
  /** Settled when no more events come. */
  readonly answer: Promise<WholeAnswer>;
  /** What is said of an answer that broke off. */
  readonly onError: (error: unknown) => ErrorEnvelope;
};

const textOf = async ({ event, data }: StreamEvent): Promise<string> =>
  `${event === null ? '' : `event: ${event}\n`}data: ${await writeJson(data)}\n\n`;
