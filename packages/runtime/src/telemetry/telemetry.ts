import type { EnvReader } from '../env.ts';
import type { Log } from '../log.ts';
import { Meters } from './meters.ts';
import { readTracing, type TracingSettings } from './settings.ts';
import type { Spans } from './spans.ts';

/** What a process tells of itself beside its log. */
export type Telemetry = AsyncDisposable & {
  readonly meters: Meters;
  /** Null: there is nowhere to send traces to. */
  readonly spans: Spans | null;
};

/** Opens what the environment asks for; what is wrong there goes to the reader. */
export async function openTelemetry(service: string, reader: EnvReader, log: Log): Promise<Telemetry> {
  const tracing = readTracing(reader);
  const meters = new Meters(service);
  const spans = tracing === null ? null : await openSpans(tracing, meters, log);
  return {
    meters,
    spans,
    [Symbol.asyncDispose]: async () => {
      await spans?.[Symbol.asyncDispose]();
      await meters[Symbol.asyncDispose]();
    },
  };
}

/** The exporters take 0.1 s to load: only for whoever sends traces. */
async function openSpans(tracing: TracingSettings, meters: Meters, log: Log): Promise<Spans> {
  const { Spans: Opened } = await import('./spans.ts');
  return new Opened(tracing, meters.provider, log);
}
