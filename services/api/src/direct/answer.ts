import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import {
  afterFailure,
  ENDPOINTS,
  escalatedJob,
  isJsonObject,
  JOB_VERSION,
  deeperThan,
  LIMITS,
  resultOf,
  snapshotRules,
  unfitReason,
  withoutDraft,
  type DocumentJob,
  type Ending,
  type EndpointUrl,
  type JsonObject,
} from '@spillway/core';
import { askDraft, draftOf, type Asked } from '@spillway/models';
import type { Sampling } from '@spillway/runtime';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Api } from '../api.ts';
import { ApiError, badRequest, invalidType, missingParameter, shown, tooMany, unavailable } from '../errors.ts';

export const directBody = z
  .looseObject({ model: z.string().meta({ description: 'The name of a cascade.' }) })
  .meta({ id: 'DirectRequest', description: 'As for OpenAI; `stream` is not supported.' });

export const directAnswer = z
  .looseObject({ cascade: z.looseObject({ tier: z.enum(['draft', 'expert']) }) })
  .meta({ id: 'DirectAnswer', description: "The model's answer, and `cascade`: what was decided and why." });

/** Answers that are under way at once; this is for trying things out, batches are for work. */
const AT_ONCE = 64;

type Call = { readonly url: EndpointUrl; readonly request: FastifyRequest; readonly reply: FastifyReply };

/** Answers one document through the cascade at once: the same rules as in a batch, and no queue. */
export class DirectAnswers {
  readonly #api: Api;
  #underWay = 0;

  constructor(api: Api) {
    this.#api = api;
  }

  async answer({ url, request, reply }: Call): Promise<z.input<typeof directAnswer>> {
    const job = readJob(this.#api, url, request.body);
    if (this.#underWay >= AT_ONCE) throw tooMany('Too many answers are under way at once. Try again in a moment.', 1);
    const gone = new AbortController();
    const leave = (): void => gone.abort('cancelled');
    reply.raw.once('close', leave);
    this.#underWay += 1;
    try {
      return this.#tell(await this.#ask(job, gone.signal), reply);
    } finally {
      this.#underWay -= 1;
      reply.raw.off('close', leave);
    }
  }

  async #ask(job: DocumentJob, signal: AbortSignal): Promise<{ job: DocumentJob; ending: Ending }> {
    const { rules } = job;
    const unfit = unfitReason(job.body, rules.limits);
    if (unfit !== null) return await this.#escalate(withoutDraft(job, unfit, job.fedAtMs), signal);
    const drafter = this.#api.direct.tier('draft', rules.drafter);
    const { asked, job: drafting } = await askUntil(
      (now) => askDraft(drafter, now, { signal, stalls: 0 }),
      job,
      signal,
    );
    const drawn = draftOf(drafting, asked);
    if (drawn.kind === 'accepted') return { job: drafting, ending: drawn };
    return await this.#escalate(escalatedJob(drafting, drawn.draft, Date.now()), signal);
  }

  async #escalate(escalated: DocumentJob, signal: AbortSignal): Promise<{ job: DocumentJob; ending: Ending }> {
    const expert = this.#api.direct.tier('expert', escalated.rules.expert);
    const ask = (job: DocumentJob) => expert.ask(job, { signal, topLogprobs: 0, stalls: 0 });
    const { asked, job } = await askUntil(ask, escalated, signal);
    return { job, ending: endingOf(asked) };
  }

  #tell({ job, ending }: { job: DocumentJob; ending: Ending }, reply: FastifyReply): z.input<typeof directAnswer> {
    const result = resultOf(job, ending);
    this.#api.witness.settled({ job, ending, result });
    const line = JSON.parse(result.line.text) as {
      readonly response: { readonly status_code: number; readonly body: JsonObject | string } | null;
      readonly error: { readonly code: string; readonly message: string } | null;
      readonly cascade: z.input<typeof directAnswer>['cascade'];
    };
    if (line.response === null) {
      const { code = 'server_error', message = 'The models failed.' } = line.error ?? {};
      throw new ApiError(code === 'request_timeout' ? 504 : 502, message, { code });
    }
    const { status_code: status, body } = line.response;
    if (status >= 500) throw new ApiError(502, `The expert answered ${status}.`, { code: 'server_error' });
    if (!isJsonObject(body)) throw new ApiError(status, shown(body));
    reply.code(status);
    return { ...body, cascade: line.cascade };
  }
}

