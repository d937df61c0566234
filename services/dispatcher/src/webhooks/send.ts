import { signWebhook } from '@spillway/core';
import type { WebhookTarget } from './target.ts';

/** A receiver that needs longer gets the event again: it should take the event first and work on it later. */
const MAX_ANSWER_MS = 10_000;

/** Sends a webhook; null when it was taken, else why not. */
export async function sendWebhook(
  target: WebhookTarget,
  event: { readonly id: string; readonly text: string },
  signal: AbortSignal,
): Promise<string | null> {
  try {
    const response = await fetch(target.url, {
      method: 'POST',
      redirect: 'manual',
      body: event.text,
      headers: {
        'content-type': 'application/json',
        'user-agent': 'spillway',
        ...signWebhook(event, { secret: target.secret, nowMs: Date.now() }),
      },
      signal: AbortSignal.any([signal, AbortSignal.timeout(MAX_ANSWER_MS)]),
    });
    await response.body?.cancel();
    return response.ok ? null : `status ${response.status}`;
  } catch (error) {
    const { message, cause } = error as Error;
    return cause instanceof Error ? `${message}: ${cause.message}` : message;
  }
}
