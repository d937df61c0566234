import {
  runStage,
  type AttemptOptions,
  type DocumentTelemetry,
  type StageModel,
  type StageOutcome,
} from '@spillway/cascade';
import {
  askedWhole,
  draftToHandOff,
  keptText,
  resultOf,
  withKept,
  type CascadeDocument,
  type Ending,
} from '@spillway/core';
import type { StopReason } from '@spillway/runtime';
import { untilRecovered, type HandOffs, type Settler } from '@spillway/redis';
import type { Auditor } from './auditor.ts';
import type { HeldDocument } from './held-document.ts';

/** What a worker makes of a document after an attempt. */
export type Verdict =
  /** The document needs this job no more: it has its result, or another stage has it. */
  | { readonly kind: 'done' }
  /** The call failed, and what comes of others shows whose fault that was: this job again after a while, as changed. */
  | Extract<StageOutcome, { kind: 'unproven' }>
  /** The model server is down, asks to wait, or takes no more: the tier waits, slows down, or the document does. */
  | Extract<StageOutcome, { kind: 'hold' }>
  /** The batch takes no results now: this job again after a while. */
  | { readonly kind: 'later'; readonly afterMs: number }
  /** Given up because the process stops: next in line again. */
  | { readonly kind: 'put_back' };

/** How a worker makes an attempt at a document. */
export type WorkerAttempt = AttemptOptions & {
  /** Aborted when the process must end now, whatever waits. */
  readonly stopping: AbortSignal;
  /** What it has the document from, which that leaves when it is handed off. */
  readonly held: Pick<HeldDocument, 'field' | 'noteWritten'>;
};

/** A batch that is ending needs a moment until it says so. */
const ENDING_MS = 1_000;

/** The batch takes no results any more; what its drafts cost and say is looked for in this job, which must stay. */
const KEPT: Verdict = { kind: 'later', afterMs: ENDING_MS };

const isBatchOver = (reason: StopReason): boolean => reason === 'cancelled' || reason === 'expired';

const stoppedVerdict = (reason: StopReason): Verdict =>
  isBatchOver(reason) ? { kind: 'later', afterMs: ENDING_MS } : { kind: 'put_back' };

/** How a worker process records what came of documents, for all of its tiers. */
export type Recorders = {
  readonly settler: Settler;
  readonly handOffs: HandOffs;
  readonly telemetry: DocumentTelemetry;
  readonly auditor: Pick<Auditor, 'begin' | 'end'>;
};

/** Answers documents of one tier, and records what came of it in Redis. */
export class DocumentWorker {
  readonly #settler: Settler;
  readonly #handOffs: HandOffs;
  readonly #telemetry: DocumentTelemetry;
  readonly #auditor: Recorders['auditor'];
  readonly #model: StageModel;

  constructor(model: StageModel, { settler, handOffs, telemetry, auditor }: Recorders) {
    this.#model = model;
    this.#settler = settler;
    this.#handOffs = handOffs;
    this.#telemetry = telemetry;
    this.#auditor = auditor;
  }

  /** Runs the document's stage, then settles it or hands it off. */
  async work(document: CascadeDocument, attempt: WorkerAttempt): Promise<Verdict> {
    if (document.job.audit !== undefined) return await this.#audit(document, attempt);
    const outcome = await runStage(this.#model, document, attempt);
    const isDrafted = draftToHandOff(document.job) !== null;
    if (!isDrafted) {
      this.#telemetry.attempted(document, outcome);
      this.#telemetry.judged(document, outcome);
    }
    switch (outcome.kind) {
      case 'hold':
      case 'unproven':
        return outcome;
      case 'stopped':
        return stoppedVerdict(outcome.reason);
      case 'settle':
        return await this.#settle(document, outcome.ending, attempt);
      case 'escalate':
        return await this.#escalate({ ...document, job: outcome.job }, isDrafted, attempt);
    }
  }

  async #settle(document: CascadeDocument, ending: Ending, { stopping }: WorkerAttempt): Promise<Verdict> {
    const isTraced = await this.#telemetry.isTraced(document, ending);
    const result = withKept(resultOf(document, ending, isTraced), keptText(document, ending));
    const settled = await untilRecovered(() => this.#settler.settle(document.job, result), stopping);
    if (settled === 'WROTE') {
      this.#telemetry.settled({ document, ending, result, isTraced });
      await this.#auditor.begin(document, ending);
    }
    if (settled === 'CLOSED' && document.job.drafts.length > 0) return KEPT;
    return settled === 'STOPPED' ? { kind: 'put_back' } : { kind: 'done' };
  }

  /** Asks the expert about a document that has its result, from scratch, and records whether it says the same. */
  async #audit({ job, rules }: CascadeDocument, attempt: WorkerAttempt): Promise<Verdict> {
    const document = { job, rules: askedWhole(rules) };
    const outcome = await runStage(this.#model, document, attempt);
    this.#telemetry.attempted(document, outcome);
    switch (outcome.kind) {
      case 'hold':
      case 'unproven':
        return outcome;
      case 'stopped':
        return stoppedVerdict(outcome.reason);
      case 'settle': {
        const entry = await this.#auditor.end(document, outcome.ending, attempt.stopping);
        if (entry === null) return { kind: 'put_back' };
        this.#telemetry.audited(document, entry);
        return { kind: 'done' };
      }
      case 'escalate':
        throw new Error('the last stage has nowhere to escalate to');
    }
  }

  /** Hands the document off with its draft; what cannot be handed off stays in its job, drafted. */
  async #escalate(document: CascadeDocument, isWritten: boolean, attempt: WorkerAttempt): Promise<Verdict> {
    const { held, stopping, stalls } = attempt;
    const handOff = this.#handOffs.prepare(document, {
      from: held.field,
      isAgain: isWritten || stalls > 0,
      onWritten: (written) => held.noteWritten(document.job, written),
      onUnjudged: (warning) => this.#telemetry.unjudged(document.job.batch, warning),
    });
    const handed = await untilRecovered(handOff, stopping);
    if (handed === 'CLOSED') return KEPT;
    return { kind: handed === 'STOPPED' ? 'put_back' : 'done' };
  }
}
