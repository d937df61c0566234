import type { Steering } from '@spillway/core';
import { Script } from './script.ts';
import type { RedisStore } from './store.ts';

const steerScript = new Script('steer');

/** The fields of a batch's hash that say so. */
export const steeringFields = ({ control, paused, goesFirst }: Steering): readonly string[] => [
  'control',
  String(control),
  'paused',
  paused ? '1' : '0',
  'goesFirst',
  goesFirst ? '1' : '0',
];

/** Does with a batch in work what a control says. ALREADY: a later one, or this one, was heeded. */
export async function steer(
  { client, keys }: RedisStore,
  batch: string,
  { control, paused, goesFirst }: Steering,
): Promise<'STEERED' | 'ALREADY' | 'CLOSED' | 'GONE' | 'RECOVERING'> {
  const args = [control, paused ? '1' : '0', goesFirst ? '1' : '0', keys.wake, batch];
  const answer = await steerScript.run(client, [keys.epoch, keys.batch(batch)], args);
  return answer as 'STEERED' | 'ALREADY' | 'CLOSED' | 'GONE' | 'RECOVERING';
}
