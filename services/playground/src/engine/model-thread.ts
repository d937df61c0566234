import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { DecoderShape } from './decoder.ts';
import type { GenerationEvent, GenerationRequest } from './generation.ts';
import type { FromWorker, ModelOptions, ToWorker } from './messages.ts';

/** A model in a thread of its own, so that reading a request never waits for arithmetic. */
export interface ModelThread extends AsyncDisposable {
  readonly name: string;
  /** What is known of the model once it is loaded. */
  readonly shape: DecoderShape;
  /** Requests that have not finished. */
  readonly unfinished: number;
  /** Resolves if the thread ever fails; it does not come back. */
  readonly failure: Promise<Error>;
  /** Yields a generation's events until all its choices are finished; leaving the loop early cancels it. */
  generate(request: GenerationRequest): AsyncGenerator<readonly GenerationEvent[], void, undefined>;
}

/** One request's events between the thread that sends them and the loop that takes them. */
class Mailbox {
  #letters: (readonly GenerationEvent[])[] = [];
  #wake: (() => void) | undefined;
  #error: Error | undefined;

  put(events: readonly GenerationEvent[]): void {
    this.#letters.push(events);
    this.#wake?.();
  }

  fail(error: Error): void {
    this.#error = error;
    this.#wake?.();
  }

  async take(): Promise<GenerationEvent[]> {
    while (this.#letters.length === 0) {
      if (this.#error !== undefined) throw this.#error;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.#letters.splice(0).flat();
  }
}

/** Starts a model's thread and waits until it is loaded. */
export async function startModelThread(options: ModelOptions): Promise<ModelThread> {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: options });
  const [ready] = (await once(worker, 'message')) as [FromWorker];
  if (ready.kind !== 'ready') throw new Error(`the thread of ${options.name} did not say that it is ready`);
  const mailboxes = new Map<number, Mailbox>();
  let lastId = 0;
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window and has no origin
  const send = (message: ToWorker): void => worker.postMessage(message);
  worker.on('message', (message: FromWorker) => {
    if (message.kind === 'events') mailboxes.get(message.id)?.put(message.events);
  });
  const failure = new Promise<Error>((resolve) => {
    worker.on('error', (cause) => resolve(new Error(`the thread of ${options.name} failed`, { cause })));
  });
  void failure.then((error) => mailboxes.forEach((mailbox) => mailbox.fail(error)));

  async function* generate(request: GenerationRequest): AsyncGenerator<readonly GenerationEvent[], void, undefined> {
    const id = ++lastId;
    const mailbox = new Mailbox();
    mailboxes.set(id, mailbox);
    send({ kind: 'generate', id, request });
    let unfinished = request.choices;
    try {
      while (unfinished > 0) {
        const events = await mailbox.take();
        unfinished -= events.filter((event) => event.kind === 'finish').length;
        yield events;
      }
    } finally {
      mailboxes.delete(id);
      if (unfinished > 0) send({ kind: 'cancel', id });
    }
  }

  return {
    name: options.name,
    shape: ready.shape,
    failure,
    get unfinished() {
      return mailboxes.size;
    },
    generate,
    [Symbol.asyncDispose]: async () => {
      for (const mailbox of mailboxes.values()) mailbox.fail(new Error('the server is shutting down'));
      const exited = once(worker, 'exit');
      send({ kind: 'stop' });
      await exited;
    },
  };
}
