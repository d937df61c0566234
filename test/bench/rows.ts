import { measureBehind } from './rows/behind.ts';
import { measureCpu } from './rows/cpu.ts';
import { measureDocuments } from './rows/documents.ts';
import { measureEscalation } from './rows/escalation.ts';
import { measureLarge } from './rows/large.ts';
import { measureMakespan } from './rows/makespan.ts';
import { measureSlowCalls } from './rows/slow-calls.ts';
import { measureTracing } from './rows/tracing.ts';
import { measureTwoDrafters } from './rows/two-drafters.ts';
import type { Measure } from './run.ts';

/** The table of aims, by the names that `--only` takes, in its order. */
export const ROWS: Readonly<Record<string, Measure>> = {
  documents: measureDocuments,
  cpu: measureCpu,
  'slow-calls': measureSlowCalls,
  makespan: measureMakespan,
  escalation: measureEscalation,
  behind: measureBehind,
  large: measureLarge,
  tracing: measureTracing,
  'two-drafters': measureTwoDrafters,
};
