import { judgeIn, roleOf, stageOf } from '../cascade/rules.ts';
import type { Role } from '../cascade/tier.ts';
import { waitParts, type Take, type WaitPart } from '../document/delays.ts';
import { judgementOf, type StageRecord } from '../document/ending.ts';
import type { CascadeDocument } from '../document/job.ts';
import type { AttemptError } from '../document/attempt-error.ts';
import { areAllExtra, type Attempt, type ExtraCall } from '../document/times.ts';
import { describeCall, describeExtraCall, describeFailure, type NamedModel } from './call.ts';
import type { TraceIds } from './ids.ts';
import { microseconds, type FinishedSpan, type SpanAttributes, type SpanEvent } from './span.ts';

/** What the spans of a document are made of. */
export type DocumentTrace = {
  readonly document: CascadeDocument;
  /** The models of the cascade, by their names in the configuration. */
  readonly models: (name: string) => NamedModel | null;
  /** Whether prompts and answers may be in the spans. */
  readonly content: boolean;
};

type Range = { readonly startUs: number; readonly endUs: number };

/** Places spans one after the other; clocks of two machines differ, so what would begin too early begins later. */
export class Children {
  #endUs: number;

  constructor(startUs: number) {
    this.#endUs = startUs - 1;
  }

  get endUs(): number {
    return this.#endUs;
  }

