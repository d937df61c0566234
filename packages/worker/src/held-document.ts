import { auditJobIdOf, jobIdOf, type DocumentJob } from '@spillway/core';
import {
  bundledField,
  writeDocument,
  type DocumentField,
  type HeldJob,
  type RedisStore,
  type Started,
  type Written,
} from '@spillway/redis';

export type HeldDocumentOptions = {
  readonly job: HeldJob;
  /** It is one of several in its job. */
  readonly isBundled: boolean;
  readonly started: Started;
  /** How often a worker was lost that had its job. */
  readonly losses: number;
  /** How often its job was taken up. */
  readonly takes: number;
};

/** A document that a worker has from a job: the only one in it, or one of a bundle. */
export class HeldDocument {
  readonly options: HeldDocumentOptions;
  /** As it is now: what is written goes to whoever gets it next, the rest is this worker's. */
  data: DocumentJob;
  #isGone = false;

  constructor(data: DocumentJob, options: HeldDocumentOptions) {
    this.data = data;
    this.options = options;
  }

  /** The id of the job that it has, or would have by itself. */
  get id(): string {
    const { batch, document, audit } = this.data;
    return (audit === undefined ? jobIdOf : auditJobIdOf)(batch, document);
  }

  /** Its job went to somebody else, or Redis lost it. */
  get isGone(): boolean {
    return this.#isGone;
  }

  /** Where it stands in its job. */
  get field(): DocumentField {
    const { job, isBundled } = this.options;
    return { held: job, field: isBundled ? bundledField(this.data.place) : 'data' };
  }

  /** Writes it as changed, unless its job went to somebody else meanwhile. */
  async write(redis: RedisStore, changed: DocumentJob): Promise<Written> {
    const written = await writeDocument(redis, this.field, changed);
    this.noteWritten(changed, written);
    return written;
  }

  /** It was written so, or its job had gone to somebody else. */
  noteWritten(changed: DocumentJob, written: Written): void {
    if (written === 'SAVED') this.data = changed;
    else this.#isGone = true;
  }
}
