import {
  auditedJob,
  auditEntryOf,
  isChosenForAudit,
  stageTier,
  type AuditEntry,
  type CascadeDocument,
  type Ending,
} from '@spillway/core';
import { beginAudit, endAudit, untilRecovered, type Queues, type RedisStore } from '@spillway/redis';
import type { Log } from '@spillway/runtime';

/** Lets the expert be asked about some of the accepted drafts, and records whether it says the same. */
export class Auditor {
  readonly #redis: RedisStore;
  readonly #queues: Pick<Queues, 'add'>;
  readonly #log: Log;

  constructor(redis: RedisStore, queues: Pick<Queues, 'add'>, log: Log) {
    this.#redis = redis;
    this.#queues = queues;
    this.#log = log;
  }

  /**
   * After the result of a document was recorded: adds the audit of it, if it is chosen. Never fails: one that cannot be
   * added is an audit that is not done.
   */
  async begin(document: CascadeDocument, ending: Ending): Promise<void> {
    if (!isChosenForAudit(document, ending)) return;
    const { job, rules } = document;
    const audit = auditedJob(document, ending, Date.now());
    if (audit === null) return;
    try {
      const answer = await beginAudit(this.#redis, this.#queues, stageTier(rules, audit.stage), audit);
      if (answer === 'FULL') this.#log.debug({ batch: job.batch, document: job.document }, 'too many audits wait');
    } catch (error) {
      this.#log.debug({ err: error, batch: job.batch, document: job.document }, 'an audit was not added');
    }
  }

  /** Compares what the expert said with the draft, and records it; null: the process must end before that is done. */
  async end(document: CascadeDocument, ending: Ending, stopping: AbortSignal): Promise<AuditEntry | null> {
    const { job, rules } = document;
    const entry = auditEntryOf(document, ending);
    const tier = stageTier(rules, job.stage);
    const ended = await untilRecovered(() => endAudit(this.#redis, tier, job, entry), stopping);
    return ended === 'STOPPED' ? null : entry;
  }
}
