import type { SignalSpec } from '@spillway/core';

/** A document that both models have answered, with the raw score of each signal; null: the signal had no evidence. */
export type BenchRow = {
  readonly scores: Readonly<Record<string, number | null>>;
  /** What the head looks at; null: no evidence. */
  readonly features: readonly number[] | null;
  readonly drafterRight: boolean;
  readonly expertRight: boolean;
};

/** Signals under test, by the name that they have in the report. */
export type BenchSignals = Readonly<Record<string, SignalSpec>>;

export type BenchData = {
  readonly signals: BenchSignals;
  readonly learn: readonly BenchRow[];
  readonly judge: readonly BenchRow[];
};
