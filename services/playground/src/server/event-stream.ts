import { strictJson } from '@spillway/core';

/** An event of the Responses API. Those about the whole response carry it as it is by then. */
export interface ResponseEvent {
  readonly type: string;
  readonly response?: object;
  readonly [field: string]: unknown;
}

/** Server-sent events as the older endpoints write them: without names, and closed by a word that is not JSON. */
export async function* frameChunks(chunks: AsyncGenerator<object>): AsyncGenerator<string> {
  for await (const chunk of chunks) yield `data: ${strictJson(chunk)}\n\n`;
  yield 'data: [DONE]\n\n';
}

/** Server-sent events as the Responses API writes them: named and numbered, and the last one says by its type that it is. */
export async function* frameEvents(events: AsyncGenerator<ResponseEvent>): AsyncGenerator<string> {
  let sequenceNumber = 0;
  for await (const event of events) {
    const data = { ...event, sequence_number: sequenceNumber++ };
    yield `event: ${event.type}\ndata: ${strictJson(data)}\n\n`;
  }
}
