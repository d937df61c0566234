import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { openStageModel, type StageModel } from '@spillway/cascade';
import {
  readConfiguration,
  readResultLine,
  resultOf,
  roleOf,
  snapshotRules,
  type CascadeDocument,
  type CascadeRules,
  type Ending,
  type ResultLine,
} from '@spillway/core';

/** Two model servers, and how the cascade `test` asks them. */
type TwoStages = {
  readonly small: string;
  readonly large: string;
  /** More keys of the model `large`, and of the cascade: YAML in flow style, each behind a comma. */
  readonly ofLarge?: string;
  readonly ofCascade: string;
  readonly shadow?: boolean;
};

type OpenStages = {
  readonly rules: CascadeRules;
  readonly models: readonly [StageModel, StageModel];
  /** What the models told once. */
  readonly notices: unknown[];
};

/** Opens the models of a cascade of two stages, without queues; closed with the test. */
export function openStages(
  t: TestContext,
  { small, large, ofLarge = '', ofCascade, shadow = false }: TwoStages,
): OpenStages {
  const yaml = `models:
  small: { base_url: "${small}", model: s }
  large: { base_url: "${large}", model: l${ofLarge} }
cascades: { test: { drafter: small, expert: large, accept_at: 0.8${ofCascade} } }`;
  const { rules, models, notices } = openCascade(t, yaml, shadow);
  const [first, second] = models;
  assert.ok(first !== undefined && second !== undefined);
  return { rules, models: [first, second], notices };
}

/** Opens the models of the stages of the cascade `test`, without queues; closed with the test. */
export function openCascade(
  t: TestContext,
  yaml: string,
  shadow = false,
): Omit<OpenStages, 'models'> & { readonly models: readonly StageModel[] } {
  const read = readConfiguration(yaml);
  assert.ok(read.kind === 'valid', JSON.stringify(read));
  const { configuration } = read;
  const rules = snapshotRules(configuration, new Map(), shadow)['test'] ?? assert.fail();
  const notices: unknown[] = [];
  const open = (stage: number): StageModel => {
    const name = rules.stages[stage]?.model ?? assert.fail();
    const spec = configuration.models[name] ?? assert.fail();
    const onNotice = (notice: unknown): void => void notices.push(notice);
    const options = { role: roleOf(rules, stage), configuration, propagates: false, onCall: () => undefined, onNotice };
    return openStageModel({ name, spec, apiKey: null }, options);
  };
  const models = rules.stages.map((_, stage) => open(stage));
  t.after(() => Promise.all(models.map((model) => model[Symbol.asyncDispose]())));
  return { rules, models, notices };
}

/** The line of a document that has come to its end, and the text that it delivers. */
export function delivered(document: CascadeDocument, ending: Ending): { line: ResultLine; text: string | null } {
  const line = readResultLine(resultOf(document, ending).line.text) ?? assert.fail();
  const body = line.response?.body as { choices?: { message: { content: string | null } }[] } | undefined;
  return { line, text: body?.choices?.[0]?.message.content ?? null };
}
