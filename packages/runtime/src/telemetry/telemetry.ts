import type { EnvReader } from '../env.ts';
import type { Log } from '../log.ts';
import { Meters } from './meters.ts';
import { readTracing } from './settings.ts';
import { Spans } from './spans.ts';

/** What a process tells of itself beside its log. */
export type Telemetry = AsyncDisposable & {
  readonly meters: Meters;
  /** Null: there is nowhere to send traces to. */
  readonly spans: Spans | null;
};

/** Opens what the environment asks for; what is wrong there goes to the reader. */
export function openTelemetry(reader: EnvReader, log: Log): Telemetry {
  const tracing = readTracing(reader);
  const meters = new Meters();
  const spans = tracing === null ? null : new Spans(tracing, meters.provider, log);
  return {
    meters,
    spans,
    [Symbol.asyncDispose]: async () => {
      await spans?.[Symbol.asyncDispose]();
      await meters[Symbol.asyncDispose]();
    },
  };
}
