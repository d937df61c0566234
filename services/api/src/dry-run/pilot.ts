import { setTimeout as delay } from 'node:timers/promises';
import type { DocumentTelemetry } from '@spillway/cascade';
import {
  costOf,
  judgingStages,
  LIMITS,
  mostAnswerTokens,
  mostNanoUsd,
  pilotDocument,
  pilotRules,
  readSampleLine,
  rateOf,
  resultOf,
  roleOf,
  shortened,
  type CascadeRules,
  type Configuration,
  type DocumentSize,
  type Drawn,
  type DrawnDocument,
  type DrawnPlace,
  type JudgedPilot,
  type PilotDocument,
} from '@spillway/core';
import { EarlierLines } from '@spillway/storage';
import { directJob } from '../direct/direct-document.ts';
import type { DirectModels } from '../direct/direct-models.ts';
import { runCascade } from '../direct/run-cascade.ts';
import { ApiError } from '../errors.ts';
import { clientGone, rulesIn, type Checked, type InputPlaces, type OrderedBatch } from './checked.ts';

/** What a pilot asks its documents by. */
export type PilotSources = InputPlaces & {
  readonly configuration: Configuration;
  readonly models: DirectModels;
  readonly telemetry: DocumentTelemetry;
};

/** What came of a pilot. */
export type Pilot = {
  readonly askedFor: number;
  /** What ranges are made of: each as likely to be here as its chance says. */
  readonly documents: readonly PilotDocument[];
  /** Of the same documents, where thresholds are to be found; else none. */
  readonly judged: readonly JudgedPilot[];
  readonly failed: number;
  readonly nanoUsd: number;
  readonly seconds: number;
  /** Why there are fewer documents than were asked for; null: there are not. */
  readonly brokeOff: string | null;
};

/** Documents that are asked about at a time: half of what the models take at most, and never more. */
const MAX_AT_ONCE = 8;
const CONCURRENCY_SHARE = 0.5;
/** Bytes of theirs that are held. */
const MAX_HELD_BYTES = 16 * 1024 * 1024;

/** How often a document waits for a server that takes no more, and for how long at most. */
const MAX_WAITS = 5;
const MAX_WAIT_MS = 10_000;

/** Why a batch has no pilot; null: it can have one. */
export function pilotProblem(
  { configuration, models }: PilotSources,
  cascades: readonly CascadeRules[],
): string | null {
  for (const rules of cascades) {
    if (rules.aim !== undefined && (cascades.length > 1 || !isForeseen(rules))) {
      return 'the thresholds are found by a sample of the batch itself, so nobody knows before what will be escalated.';
    }
    for (const [stage, { model }] of rules.stages.entries()) {
      if (configuration.models[model]?.sidecar === true) {
        return `'${model}' runs beside its workers, where nobody else asks it.`;
      }
      try {
        models.of(roleOf(rules, stage), model);
      } catch (error) {
        if (error instanceof ApiError) return error.message;
        throw error;
      }
    }
  }
  return null;
}

/** Whether a pilot can tell which thresholds will be found: by labels, or where other stages decide before, it cannot. */
const isForeseen = (rules: CascadeRules): boolean =>
  rules.aim?.kind === 'promise' || (rules.aim?.kind === 'budget' && judgingStages(rules).length === 1);

type Ended = {
  readonly document: PilotDocument;
  readonly isFailed: boolean;
  /** How its drafts were judged, where thresholds are to be found. */
  readonly drawn: DrawnDocument | null;
};

/** Answers the drawn documents at once, through all stages and rules, without queues. */
export class PilotRun {
  readonly #sources: PilotSources;
  readonly #batch: OrderedBatch;
  readonly #checked: Checked;
  readonly #drawn: Drawn;
  /** 10⁻⁹ US dollars that the batch, and so its pilot, may cost. */
  readonly #mostNanoUsd: number;
  readonly #ended: (Ended | undefined)[] = [];
  #next = 0;
  #spent = 0;
  /** What those under way may cost at most. */
  #promised = 0;
  #heldBytes = 0;
  #freed = Promise.withResolvers<void>();
  #brokeOff: string | null = null;

