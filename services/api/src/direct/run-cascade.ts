import { setTimeout as delay } from 'node:timers/promises';
import { runStage, type DocumentTelemetry, type OnEvent } from '@spillway/cascade';
import { charged, nextStageJob, roleOf, stageOf, type CascadeDocument, type Ending } from '@spillway/core';
import { ApiError, unavailable } from '../errors.ts';
import type { DirectModels } from './direct-models.ts';

/** When to come again, where the model server did not say. */
const DEFAULT_RETRY_AFTER_MS = 1_000;

export type RunOptions = {
  readonly models: DirectModels;
  readonly telemetry: DocumentTelemetry;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** Has the last stage's answer streamed: called with each event of its server. */
  readonly onEvent: OnEvent | null;
};

/**
 * Runs all stages of a document in a row, without queues, until it has come to its end. Where a server is down or full
 * the client gets a 503 and may come again; an answer whose beginning was passed on already is not asked for again.
 */
export async function runCascade(
  first: CascadeDocument,
  { models, telemetry, signal, onEvent }: RunOptions,
): Promise<{ readonly document: CascadeDocument; readonly ending: Ending }> {
  const { rules } = first;
  let isBegun = false;
  const pass: OnEvent = (data) => {
    isBegun = true;
    return onEvent?.(data);
  };
  for (let document = first; ;) {
    const { job } = document;
    const role = roleOf(rules, job.stage);
    const model = models.of(role, stageOf(rules, job.stage).model);
    const streamed = role === 'expert' && onEvent !== null ? { onEvent: pass } : {};
    const outcome = await runStage(model, document, { signal, stalls: 0, ...streamed });
    telemetry.attempted(document, outcome);
    switch (outcome.kind) {
      case 'settle':
        return { document, ending: outcome.ending };
      case 'escalate':
        document = { rules, job: nextStageJob({ rules, job: outcome.job }, Date.now()) };
        break;
      case 'unproven': {
        if (isBegun) throw brokenOff();
        const isLastWord = outcome.isLast;
        // Nobody else is asked about here: something small shows whether the server answers at all.
        if (isLastWord && (await model.askControl({ endpoint: job.endpoint, like: job.body }, signal)) !== null) {
          throw cannotAnswer(DEFAULT_RETRY_AFTER_MS);
        }
        if (!isLastWord) await delay(outcome.afterMs, undefined, { signal }).catch(() => undefined);
        document = { rules, job: charged(outcome.job, model.maxAttempts) };
        break;
      }
      case 'hold': {
        if (isBegun) throw brokenOff();
        throw cannotAnswer(outcome.retryAfterMs ?? DEFAULT_RETRY_AFTER_MS);
      }
      case 'stopped':
        throw new ApiError(504, 'The answer did not come in time.', { code: 'request_timeout' });
    }
  }
}

const cannotAnswer = (retryAfterMs: number): ApiError =>
  unavailable('A model server of this cascade cannot answer now.', retryAfterMs / 1000);

const brokenOff = (): ApiError => new ApiError(502, 'The model server broke off its answer.', { code: 'server_error' });