/** When to come again, where the model server did not say. */
const UNTOLD_WAIT_MS = 1_000;

type Said = { readonly kind: string };
type Unanswered = Extract<Asked, { kind: 'gate' | 'stopped' | 'again' }>;

/** Asks until there is an answer or no try is left; a server that is down or full is told to the client. */
async function askUntil<Answered extends Said>(
  ask: (job: DocumentJob) => Promise<Answered | Unanswered>,
  first: DocumentJob,
  signal: AbortSignal,
): Promise<{ asked: Exclude<Answered, Unanswered>; job: DocumentJob }> {
  for (let job = first; ;) {
    const asked = await ask(job);
    if (isUnanswered(asked)) {
      if (asked.kind === 'gate') {
        throw unavailable('A model server of this cascade cannot answer now.', (asked.toldMs ?? UNTOLD_WAIT_MS) / 1000);
      }
      if (asked.kind === 'stopped') {
        throw new ApiError(504, 'The answer did not come in time.', { code: 'request_timeout' });
      }
      await delay(asked.afterMs, undefined, { signal }).catch(() => undefined);
      job = afterFailure(job, asked.tries, asked, asked.why);
    } else return { asked: asked as Exclude<Answered, Unanswered>, job };
  }
}

const isUnanswered = (asked: Said): asked is Unanswered => ['gate', 'stopped', 'again'].includes(asked.kind);

function endingOf(asked: Exclude<Asked, Unanswered>): Ending {
  const { answer, startedAtMs, endedAtMs } = asked;
  if (asked.kind === 'answered') return { kind: 'expert', answer: asked.answer, startedAtMs, endedAtMs };
  const { why } = asked;
  if (answer !== null) return { kind: 'expert', answer, why, startedAtMs, endedAtMs };
  if (asked.kind === 'rejected') throw new Error('a rejection has an answer');
  return { kind: 'failed', error: asked.error, why, startedAtMs, endedAtMs };
}

function readJob(api: Api, url: EndpointUrl, body: unknown): DocumentJob {
  if (!isJsonObject(body)) throw badRequest('The body must be a JSON object.', { code: 'invalid_type' });
  const { model } = body;
  if (model === undefined || model === null) throw missingParameter('model');
  if (typeof model !== 'string') throw invalidType('model', 'a string', model);
  const rules = Object.entries(snapshotRules(api.configuration, api.calibrations.current(), false)).find(
    ([name]) => name === model,
  )?.[1];
  if (rules === undefined) {
    const message = `The model '${shown(model)}' does not exist.`;
    throw new ApiError(404, message, { param: 'model', code: 'model_not_found' });
  }
  const lone = [rules.drafter, rules.expert].find((name) => api.configuration.models[name]?.sidecar === true);
  if (lone !== undefined) {
    throw badRequest(
      `'${shown(model)}' answers batches only: '${lone}' runs beside its workers, where nobody else asks it.`,
      {
        param: 'model',
        code: 'batch_only',
      },
    );
  }
  const problem = ENDPOINTS[url].problem(body);
  const param = problem?.param.replace(/^body\./, '') ?? null;
  if (problem?.code === 'streaming_unsupported') {
    throw badRequest(`${ENDPOINTS[url].name}: streaming is not supported.`, { param, code: 'unsupported_value' });
  }
  if (param !== null) throw missingParameter(param);
  if (deeperThan(body, LIMITS.jsonDepth)) {
    throw badRequest(`The body is nested deeper than ${LIMITS.jsonDepth} levels.`);
  }
  const now = Date.now();
  return {
    v: JOB_VERSION,
    batch: `direct_${randomBytes(16).toString('hex')}`,
    document: 0,
    page: 0,
    place: 0,
    customId: 'direct',
    cascade: model,
    rules: { ...rules, annotate: true },
    endpoint: url,
    body,
    sampled: isTraced(api.telemetry.spans?.settings.sampling),
    fedAtMs: now,
    deadlineMs: now + LIMITS.directAnswerMs,
    tries: 0,
    waitingSinceMs: now,
    attempts: [],
    handedOverAtMs: null,
    draft: null,
  };
}

/** Answers at once are few, and somebody waits for them: their traces are kept, unless a share was asked for. */
function isTraced(sampling: Sampling | undefined): boolean {
  return sampling?.kind === 'share' ? Math.random() < sampling.share : true;
}
