import type { Meters } from '@spillway/runtime';
import type { GenerationEvent, GenerationRequest } from '../engine/generation.ts';
import type { ModelThread } from '../engine/model-thread.ts';

/** Measures each generation of a model, and counts the tokens that it read and wrote, also of those that were left early. */
export function measuredThread(thread: ModelThread, meters: Meters): ModelThread {
  const labels = { 'gen_ai.request.model': thread.name };
  const direction = (name: 'input' | 'output') => ({ ...labels, direction: name });
  meters.begin('gen_ai.server.tokens', [direction('input'), direction('output')]);
  meters.beginTimes('gen_ai.server.request.duration', [labels]);

  async function* generate(request: GenerationRequest): AsyncGenerator<readonly GenerationEvent[], void, undefined> {
    const startedAtMs = performance.now();
    /** Tokens of each choice; the one that ends an answer shows only in its sum. */
    const written = new Map<number, number>();
    let error: string | null = 'cancelled';
    try {
      for await (const events of thread.generate(request)) {
        for (const event of events) {
          if (event.kind === 'token') written.set(event.choice, (written.get(event.choice) ?? 0) + 1);
          if (event.kind === 'finish') written.set(event.choice, event.generatedTokens);
        }
        yield events;
      }
      error = null;
    } catch (cause) {
      error = 'failed';
      throw cause;
    } finally {
      meters.time('gen_ai.server.request.duration', (performance.now() - startedAtMs) / 1_000, {
        ...labels,
        ...(error === null ? {} : { 'error.type': error }),
      });
      const output = written.values().reduce((sum, tokens) => sum + tokens, 0);
      meters.count('gen_ai.server.tokens', request.prompt.length, direction('input'));
      meters.count('gen_ai.server.tokens', output, direction('output'));
    }
  }

  return {
    name: thread.name,
    shape: thread.shape,
    failure: thread.failure,
    get unfinished() {
      return thread.unfinished;
    },
    generate,
    [Symbol.asyncDispose]: () => thread[Symbol.asyncDispose](),
  };
}
