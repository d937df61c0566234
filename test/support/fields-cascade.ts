import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { runStage } from '@spillway/cascade';
import {
  nextStageJob,
  NOTHING_FOUND,
  type CascadeDocument,
  type CascadeRules,
  type Draft,
  type FieldRules,
  type JsonObject,
  type ModelFindings,
  type SignalSpec,
} from '@spillway/core';
import { jobOf } from './jobs.ts';
import { startModelServer, type ModelRequest, type Scripted } from './model-server.ts';
import { delivered, openStages } from './stage-models.ts';

/** The tokens of a draft with their log-probs, as a drafter gives them: here a token is whatever a test says. */
export type Tokens = readonly (readonly [text: string, logprob: number])[];

export const SURE = -0.001;

/** A draft of three values, of which the total is unsure. */
export const DRAFT: Tokens = [
  ['{"type": "', SURE],
  ['invoice', SURE],
  ['", "currency": "', SURE],
  ['GBP', SURE],
  ['", "total": "', SURE],
  ['70.15', -1],
  ['"}', SURE],
];

export type Setting = {
  readonly draft?: Tokens;
  readonly expert: (request: ModelRequest) => Scripted;
  readonly body?: JsonObject;
  readonly found?: Partial<ModelFindings>;
  readonly more?: string;
  readonly shadow?: boolean;
  readonly ask?: string;
  /** So many documents one after the other; the last one is told of. */
  readonly times?: number;
  /** Makes something else of a draft that was handed off. */
  readonly written?: (draft: Draft) => Draft;
  /** What drafts are judged by as a manifest of before may say it. */
  readonly signal?: SignalSpec;
  /** What values of drafts have of their own. */
  readonly fields?: FieldRules;
};

const drafted = (tokens: Tokens): Scripted => ({
  kind: 'completion',
  text: tokens.map(([text]) => text).join(''),
  logprobs: {
    content: tokens.map(([token, logprob]) => ({ token, logprob, bytes: [...Buffer.from(token)], top_logprobs: [] })),
  },
});

const judgedBy = (rules: CascadeRules, signal: SignalSpec): CascadeRules => ({
  ...rules,
  stages: rules.stages.map(({ judge, ...stage }) => ({
    ...stage,
    judge: judge === null ? null : { ...judge, confidence: { signal, calibration: null } },
  })),
});

const withFields = (rules: CascadeRules, fields: FieldRules): CascadeRules => ({
  ...rules,
  stages: rules.stages.map(({ judge, ...stage }) => ({
    ...stage,
    judge: judge === null ? null : { ...judge, fields },
  })),
});

/**
 * Runs a document through a drafter and an expert that is asked for fields; `jobBytes`: without the scores of values, which
 * are `scoreBytes`.
 */
export async function runFields(t: TestContext, { draft = DRAFT, expert, ...setting }: Setting) {
  const { body = {}, found, more = '', shadow = false, ask = 'fields', times = 1, written: change, signal } = setting;
  const small = await startModelServer({ role: 'drafter', answer: () => drafted(draft) });
  const large = await startModelServer({ role: 'expert', answer: expert });
  t.after(() => Promise.all([small, large].map((server) => server[Symbol.asyncDispose]())));
  const { models, notices, ...opened } = openStages(t, {
    small: small.baseURL,
    large: large.baseURL,
    ofCascade: `, ask: ${ask}${more}`,
    shadow,
  });
  const judged = signal === undefined ? opened.rules : judgedBy(opened.rules, signal);
  const rules = setting.fields === undefined ? judged : withFields(judged, setting.fields);
  models[1].know({ ...NOTHING_FOUND, ...found });
  const messages = [{ role: 'user', content: 'What is it?' }];
  let document: CascadeDocument = { rules, job: jobOf({ body: { model: 'test', messages, ...body } }) };
  let [jobBytes, scoreBytes] = [0, 0];
  let ended = 0;
  for (;;) {
    const model = models[document.job.stage] ?? assert.fail();
    const outcome = await runStage(model, document, { signal: new AbortController().signal, stalls: 0 });
    if (outcome.kind === 'settle' && (ended += 1) < times) {
      document = { rules, job: jobOf({ body: document.job.body }) };
      continue;
    }
    if (outcome.kind === 'settle') {
      const { line, text } = delivered(document, outcome.ending);
      const said = line.response?.body as { usage?: JsonObject };
      const stages = line.cascade?.stages ?? [];
      const { requests } = large;
      return { line, text, usage: said.usage, stages, last: stages.at(-1), requests, notices, jobBytes, scoreBytes };
    }
    assert.ok(outcome.kind === 'escalate', JSON.stringify(outcome));
    const written = JSON.stringify(outcome.job);
    const scores = outcome.job.drafts.reduce(
      (sum, { valueScores = [] }) => sum + JSON.stringify(valueScores).length,
      0,
    );
    jobBytes = Math.max(jobBytes, written.length - scores);
    scoreBytes = Math.max(scoreBytes, scores);
    const given = JSON.parse(written) as CascadeDocument['job'];
    const job = { ...given, drafts: given.drafts.map((one) => change?.(one) ?? one) };
    document = { rules, job: nextStageJob({ rules, job }, Date.now()) };
  }
}
