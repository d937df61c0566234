import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resultLine, type Report, type StageAnnotation } from '@spillway/core';
import { Collector } from '../support/collector.ts';
import { System, until, type ResultLine } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

/** A prompt, then what must become of each stage that it reaches. */
const PASSAGES: readonly [prompt: string, ...outcomes: StageAnnotation['outcome'][]][] = [
  ['a', 'accepted'],
  ['[[drafter unsure]] b', 'escalated', 'accepted'],
  ['[[drafter unsure]] [[middle unsure]] c', 'escalated', 'escalated', 'answered'],
  ['[[drafter status 500]] d', 'failed', 'accepted'],
  ['[[drafter unsure]] [[middle status 400]] e', 'escalated', 'failed', 'answered'],
  ['[[drafter unsure]] [[middle status 500 x1]] f', 'escalated', 'accepted'],
  ['[[drafter unsure]] [[middle unsure]] [[expert status 500]] g', 'escalated', 'escalated', 'failed'],
  ['[[drafter truncate]] [[middle nologprobs]] [[expert reset]] h', 'escalated', 'escalated', 'failed'],
];

/** What a prompt calls the stages' models. */
const SCRIPTED = ['drafter', 'middle', 'expert'] as const;
const MODELS = ['small', 'medium', 'large'] as const;
const ROLES = ['drafter', 'drafter', 'expert'] as const;

function checkLine(line: ResultLine): void {
  const { cascade } = resultLine.parse(line);
  const [prompt, ...outcomes] = PASSAGES[Number(line.custom_id.slice(4))] ?? [];
  assert.ok(cascade !== undefined);
  assert.deepEqual(
    cascade.stages.map(({ outcome }) => outcome),
    outcomes,
    prompt,
  );
  for (const [at, stage] of cascade.stages.entries()) {
    assert.deepEqual([stage.model, stage.role, stage.ask], [MODELS[at], ROLES[at], 'answer']);
    assert.equal(stage.accept_at, at < 2 ? 0.8 : null);
    // What is about the moment is asked about once more: `max_attempts` is 2.
    const isAskedAgain = new RegExp(`\\[\\[${SCRIPTED[at]} (status 500|reset)`).test(prompt ?? '');
    assert.equal(stage.attempts, isAskedAgain ? 2 : 1, prompt);
    assert.equal(stage.wait_ms.hand_off === null, at === cascade.stages.length - 1);
  }
  const last = outcomes.length - 1;
  assert.deepEqual(
    [cascade.stage, cascade.model, cascade.role, cascade.escalated],
    [last + 1, MODELS[last], ROLES[last], last > 0],
  );
  assert.equal(cascade.wait_ms.sequential === null, last === 0);
}

test('three stages: documents end in each of them, fail in each of them, and are accounted for', async () => {
  await using collector = await Collector.start();
  await using system = await System.start({
    middle: {},
    models: {
      small: { max_attempts: 2, price: { input: 1, output: 1 } },
      medium: { max_attempts: 2, price: { input: 10, output: 10 } },
      large: { max_attempts: 2, price: { input: 100, output: 100 } },
    },
    env: {
      HEALTH_PORT: '0',
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_BSP_SCHEDULE_DELAY: '100',
    },
  });
  const submitted = await system.submit(PASSAGES.map(([prompt]) => prompt));
  const batch = await system.settled(submitted.id);
  const { output, errors } = await wholeResults(system, batch, docIds(PASSAGES.length));
  for (const line of [...output, ...errors]) checkLine(line);
  assert.equal(errors.length, 2);

  const report: Report = await system.client.get(`/batches/${batch.id}/report`);
  assert.deepEqual(
    report.stages.map(({ cascade, stage, model, role, documents }) => [cascade, stage, model, role, documents]),
    [
      ['test', 1, 'small', 'drafter', { accepted: 1, escalated: 7, skipped: 0, answered: 0, failed: 1, kept: 0 }],
      ['test', 2, 'medium', 'drafter', { accepted: 3, escalated: 4, skipped: 0, answered: 0, failed: 1, kept: 0 }],
      ['test', 3, 'large', 'expert', { accepted: 0, escalated: 0, skipped: 0, answered: 2, failed: 2, kept: 0 }],
    ],
  );
  const cost = report.stages.reduce((sum, { usd }) => sum + usd, 0);
  assert.ok(Math.abs(report.counterfactuals.cascade.usd - cost) < 1e-9, 'the stages make up the cost');
  for (const [at, price] of [1, 10, 100].entries()) {
    const { usd = 0, input_tokens: read = 0, output_tokens: written = 0 } = report.stages[at] ?? {};
    assert.ok(usd > 0 && Math.abs(usd - ((read + written) * price) / 1e6) < 1e-9);
  }

  await checkTraces(collector, batch.id);
  await checkMetrics(system);
});

