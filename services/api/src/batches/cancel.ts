import { setTimeout as delay } from 'node:timers/promises';
import { canCancel, KEYS, RECORD_VERSION, RECORDS, type BatchObject, type Outcome } from '@spillway/core';
import { close, type Closed } from '@spillway/redis';
import { createRecord, type Records, type Storage } from '@spillway/storage';
import { conflict, unavailable } from '../errors.ts';
import { ownBatch } from '../ownership.ts';
import { askRedis, recovering, type LoggedRedis } from './live.ts';
import { describeBatch, type BatchSources } from './show.ts';

/** A recovery is over long before; a client that waits longer gives up by itself. */
const MAX_CONFIRM_MS = 10_000;
const CONFIRM_PAUSE_MS = 100;

/** Stops a batch for good: once this is answered, no wipe of Redis makes it take results again. */
export async function cancelBatch(
  { storage, ...sources }: BatchSources & { readonly storage: Storage },
  tenant: string,
  id: string,
): Promise<BatchObject> {
  const { records } = sources;
  const manifest = await ownBatch(records, tenant, id);
  const cancelled = (await findCancelled(records, id)) ?? (await recordCancelled({ storage, ...sources }, id));
  if (cancelled === 'ending') await confirmClosed(sources, id);
  return describeBatch(sources, manifest);
}

/** The record that says that the batch was cancelled, if there is one; refuses when it says anything else. */
async function findCancelled(records: Records, id: string): Promise<'final' | 'ending' | null> {
  const final = await records.final(id);
  if (final !== null) {
    if (!canCancel(final.outcome)) throw cannotCancel(final.outcome);
    return 'final';
  }
  const ending = await records.ending(id);
  if (ending !== null && ending.outcome !== 'cancelled') throw cannotCancel(endingStatus(ending.outcome));
  return ending === null ? null : 'ending';
}

/** Closes the batch in Redis and writes down that it was cancelled; the record decides if somebody else was faster. */
async function recordCancelled(
  { storage, records, ...logged }: LoggedRedis & { readonly storage: Storage; readonly records: Records },
  id: string,
): Promise<'final' | 'ending'> {
  const closed = await askToClose(logged, id);
  if (closed.kind === 'RECOVERING') throw recovering();
  if (closed.kind !== 'CLOSED' && closed.kind !== 'ALREADY') {
    // Ended a moment ago, or made a moment ago and not yet in Redis.
    const found = await findCancelled(records, id);
    if (found === null) throw unavailable('The batch is not in work yet. Try again in a moment.');
    return found;
  }
  if (closed.outcome !== 'cancelled') {
    const found = await findCancelled(records, id);
    if (found === null) throw cannotCancel(endingStatus(closed.outcome));
    return found;
  }
  const { record } = await createRecord(storage, KEYS.ending(id), RECORDS.ending, {
    v: RECORD_VERSION,
    outcome: 'cancelled',
    endedAtMs: closed.closedAtMs,
    errors: [],
  });
  if (record.outcome !== 'cancelled') throw cannotCancel(endingStatus(record.outcome));
  return 'ending';
}

/**
 * A recovery that read storage just before the record was written has opened the batch again; every later one finds
 * the record. So the batch is closed until Redis says that it is.
 */
async function confirmClosed(logged: LoggedRedis, id: string): Promise<void> {
  const deadlineMs = Date.now() + MAX_CONFIRM_MS;
  for (;;) {
    const closed = await askToClose(logged, id);
    if (closed.kind !== 'RECOVERING' && closed.kind !== 'REFUSED') return;
    if (Date.now() >= deadlineMs) throw recovering();
    await delay(CONFIRM_PAUSE_MS);
  }
}

const askToClose = (logged: LoggedRedis, id: string): Promise<Closed> =>
  askRedis(logged, (redis) => close(redis, id, 'cancelled'));

/** The status of a batch whose outcome is settled while its files are still being completed. */
function endingStatus(outcome: Outcome): string {
  return outcome === 'completed' ? 'finalizing' : outcome;
}

const cannotCancel = (status: string): Error => conflict(`Cannot cancel a batch with status '${status}'.`);