  constructor(
    sources: PilotSources,
    {
      batch,
      checked,
      drawn,
      mostNanoUsd: most,
    }: { batch: OrderedBatch; checked: Checked; drawn: Drawn; mostNanoUsd: number },
  ) {
    this.#sources = sources;
    this.#batch = batch;
    this.#checked = checked;
    this.#drawn = drawn;
    this.#mostNanoUsd = most;
  }

  /** What the pilot costs at most, as far as sizes say it. */
  get mostNanoUsd(): number {
    return this.#drawn.documents.reduce((sum, { at }) => {
      const size = this.#checked.sizes.at(at);
      return sum + mostNanoUsd(this.#rulesOf(size), { textBytes: textBytesOf(size), answerTokens: null });
    }, 0);
  }

  async run(signal: AbortSignal): Promise<Pilot> {
    const startedAtMs = performance.now();
    const late = AbortSignal.timeout(LIMITS.pilotMs);
    const failing = new AbortController();
    const ending = AbortSignal.any([signal, late, failing.signal]);
    const lanes = Array.from({ length: this.#atOnce() }, () => this.#lane(ending));
    // What one lane meets ends the others, too, before it is answered: they would spend on.
    for (const lane of lanes) lane.catch(() => failing.abort('cancelled'));
    const outcomes = await Promise.allSettled(lanes);
    const failed = outcomes.find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected' && !signal.aborted) throw failed.reason;
    if (signal.aborted) throw clientGone();
    if (late.aborted) this.#brokeOff ??= `${LIMITS.pilotMs / 1000} s were over`;
    const whole = this.#drawn.documents.findIndex((_, place) => this.#ended[place] === undefined);
    const used = shortened(this.#drawn.documents, whole === -1 ? this.#drawn.documents.length : whole) ?? [];
    return {
      askedFor: this.#drawn.documents.length,
      documents: used.flatMap(({ chance }, place) => {
        const one = this.#ended[place]?.document;
        return one === undefined ? [] : [{ ...one, chance }];
      }),
      judged: used.flatMap(({ chance }, place) => {
        const drawn = this.#ended[place]?.drawn;
        return drawn == null ? [] : [{ weight: 1 / chance, drawn }];
      }),
      failed: used.filter((_, place) => this.#ended[place]?.isFailed === true).length,
      nanoUsd: this.#spent,
      seconds: (performance.now() - startedAtMs) / 1000,
      brokeOff: this.#brokeOff,
    };
  }

  /** What waits for a connection to its server would count as if the server took so long. */
  #atOnce(): number {
    const { models } = this.#sources.configuration;
    const asked = rulesIn(this.#checked, this.#batch).flatMap(({ stages }) => stages);
    const least = Math.min(...asked.map(({ model }) => models[model]?.concurrency ?? 1));
    return Math.min(this.#drawn.documents.length, MAX_AT_ONCE, Math.max(1, Math.floor(CONCURRENCY_SHARE * least)));
  }

  async #lane(signal: AbortSignal): Promise<void> {
    const { readPart } = this.#checked;
    const { endpoint, cascades } = this.#batch;
    const { lineBytes } = this.#sources.inputLimits;
    const lines = new EarlierLines(readPart, { endpoint, cascades: new Set(Object.keys(cascades)), lineBytes });
    while (!signal.aborted && this.#brokeOff === null) {
      const place = this.#next;
      const drawn = this.#drawn.documents[place];
      if (drawn === undefined) return;
      this.#next += 1;
      const size = this.#checked.sizes.at(drawn.at);
      await this.#hold(size.bytes);
      try {
        if (signal.aborted || this.#brokeOff !== null) return;
        this.#ended[place] = await this.#ask(lines, { drawn, size, signal });
      } finally {
        this.#release(size.bytes);
      }
    }
  }

  /** What came of a document; undefined: it was not asked about, or to no end. */
  async #ask(
    lines: EarlierLines,
    { drawn, size, signal }: { readonly drawn: DrawnPlace; readonly size: DocumentSize; readonly signal: AbortSignal },
  ): Promise<Ended | undefined> {
    const request = await lines.at(size.offset);
    if (request === null) throw new Error(`the line at ${size.offset} of an input changed after its check`);
    const { cascade, body } = request;
    const rules = pilotRules(this.#rulesOf(size));
    const most = mostNanoUsd(rules, { textBytes: textBytesOf(size), answerTokens: mostAnswerTokens(body) });
    if (this.#spent + this.#promised + most > this.#mostNanoUsd) {
      this.#brokeOff ??= 'the next document might have cost more than the batch may';
      return undefined;
    }
    this.#promised += most;
    try {
      const found = await this.#answered(
        () =>
          runCascade(
            directJob({ url: this.#batch.endpoint, cascade, rules, body, sampled: false, limitMs: LIMITS.pilotMs }),
            {
              models: this.#sources.models,
              telemetry: this.#sources.telemetry,
              signal,
              onEvent: null,
            },
          ),
        signal,
      );
      if (found === null) return undefined;
      const { document, ending } = found;
      const { telemetry } = this.#sources;
      const isTraced = await telemetry.isTraced(document, ending);
      const result = resultOf(document, ending, isTraced);
      telemetry.settled({ document, ending, result, isTraced });
      const drawing = { chance: drawn.chance, characters: size.characters, rate: rateOf(rules) };
      const own = pilotDocument(document, ending, drawing);
      this.#spent += costOf(own);
      const isFailed = result.line.part === 'error';
      return { document: own, isFailed, drawn: rules.sample === undefined ? null : drawnIn(result.line.text) };
    } finally {
      this.#promised -= most;
    }
  }

  /** Waits for a server that takes no more for a while; null: no answer came, and the pilot ends. */
  async #answered<Answer>(ask: () => Promise<Answer>, signal: AbortSignal): Promise<Answer | null> {
    for (let waits = 0; ; waits += 1) {
      try {
        return await ask();
      } catch (error) {
        if (signal.aborted) return null;
        if (!(error instanceof ApiError)) throw error;
        if (error.status !== 503 || waits === MAX_WAITS) {
          this.#brokeOff ??= error.message;
          return null;
        }
        const waitMs = Math.min(MAX_WAIT_MS, 1000 * Number(error.headers['retry-after'] ?? 1));
        await delay(waitMs, undefined, { signal }).catch(() => undefined);
        if (this.#brokeOff !== null) return null;
      }
    }
  }

  /** Takes room for a line; one that is larger than all the room has it to itself. */
  async #hold(bytes: number): Promise<void> {
    while (this.#heldBytes > 0 && this.#heldBytes + bytes > MAX_HELD_BYTES) await this.#freed.promise;
    this.#heldBytes += bytes;
  }

  #release(bytes: number): void {
    this.#heldBytes -= bytes;
    this.#freed.resolve();
    this.#freed = Promise.withResolvers();
  }

  #rulesOf({ cascade }: DocumentSize): CascadeRules {
    const rules = this.#batch.cascades[cascade];
    if (rules === undefined) throw new Error(`a document of a cascade that is none: ${cascade}`);
    return rules;
  }
}

/** An image's bytes are no text. */
const textBytesOf = ({ bytes, characters, hasImage }: DocumentSize): number => (hasImage ? 3 * characters : bytes);

/** How the drafts of a document were judged, as its line says. */
function drawnIn(text: string): DrawnDocument {
  const { line, sample } = readSampleLine(text) ?? {};
  const isAnswered = (line?.response?.status_code ?? 500) < 300;
  return { judged: sample?.judged ?? null, delivered: isAnswered ? (line?.cascade?.stage ?? 1) - 1 : null };
}
