import { createHmac } from 'node:crypto';
import type { Outcome } from './status.ts';
import { digest } from '../text/digest.ts';
import { strictJson } from '../text/json-line.ts';

/** What the operator's webhooks are told of. */
export const WEBHOOK_EVENTS = [
  'batch.completed',
  'batch.failed',
  'batch.expired',
  'batch.cancelled',
  /** Its window will probably be missed: once for a batch. */
  'batch.at_risk',
  /** The audit of its accepted drafts has alarmed: once for a batch. */
  'batch.promise_at_risk',
] as const;
export type WebhookEvent = (typeof WEBHOOK_EVENTS)[number];

export const webhookEvent = (what: Outcome | 'at_risk' | 'promise_at_risk'): WebhookEvent => `batch.${what}`;

/** The body of a webhook, in the shape of OpenAI's events. Sent again it is the same, with the same id. */
export function webhookBody(batch: string, type: WebhookEvent, atMs: number): { id: string; text: string } {
  const id = `evt_${digest('webhook', batch, type)}`;
  const event = { id, object: 'event', created_at: Math.floor(atMs / 1000), type, data: { id: batch } };
  return { id, text: strictJson(event) };
}

/**
 * The headers that prove where a webhook comes from, as the OpenAI SDK's `webhooks.unwrap` checks them
 * (standardwebhooks.com, version 1: HMAC-SHA256 over `id.timestamp.body`). A secret may be `whsec_` and base64.
 */
export function signWebhook(
  { id, text }: { readonly id: string; readonly text: string },
  { secret, nowMs }: { readonly secret: string; readonly nowMs: number },
): Record<string, string> {
  const timestamp = String(Math.floor(nowMs / 1000));
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : Buffer.from(secret);
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${text}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
}
