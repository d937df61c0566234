import type { Outcome } from '@spillway/core';
import { within } from '@spillway/runtime';
import { connectRedis, SILENT_MS } from './client.ts';
import type { RedisStore } from './store.ts';

/** What a dispatcher learns of the work on batches. */
export type WorkListener = {
  /** A batch, or one of its pages, has changed. */
  readonly onChange: (batch: string) => void;
  /** Messages may have been missed: the connection was gone for a while. */
  readonly onGap: () => void;
};

/** Tells which batches changed in a way that a dispatcher waits for. */
export async function listenForWork(
  redis: RedisStore,
  { onChange, onGap }: WorkListener,
  signal: AbortSignal,
): Promise<AsyncDisposable> {
  // A page is named by its batch, a colon and its number.
  const onMessage = (message: string): void => onChange(message.replace(/:\d+$/, ''));
  return subscribe(redis, redis.keys.wake, { onMessage, onGap }, signal);
}

/** Tells when a batch stops taking results, so that calls for it can be given up. A missed message costs those calls. */
export async function listenForClosed(
  redis: RedisStore,
  onClosed: (batch: string, outcome: Outcome) => void,
  signal: AbortSignal,
): Promise<AsyncDisposable> {
  const onMessage = (message: string): void => {
    const [batch = '', outcome = 'cancelled'] = message.split(' ');
    onClosed(batch, outcome as Outcome);
  };
  return subscribe(redis, redis.keys.closed, { onMessage, onGap: () => undefined }, signal);
}

async function subscribe(
  redis: RedisStore,
  channel: string,
  { onMessage, onGap }: { readonly onMessage: (message: string) => void; readonly onGap: () => void },
  signal: AbortSignal,
): Promise<AsyncDisposable> {
  const client = connectRedis(redis.address, 'wait');
  // Without Redis the subscription waits; whoever is told to stop does not.
  const stop = (): void => client.disconnect();
  signal.addEventListener('abort', stop, { once: true });
  // ioredis connects and subscribes again by itself; what it meets meanwhile shows in the other connections' errors.
  client.on('error', () => undefined);
  client.on('message', (_channel: string, message: string) => onMessage(message));
  await client.subscribe(channel).finally(() => signal.removeEventListener('abort', stop));
  // Connected again: once this is answered messages come again, and what was sent before is lost.
  client.on('ready', () => void client.subscribe(channel).then(onGap, () => undefined));
  // A connection that only listens owes no answer: subscribing again is how it is found to be dead, and made anew.
  let isOver = false;
  const asking = setInterval(() => {
    within(SILENT_MS, client.subscribe(channel)).catch(() => {
      if (!isOver) client.disconnect(true);
    });
  }, SILENT_MS);
  return {
    [Symbol.asyncDispose]: async () => {
      isOver = true;
      clearInterval(asking);
      client.disconnect();
    },
  };
}