/** Each document's trace has a wait and work for every stage that it reached. */
async function checkTraces(collector: Collector, batch: string): Promise<void> {
  const roots = () =>
    [...collector.traces().values()].flatMap((spans) => {
      const root = spans.find(({ name }) => name === 'document');
      return root?.attributes['cascade.batch.id'] === batch ? [{ root, spans }] : [];
    });
  await until(async () => roots().length === PASSAGES.length);
  for (const { root, spans } of roots()) {
    const [prompt, ...outcomes] = PASSAGES[Number(String(root.attributes['cascade.document.id']).slice(4))] ?? [];
    const worked = spans.filter(({ name }) => name === 'draft' || name === 'expert');
    const stages = new Set(worked.map(({ attributes }) => attributes['cascade.stage']));
    assert.deepEqual(
      [...stages].toSorted((left, right) => Number(left) - Number(right)),
      outcomes.map((_, at) => at + 1),
      prompt,
    );
    assert.equal(root.attributes['cascade.final_stage'], outcomes.length);
    assert.equal(
      root.events.some(({ name }) => name === 'final stage begins'),
      outcomes.length > 1,
    );
    for (const { attributes } of worked) {
      assert.equal(attributes['cascade.model'], MODELS[Number(attributes['cascade.stage']) - 1]);
    }
  }
}

async function checkMetrics(system: System): Promise<void> {
  const shown = await Promise.all(
    system.services.map(async (service) => {
      const { healthPort } = await service.ready();
      return await (await fetch(`http://127.0.0.1:${String(healthPort)}/metrics`)).text();
    }),
  );
  const text = shown.join('\n');
  const has = (pattern: RegExp): void => assert.ok(pattern.test(text), `no metric like ${String(pattern)}`);
  for (const tier of ['drafter.small', 'drafter.medium', 'expert.large']) {
    has(new RegExp(`cascade_queue_wait_seconds_count\\{tier="${tier}"`));
    has(new RegExp(`gen_ai_client_operation_duration_seconds_count\\{[^}]*tier="${tier}"`));
  }
  for (const stage of ['1', '2', '3'])
    has(new RegExp(`cascade_documents_total\\{[^}]*final_stage="${stage}"[^}]*\\} [1-9]`));
  has(/cascade_escalations_total\{[^}]*stage="2",reason="drafter_rejected"\} [1-9]/);
}

test('a process for each tier: a stage that is down holds only what waits for it, and is known to the autoscaler', async () => {
  await using system = await System.create({ middle: {}, env: { HEALTH_PORT: '0' } });
  const [api] = await Promise.all([
    system.run('api'),
    system.run('dispatcher'),
    system.run('drafter', { SPILLWAY_MODELS: 'small' }),
    system.run('expert'),
  ]);
  await system.admitted();
  const prompts = Array.from({ length: 120 }, (_, at) =>
    at % 3 === 0 ? `${at}` : at % 3 === 1 ? `[[drafter unsure]] ${at}` : `[[drafter unsure]] [[middle unsure]] ${at}`,
  );
  const { id } = await system.submit(prompts);
  await system.settled(id, (batch) => batch.request_counts?.completed === 40);
  const { healthPort } = await api.ready();
  const signal = async (tier: string): Promise<{ required: number; backlog: number }> =>
    (await (await fetch(`http://127.0.0.1:${String(healthPort)}/internal/scaling/${tier}`)).json()) as never;
  await until(async () => (await signal('drafter/medium')).backlog === 80);
  assert.equal((await signal('drafter/small')).backlog, 0);
  assert.ok((await signal('expert/large')).backlog > 0, 'what will come over from the middle');
  const middle = await system.run('drafter', { SPILLWAY_MODELS: 'medium' });
  // Half of its work is done by one process, the rest by the one that comes after its death.
  await system.middleModel.waitForRequests(30);
  await middle.kill();
  await system.run('drafter', { SPILLWAY_MODELS: 'medium' });
  const batch = await system.settled(id);
  const { output } = await wholeResults(system, batch, docIds(prompts.length));
  const ended = [1, 2, 3].map((stage) => output.filter(({ cascade }) => cascade?.stage === stage).length);
  assert.deepEqual(ended, [40, 40, 40]);
});

test('stages whose model is known not to take a document are skipped, each with its reason', async () => {
  await using system = await System.start({
    middle: {},
    models: { small: { context_tokens: 50 }, medium: { context_tokens: 2_000 } },
  });
  const prompts = ['short', `[[confident]] ${'long '.repeat(200)}`, `[[confident]] ${'very long '.repeat(4_000)}`];
  const { id } = await system.submit(prompts);
  const batch = await system.settled(id);
  const { output } = await wholeResults(system, batch, docIds(3));
  assert.deepEqual(
    output.map(({ cascade }) => cascade?.stages.map(({ outcome, reason }) => [outcome, reason])),
    [
      [['accepted', null]],
      [
        ['skipped', 'too_long'],
        ['accepted', null],
      ],
      [
        ['skipped', 'too_long'],
        ['skipped', 'too_long'],
        ['answered', null],
      ],
    ],
  );
  assert.equal(system.drafterModel.received, 1);
  assert.equal(system.middleModel.received, 1);
});
