import { randomBytes } from 'node:crypto';
import {
  deeperThan,
  directIdOf,
  ENDPOINTS,
  isJsonObject,
  LIMITS,
  newJob,
  skipUnfit,
  snapshotRules,
  type CascadeDocument,
  type CascadeRules,
  type Configuration,
  type EndpointUrl,
  type JsonObject,
} from '@spillway/core';
import type { Calibrations, Sampling } from '@spillway/runtime';
import { badRequest, invalidType, missingParameter, noSuchModel, shown } from '../errors.ts';

export type DirectDocumentOptions = {
  readonly configuration: Configuration;
  readonly calibrations: Calibrations;
  /** Which documents' traces are kept; undefined: none is. */
  readonly sampling: Sampling | undefined;
};

type DirectJob = {
  readonly url: EndpointUrl;
  readonly cascade: string;
  readonly rules: CascadeRules;
  readonly body: JsonObject;
  readonly sampled: boolean;
  readonly limitMs: number;
};

/** A request that is to be answered at once, as a document of the cascade that it names. */
export function readDirectDocument(
  url: EndpointUrl,
  body: unknown,
  { configuration, calibrations, sampling }: DirectDocumentOptions,
): CascadeDocument {
  if (!isJsonObject(body)) throw badRequest('The body must be a JSON object.', { code: 'invalid_type' });
  const { model } = body;
  if (model === undefined || model === null) throw missingParameter('model');
  if (typeof model !== 'string') throw invalidType('model', 'a string', model);
  const all = snapshotRules(configuration, calibrations.current(), false);
  const rules = Object.hasOwn(all, model) ? all[model] : undefined;
  if (rules === undefined) throw noSuchModel(model, Object.keys(all));
  refuseSidecars(model, rules, configuration);
  const stream = body['stream'] ?? false;
  if (typeof stream !== 'boolean') throw invalidType('stream', 'a boolean', stream);
  const problem = ENDPOINTS[url].problem(body, { streams: true });
  if (problem !== null) throw missingParameter(problem.param.replace(/^body\./, ''));
  if (deeperThan(body, LIMITS.jsonDepth)) {
    throw badRequest(`The body is nested deeper than ${LIMITS.jsonDepth} levels.`);
  }
  return directJob({ url, cascade: model, rules, body, sampled: isTraced(sampling), limitMs: LIMITS.directAnswerMs });
}

/** A document that no batch has, as it goes through its cascade at once. */
export function directJob({ url, cascade, rules, body, sampled, limitMs }: DirectJob): CascadeDocument {
  const nowMs = Date.now();
  const job = newJob({
    batch: directIdOf(randomBytes(16)),
    document: 0,
    page: 0,
    place: 0,
    customId: 'direct',
    cascade,
    endpoint: url,
    body,
    sampled,
    enqueuedAtMs: nowMs,
    deadlineMs: nowMs + limitMs,
  });
  const annotated = { ...rules, annotate: true };
  return { job: skipUnfit({ job, rules: annotated }, nowMs), rules: annotated };
}

/** A model server beside its workers is reached by them only. */
function refuseSidecars(cascade: string, rules: CascadeRules, { models }: Configuration): void {
  const sidecar = rules.stages.find(({ model }) => models[model]?.sidecar === true);
  if (sidecar === undefined) return;
  const message = `'${shown(cascade)}' answers batches only: '${sidecar.model}' runs beside its workers, where nobody else asks it.`;
  throw badRequest(message, { param: 'model', code: 'batch_only' });
}

/** Direct answers are few, and somebody waits for them: their traces are kept, unless a share was asked for. */
function isTraced(sampling: Sampling | undefined): boolean {
  if (sampling === undefined) return false;
  return sampling.kind === 'share' ? Math.random() < sampling.share : true;
}