  /** The range from one moment to just before another one. */
  until(fromMs: number, toMs: number): Range {
    const startUs = Math.max(microseconds(fromMs), this.#endUs + 1);
    this.#endUs = Math.max(startUs, microseconds(toMs) - 1);
    return { startUs, endUs: this.#endUs };
  }
}

/** What a stage's work is called, by its role. */
const WORK: Readonly<Record<Role, string>> = { drafter: 'draft', expert: 'expert' };

/** The spans of a stage that a document reached. */
export class StageSpans {
  readonly #trace: DocumentTrace;
  readonly #ids: TraceIds;
  readonly #record: StageRecord;
  readonly #stage: number;
  readonly #role: Role;
  readonly #shared: SpanAttributes;
  #waits = 0;

  constructor(trace: DocumentTrace, ids: TraceIds, { record, stage }: { record: StageRecord; stage: number }) {
    this.#trace = trace;
    this.#ids = ids;
    this.#record = record;
    this.#stage = stage;
    const { rules } = trace.document;
    this.#role = roleOf(rules, stage);
    this.#shared = {
      ...namesOf(trace.document),
      'cascade.tier': `${this.#role}.${record.model}`,
      'cascade.stage': stage + 1,
      'cascade.model': record.model,
    };
  }

  /**
   * The waits, the work and the calls, one after the other; `settledAtMs` is when the last stage's work was over, null if
   * it never was.
   */
  within(children: Children, settledAtMs: number | null): FinishedSpan[] {
    const { attempts, handedOffAtMs } = this.#record;
    return attempts.flatMap((attempt, index) => {
      const isLast = index === attempts.length - 1;
      const endMs = (isLast ? (handedOffAtMs ?? settledAtMs) : null) ?? attempt.endedAtMs;
      const waits = this.#waitsOf(attempt, index + 1, children);
      const work = children.until(attempt.startedAtMs, endMs);
      return [...waits, ...this.#workOf(attempt, { number: index + 1, isLast, work })];
    });
  }

  /** What it still waited for when its batch ended. */
  waiting(children: Children, endedAtMs: number): FinishedSpan[] {
    const { waitingSinceMs: sinceMs, delays, attempts } = this.#trace.document.job;
    const wait = { sinceMs, startedAtMs: endedAtMs, endedAtMs, error: null, delays };
    return this.#waitsOf(wait, attempts.length + 1, children);
  }

  /** What it waited for before an attempt; a call among it brought nothing, and has its work as every call has. */
  #waitsOf({ sinceMs, startedAtMs, delays = [], take }: Attempt, number: number, children: Children): FinishedSpan[] {
    const parts = waitParts({ fromMs: sinceMs, toMs: startedAtMs }, delays);
    const none: WaitPart = { reason: 'queue', fromMs: sinceMs, toMs: startedAtMs };
    return (parts.length === 0 ? [none] : parts).flatMap(({ reason, fromMs, toMs, call }) => {
      const range = children.until(fromMs, toMs);
      const attributes = { ...this.#shared, 'cascade.attempt': number, 'cascade.wait.reason': reason };
      if (call !== undefined) return this.#lostCall(range, call, attributes);
      this.#waits += 1;
      const ms = (range.endUs - range.startUs) / 1_000;
      return [
        {
          ...this.#base(take),
          ...range,
          kind: 'internal',
          parentId: this.#ids.root.spanId,
          name: `${reason}.wait ${this.#role}`,
          spanId: this.#ids.spanId(this.#stage, this.#waits, 'wait'),
          attributes: { ...attributes, 'cascade.wait_ms': ms },
        },
      ];
    });
  }

  #lostCall(
    range: Range,
    { take, error }: { readonly take: Take | undefined; readonly error: AttemptError },
    attributes: SpanAttributes,
  ): FinishedSpan[] {
    const { document, models, content } = this.#trace;
    const number = take?.number ?? 0;
    const workId = this.#ids.spanId(this.#stage, number, 'work');
    const call = describeCall(document.job, this.#record, { models, content, answer: null });
    const base = { ...this.#base(take), ...range, error: error.message };
    return [
      {
        ...base,
        kind: 'internal',
        parentId: this.#ids.root.spanId,
        name: WORK[this.#role],
        spanId: workId,
        attributes,
      },
      {
        ...base,
        kind: 'client',
        parentId: workId,
        name: call.name,
        spanId: this.#ids.spanId(this.#stage, number, 'call'),
        attributes: { ...attributes, ...call.attributes, ...describeFailure(error, content) },
      },
    ];
  }

  /** The work of an attempt, and the calls in it. */
  #workOf(
    attempt: Attempt,
    { number, isLast, work }: { readonly number: number; readonly isLast: boolean; readonly work: Range },
  ): FinishedSpan[] {
    const { document, models, content } = this.#trace;
    const { extra = [], take, error } = attempt;
    const called = take?.number ?? number;
    const workId = this.#ids.spanId(this.#stage, called, 'work');
    const isStopped = isLast && this.#record.draft?.stopped !== undefined;
    const attributes = {
      ...this.#shared,
      'cascade.attempt': number,
      ...(isStopped ? { 'cascade.stopped_early': true } : {}),
      ...(isLast ? this.#howAsked() : {}),
    };
    const within = (ms: number): number => Math.min(Math.max(work.startUs, microseconds(ms)), work.endUs);
    const answer = isLast ? this.#record.answer : null;
    const call = describeCall(document.job, this.#record, { models, content, answer });
    const base = this.#base(take);
    const worked: FinishedSpan = {
      ...base,
      ...work,
      kind: 'internal',
      parentId: this.#ids.root.spanId,
      name: WORK[this.#role],
      spanId: workId,
      attributes,
      events: isLast ? this.#draftEvents(within(attempt.endedAtMs)) : [],
      error: error?.message ?? null,
    };
    const asked: FinishedSpan = {
      ...base,
      kind: 'client',
      parentId: workId,
      name: call.name,
      spanId: this.#ids.spanId(this.#stage, called, 'call'),
      startUs: work.startUs,
      endUs: within(Math.min(attempt.endedAtMs, ...extra.map((one) => one.startedAtMs))),
      attributes: { ...attributes, ...call.attributes, ...(error === null ? {} : describeFailure(error, content)) },
      error: error?.message ?? null,
    };
    const besides = extra.map((one, index): FinishedSpan => ({
      ...base,
      ...this.#extraCall(one, attributes),
      kind: 'client',
      parentId: workId,
      name: call.name,
      spanId: this.#ids.extraSpanId(this.#stage, called, index),
      startUs: within(one.startedAtMs),
      endUs: Math.max(within(one.startedAtMs), within(one.endedAtMs)),
    }));
    return areAllExtra(extra) ? [worked, ...besides] : [worked, asked, ...besides];
  }

  /** How the stage came to its answer. */
  #howAsked(): SpanAttributes {
    const { how } = this.#record;
    const { ask } = stageOf(this.#trace.document.rules, this.#stage);
    if (how === undefined) return { 'cascade.ask': ask };
    if (how.kind === 'answer') return { 'cascade.ask': how.kind, 'cascade.ask.reason': how.reason };
    if (how.kind === 'verdict') return { 'cascade.ask': how.kind, 'cascade.verdict_on': how.stage + 1 };
    if (how.kind === 'fields') return { 'cascade.ask': how.kind, 'cascade.asked_fields': how.asked.length };
    return { 'cascade.ask': how.kind, 'cascade.kept_characters': how.keptCharacters };
  }

  #extraCall(call: ExtraCall, attributes: SpanAttributes): Pick<FinishedSpan, 'attributes' | 'error'> {
    const { models, content } = this.#trace;
    const { error } = call;
    const { model: name } = this.#record;
    const described = describeExtraCall(this.#trace.document.job, call, { name, named: models(name) });
    const failure = error === null ? {} : describeFailure(error, content);
    return { attributes: { ...attributes, ...described, ...failure }, error: error?.message ?? null };
  }

  #base(take: Take | undefined) {
    const { traceId } = this.#ids.root;
    return { service: this.#role, by: take?.by ?? null, traceId, events: [], error: null, link: null } as const;
  }

  /** How a draft was judged, the stage's own or the one before it, and when the document went on. */
  #draftEvents(atUs: number): SpanEvent[] {
    const judge = judgeIn(stageOf(this.#trace.document.rules, this.#stage));
    const { draft, outcome } = this.#record;
    const judged = judgementOf(this.#record);
    if (judged === null || judge === null) return [];
    const isFinal = outcome === 'accepted';
    const evaluation: SpanEvent = {
      name: 'gen_ai.evaluation.result',
      atUs,
      attributes: {
        'gen_ai.evaluation.name': judge.confidence.signal.name,
        'gen_ai.evaluation.score.value': judged.confidence,
        'gen_ai.evaluation.score.label': isFinal ? 'accepted' : draft === null ? 'answered' : 'escalated',
        'gen_ai.evaluation.explanation': draft !== null && 'reason' in draft ? draft.reason : null,
      },
    };
    return isFinal || draft === null ? [evaluation] : [evaluation, { name: 'hand_off', atUs, attributes: {} }];
  }
}

/** What every span of a document says, so that one search finds the failing calls of a batch. */
export const namesOf = ({ job }: CascadeDocument): SpanAttributes => ({
  'cascade.batch.id': job.batch,
  'cascade.document.id': job.customId,
  'cascade.name': job.cascade,
});
