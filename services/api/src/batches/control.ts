import {
  BATCH_PRIORITIES,
  KEYS,
  LIMITS,
  RECORD_VERSION,
  RECORDS,
  sampleIdOf,
  steeringOf,
  type BatchObject,
  type BatchPriority,
  type ControlRecord,
  type Steering,
} from '@spillway/core';
import { steer, type Queues } from '@spillway/redis';
import { within } from '@spillway/runtime';
import { createRecord, readControl, type Storage } from '@spillway/storage';
import { z } from 'zod';
import { conflict, unavailable } from '../errors.ts';
import { ownBatch } from '../ownership.ts';
import { read } from '../schemas/read.ts';
import { askRedis, recovering } from './live.ts';
import { describeBatch, type BatchSources } from './show.ts';

export const priorityBody = z.object({ priority: z.enum(BATCH_PRIORITIES) }).meta({
  id: 'BatchPriority',
  description:
    '`high`: it goes before the other batches of its tenant; what tenants have of the service stays as it is.',
});

/** The keys that the body of a priority may have. */
export const PRIORITY_KEYS: readonly string[] = ['priority'];

/** What somebody wants of a batch in work; what is not named stays as it is. */
type Wish = { readonly paused?: boolean; readonly priority?: BatchPriority };

/** Others may say something of the same batch at the same time; each has a number of its own. */
const MAX_ROUNDS = 100;

type Sources = BatchSources & { readonly storage: Storage; readonly queues: Pick<Queues, 'wakeBatch'> };

/** Jobs of a batch that goes on are woken for so long before this is answered; then beside. */
const MAX_WAKING_MS = 2_000;

export const readPriority = (body: unknown): Wish => read(priorityBody, body);

/** Pauses a batch, has it go on, or go first: once this is answered, no wipe of Redis makes it otherwise. */
export async function controlBatch(
  sources: Sources,
  tenant: string,
  { id, wish }: { readonly id: string; readonly wish: Wish },
): Promise<BatchObject> {
  const { records, redis, log } = sources;
  const manifest = await ownBatch(records, tenant, id);
  if ((await records.hasEnded(id)) || (await records.ending(id)) !== null) {
    const { status } = await describeBatch(sources, manifest);
    throw conflict(`Cannot change a batch with status '${status}'.`);
  }
  const steering = await record(sources.storage, id, wish);
  // Redis is told afterwards: a recovery that has read storage before would know nothing of it, and refuses this.
  const answer = await askRedis({ redis, log }, (store) => steer(store, id, steering));
  if (answer === 'RECOVERING') throw recovering();
  if (answer === 'GONE') throw unavailable('The batch is not in work yet. Try again in a moment.');
  if (answer === 'CLOSED') throw conflict('Cannot change a batch that is ending.');
  await askRedis({ redis, log }, (store) => steer(store, sampleIdOf(id), steering));
  // What nobody wakes comes again by itself within minutes.
  if (wish.paused === false) await within(MAX_WAKING_MS, wake(sources, id)).catch(() => undefined);
  return describeBatch(sources, manifest);
}

/** The jobs of a batch and of its sample look again now. */
async function wake({ records, queues }: Sources, id: string): Promise<void> {
  for (const tier of (await records.plan(id))?.tiers ?? []) {
    for (const batch of [id, sampleIdOf(id)]) await queues.wakeBatch(tier, batch);
  }
}

/** Writes down what is wanted, with the next number. */
async function record(storage: Storage, id: string, wish: Wish): Promise<Steering> {
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const before = await readControl(storage, id);
    const { paused = false, priority = 'normal' } = before?.record ?? {};
    const wanted: ControlRecord = { v: RECORD_VERSION, paused, priority, ...wish, atMs: Date.now() };
    const isSame = wanted.paused === paused && wanted.priority === priority;
    // Nothing new is said; Redis may not know it yet.
    if (isSame && before !== null) return steeringOf(before.number, wanted);
    const number = (before?.number ?? 0) + 1;
    // Whatever was said before, a batch that is paused can go on.
    if (number > LIMITS.controls && wish.paused !== false)
      throw conflict(`A batch is paused and resumed at most ${LIMITS.controls} times.`);
    const { kind } = await createRecord(storage, KEYS.control(id, number), RECORDS.control, wanted);
    if (kind === 'created') return steeringOf(number, wanted);
  }
  throw unavailable('Too many want something of this batch at once. Try again in a moment.');
}
