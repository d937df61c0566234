import {
  boundedRetryAfterMs,
  classOf,
  faultReason,
  isUnderstood,
  operatorReason,
  type BreakerCause,
  type EndpointUrl,
  type JsonObject,
} from '@spillway/core';
import type { ModelCall, ModelClient } from '@spillway/models';

/** Why not even something small is answered. */
export type ControlFailure = {
  readonly cause: BreakerCause;
  readonly reason: string;
  /** For how long the server asks to be left alone; null: it does not. */
  readonly askedMs: number | null;
};

/** What is asked in a document's place; `like` is given where the document's account may be used up. */
export type ControlQuestion = { readonly endpoint: EndpointUrl; readonly like?: JsonObject };

/** What came of it. Null: it was answered, or understood; `full`: the server takes no more now, and says so. */
export type ControlOutcome = ControlFailure | 'stopped' | 'full' | null;

/** It may wait behind long ones. */
const MAX_CONTROL_MS = 60_000;

/** Asks something small that every model can answer, and says whose fault it is that it is not answered. */
export async function askControl(client: Pick<ModelClient, 'complete'>, call: ModelCall): Promise<ControlOutcome> {
  const attempt = await client.complete({ ...call, timeoutMs: Math.min(call.timeoutMs, MAX_CONTROL_MS) });
  if (attempt.kind === 'aborted') return 'stopped';
  if (attempt.kind === 'completed' || isUnderstood(attempt.fault)) return null;
  const { fault } = attempt;
  const cause = classOf(fault);
  if (cause === 'operator') return { cause: 'operator', reason: operatorReason(fault), askedMs: null };
  const askedMs = fault.kind === 'http' ? boundedRetryAfterMs(fault.retryAfterMs) : null;
  if (cause === 'limited' && askedMs === null) return 'full';
  return { cause: askedMs === null ? 'down' : 'asked', reason: faultReason(fault), askedMs };
}
