import type {
  Answer,
  AttemptError,
  Completion,
  DraftWatchOptions,
  EarlyStop,
  EndpointUrl,
  ExtraCall,
  Hold,
  HowAsked,
  JudgedField,
  JsonObject,
  NoAnswer,
  Role,
  StoppedDraft,
  Take,
  Unproven,
  Usage,
} from '@spillway/core';
import type { OnEvent } from '@spillway/models';
import type { StopReason } from '@spillway/runtime';

/** When a call began and ended, in Unix milliseconds; and by whom it was made, if it was not by the one that works now. */
export type Span = { readonly startedAtMs: number; readonly endedAtMs: number; readonly take?: Take | undefined };

/** A call that brought nothing and used no attempt, with what calls before it took: the fault is not the document's. */
export type Held = Hold & Span & { readonly why: AttemptError; readonly spent?: Usage | undefined };

/** A call that was given up as its draft was hopeless. */
export type StoppedCall = EarlyStop & Pick<StoppedDraft, 'isEstimated'>;

/** How a draft is watched as it comes: by what judges it. */
export type Watching = Omit<DraftWatchOptions, 'onlyJson'>;

/** What an attempt without an answer of its model took before: its calls that were in vain, and their tokens. */
type Vain = { readonly extra?: readonly ExtraCall[]; readonly spent?: Usage };

/** The values of an answer that was put together of a draft and what was asked for. */
export type MergedValues = {
  /** Those that were asked for, as the stage judged them. */
  readonly answered: readonly JudgedField[];
  /** Whether each value of the answer is sure, those of the draft by the rules of the stage that they came from. */
  readonly areSure: readonly boolean[];
};

/** What came of one attempt at a document. */
export type Asked =
  | ({
      readonly kind: 'answered';
      readonly completion: Completion;
      readonly answer: Answer;
      /** What the server said when it refused log-probs; null: it did not. */
      readonly refusal: string | null;
      /** Why the draft was given up before it was whole; null: it is whole. */
      readonly stopped: StoppedCall | null;
      /** Absent: the model was just asked for its answer. */
      readonly how?: HowAsked;
      /** Of an answer that was put together of a draft and values of a stage that judges each; absent: it was not. */
      readonly values?: MergedValues;
      /** All the calls of an attempt that has several; absent: there was one. */
      readonly extra?: readonly ExtraCall[];
    } & Span)
  /** The model says that the draft of an earlier stage is right. */
  | ({
      readonly kind: 'confirmed';
      readonly how: Extract<HowAsked, { kind: 'verdict' }>;
      readonly usage: Usage;
      readonly extra: readonly ExtraCall[];
    } & Span)
  /** The model called the request itself wrong (a 4xx). */
  | ({ readonly kind: 'rejected'; readonly answer: Answer; readonly why: AttemptError } & Vain & Span)
  /** Every attempt was used up, or the server has refused the document for good; with its answer over HTTP, if any. */
  | ({
      readonly kind: 'exhausted';
      readonly answer: Answer | null;
      readonly error: NoAnswer;
      readonly why: AttemptError;
    } & Vain &
      Span)
  /** It failed, and whose fault that was is not known from it alone. */
  | ({
      readonly kind: 'unproven';
      readonly cause: Unproven['cause'];
      readonly isTimeout: boolean;
      /** It was broken off, as all calls are that a server has when it goes down. */
      readonly isBrokenOff: boolean;
      readonly reason: string;
      readonly afterMs: number;
      readonly answer: Answer | null;
      readonly error: NoAnswer;
      readonly why: AttemptError;
      /** What calls before it took; absent: nothing. */
      readonly spent?: Usage | undefined;
    } & Span)
  | ({ readonly kind: 'hold' } & Held)
  | { readonly kind: 'stopped'; readonly reason: StopReason };

/** What came of one call: of a draft it decides nothing. */
export type AskedOnce = Exclude<Asked, { kind: 'confirmed' }>;

/** A call of a stage's model that is over, and was not given up. */
export type ModelCallFacts = {
  /** As its server knows it. */
  readonly model: string;
  readonly tier: string;
  readonly role: Role;
  readonly ms: number;
  readonly error: string | null;
};

/** How one attempt at a document is made. */
export type AttemptOptions = {
  /** Aborted with a StopReason when the call is to be given up. */
  readonly signal: AbortSignal;
  /**
   * The present by the clock that all workers share, for a document that can wait; absent: somebody waits for its answer.
   */
  readonly nowMs?: number;
  /** How often a worker vanished while it held this document. */
  readonly stalls: number;
  /** Called when the server shows that it works: with an answer, or with what is wrong with the request. */
  readonly onAnswered?: (how: 'completed' | 'rejected') => void;
  /** Has the last stage's answer streamed: called with each event of the server as it comes. */
  readonly onEvent?: OnEvent;
};

/** A further call about a draft: its request, the fields that it set for its own purpose, and which one it is. */
export type ExtraRequest = {
  /** Absent: that of the document. */
  readonly endpoint?: EndpointUrl;
  readonly body: JsonObject;
  readonly own: readonly string[];
  readonly purpose: ExtraCall['purpose'];
  readonly index: number;
  /** Has the answer streamed, and given up once enough of its text is there, of which each piece is shown once; absent: it comes whole. */
  readonly isEnough?: (piece: string) => boolean;
};

export type ExtraAnswer =
  | {
      readonly kind: 'answered';
      readonly completion: Completion;
      readonly body: JsonObject;
      readonly requestId: string | null;
      readonly call: ExtraCall;
      /** It was given up before its server said what it took. */
      readonly isEstimated: boolean;
    }
  | { readonly kind: 'failed'; readonly call: ExtraCall }
  | Extract<Asked, { kind: 'hold' | 'stopped' | 'unproven' }>;
