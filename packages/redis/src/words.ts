import { LIMITS, stageKey, type Said, type Warning } from '@spillway/core';
import { Script } from './script.ts';
import type { RedisStore } from './store.ts';

const script = new Script('keep_said', 'said');

/** A batch's hash as Redis has it. */
type Hash = Readonly<Record<string, string>>;

/** The fields of a batch's hash whose names begin so, by the rest of their names. */
const fieldsBelow = (hash: Hash, prefix: string): [string, string][] =>
  Object.entries(hash).flatMap(([field, value]): [string, string][] =>
    field.startsWith(prefix) ? [[field.slice(prefix.length), value]] : [],
  );

/** What the model servers of a batch said first, by the counter of the reason that it explains. */
export const saidIn = (hash: Hash): Said => Object.fromEntries(fieldsBelow(hash, SAID));

/** The same for some counters only. */
export async function readSaid(redis: RedisStore, batch: string, counters: readonly string[]): Promise<Said> {
  if (counters.length === 0) return {};
  const { client, keys } = redis;
  const fields = counters.map((counter) => SAID + counter);
  const texts = await client.hmget(keys.batch(batch), ...fields);
  return Object.fromEntries(
    counters.flatMap((counter, at): [string, string][] => (texts[at] == null ? [] : [[counter, texts[at]]])),
  );
}

/** Keeps what is known from storage of what the model servers said; what Redis still has stays. */
export async function keepSaid(redis: RedisStore, batch: string, said: Said): Promise<void> {
  const { client, keys } = redis;
  await script.run(client, [keys.batch(batch)], [LIMITS.saidTexts, ...Object.entries(said).flat()]);
}

/** What was told of a batch's first drafts. */
export function warningsIn(hash: Hash): Warning[] {
  return fieldsBelow(hash, TOLD).map(([tier, stage]) => {
    const at = stage.lastIndexOf('/');
    const counted = fieldsBelow(hash, `${DRAFTS}${stage}:`).map(([reason, count]) => [reason, Number(count)] as const);
    return {
      tier,
      cascade: stage.slice(0, at),
      stage: Number(stage.slice(at + 1)),
      drafts: counted.reduce((sum, [, count]) => sum + count, 0),
      reasons: Object.fromEntries(counted),
      said: hash[`${DRAFTS}${stage}#said`] ?? null,
    };
  });
}

/** What was told of the first drafts of a stage, from 0. */
export async function readWarning(
  { client, keys }: RedisStore,
  batch: string,
  { cascade, stage }: { readonly cascade: string; readonly stage: number },
): Promise<Warning | null> {
  const all = warningsIn(await client.hgetall(keys.batch(batch)));
  return all.find((one) => stageKey(one.cascade, one.stage - 1) === stageKey(cascade, stage)) ?? null;
}

const SAID = 'said:';
const TOLD = 'told:';
const DRAFTS = 'drafts:';
