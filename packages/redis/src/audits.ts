import { auditEntry, auditJobIdOf, LIMITS, type AuditEntry, type DocumentJob } from '@spillway/core';
import { auditFields, RULES_VERSION, type KeptAudits } from './audit-fields.ts';
import type { Queues } from './queues.ts';
import { Script } from './script.ts';
import type { RedisStore } from './store.ts';

const beginScript = new Script('begin_audit');
const endScript = new Script('end_audit');
const dropScript = new Script('drop_outcomes');
const idleScript = new Script('idle_audits');
const keepScript = new Script('keep_audits');

/** Outcomes that are read in one go. */
const READ_AT_A_TIME = 1_000;

/**
 * Lets the expert be asked about a document whose draft was accepted. FULL: too many wait for that already. Whoever is lost
 * between the two steps leaves a place that is freed by `idleAudits`.
 */
export async function beginAudit(
  redis: RedisStore,
  queues: Pick<Queues, 'add'>,
  tier: string,
  job: DocumentJob,
): Promise<'GO' | 'ALREADY' | 'FULL' | 'CLOSED' | 'RECOVERING'> {
  const { keys, scripts } = redis;
  const { batch, document } = job;
  const [startTags, prioritized] = keys.tagInputs(tier) as [string, string, string, string];
  const { audits, batchAudits, auditBytes, queuePriority } = LIMITS;
  const answer = await beginScript.run(
    scripts,
    [keys.epoch, keys.batch(batch), keys.audits(tier), startTags, prioritized],
    [
      auditJobIdOf(batch, document),
      `${batch}-`,
      Buffer.byteLength(JSON.stringify(job)),
      audits,
      batchAudits,
      auditBytes,
      queuePriority,
    ],
  );
  const [state, tag] = answer as ['GO' | 'ALREADY' | 'FULL' | 'CLOSED' | 'RECOVERING', number];
  if (state === 'GO') await queues.add(tier, [job], () => tag);
  return state;
}

/** Records what an audit says, once. CLOSED: its batch is over, and it counts as not done. */
export async function endAudit(
  { keys, scripts }: RedisStore,
  tier: string,
  { batch, document }: Pick<DocumentJob, 'batch' | 'document'>,
  entry: AuditEntry,
): Promise<'WROTE' | 'ALREADY' | 'CLOSED' | 'RECOVERING'> {
  const names = [keys.epoch, keys.batch(batch), keys.audits(tier), keys.outcomes(batch), keys.audited];
  const args = [auditJobIdOf(batch, document), batch, JSON.stringify(entry)];
  return (await endScript.run(scripts, names, args)) as 'WROTE' | 'ALREADY' | 'CLOSED' | 'RECOVERING';
}

/** The batches of which there are outcomes that are not written down yet. */
export const auditedBatches = ({ client, keys }: RedisStore): Promise<string[]> => client.smembers(keys.audited);

/** Outcomes of audits as Redis has them, and what they say. */
export type Outcomes = { readonly texts: readonly string[]; readonly entries: readonly AuditEntry[] };

/** The outcomes of a batch that are not written down yet, in the order in which they came in; not more than some. */
export async function readOutcomes({ client, keys }: RedisStore, batch: string): Promise<Outcomes> {
  const texts = await client.lrange(keys.outcomes(batch), 0, READ_AT_A_TIME - 1);
  return { texts, entries: texts.map((text) => auditEntry.parse(JSON.parse(text))) };
}

/** Drops outcomes that are written down; answers how many others there are. */
export async function dropOutcomes(
  { client, keys }: RedisStore,
  batch: string,
  { texts }: Pick<Outcomes, 'texts'>,
): Promise<number> {
  return (await dropScript.run(client, [keys.outcomes(batch), keys.audited], [batch, ...texts])) as number;
}

/** Drops the audits of a tier that nobody will be asked about, with their jobs; answers how many. */
export async function dropIdleAudits(redis: RedisStore, queues: Pick<Queues, 'of'>, tier: string): Promise<number> {
  const { client, keys } = redis;
  const args = [keys.jobs(tier), keys.batch('')];
  const idle = (await idleScript.run(client, [keys.audits(tier)], args)) as string[];
  if (idle.length === 0) return 0;
  // One that a worker has stays, and its worker drops it.
  await Promise.all(idle.map((id) => queues.of(tier).remove(id)));
  await client.hdel(keys.audits(tier), ...idle);
  return idle.length;
}

/** Keeps what the audits of an open batch came to, and by which rules its documents are answered from now on. */
export async function keepAudits(
  { client, keys }: RedisStore,
  batch: string,
  kept: KeptAudits,
): Promise<'KEPT' | 'CLOSED' | 'RECOVERING'> {
  const names = [keys.epoch, keys.batch(batch), keys.rules(batch)];
  const rules = kept.tightened === null ? '' : JSON.stringify(kept.tightened.rules);
  const args = [rules, RULES_VERSION, kept.tightened?.version ?? '', ...auditFields(kept)];
  return (await keepScript.run(client, names, args)) as 'KEPT' | 'CLOSED' | 'RECOVERING';
}
