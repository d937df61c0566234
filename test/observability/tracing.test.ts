import assert from 'node:assert/strict';
import { test } from 'node:test';
import { batchTrace } from '@spillway/core';
import { Collector, type CollectedSpan } from '../support/collector.ts';
import { System, until } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

const envOf = (collector: Collector, more: Record<string, string> = {}) => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
  OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
  OTEL_BSP_SCHEDULE_DELAY: '100',
  ...more,
});

/** For documents that no expert is to take. */
async function startWithoutExpert(system: System): Promise<void> {
  await Promise.all([system.run('api'), system.run('dispatcher'), system.run('drafter')]);
  await system.admitted();
}

const rootOf = (spans: readonly CollectedSpan[]): CollectedSpan | undefined =>
  spans.find(({ name }) => name === 'document');

/** The document traces of a batch by custom_id. */
function documentsOf(collector: Collector, batch: string): Map<string, CollectedSpan[]> {
  const found = [...collector.traces().values()].flatMap((spans): [string, CollectedSpan[]][] => {
    const root = rootOf(spans);
    return root?.attributes['cascade.batch.id'] === batch
      ? [[String(root.attributes['cascade.document.id']), spans]]
      : [];
  });
  return new Map(found);
}

/** What must hold of every trace: one root, no orphans, children in order, never touching, and making up the root's time. */
function checkTree(spans: readonly CollectedSpan[]): CollectedSpan[] {
  const root = rootOf(spans);
  assert.ok(root !== undefined);
  assert.equal(root.parentSpanId, '');
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  assert.equal(byId.size, spans.length);
  const children = spans
    .filter((span) => span.parentSpanId === root.spanId)
    .toSorted((left, right) => left.startUs - right.startUs);
  for (const span of spans) {
    if (span === root) continue;
    const parent = byId.get(span.parentSpanId);
    assert.ok(parent !== undefined, `${span.name} has its parent`);
    assert.ok(span.startUs >= parent.startUs && span.endUs <= parent.endUs, `${span.name} lies in ${parent.name}`);
  }
  for (const [index, span] of children.entries()) {
    assert.ok(index === 0 || span.startUs > (children[index - 1]?.endUs ?? 0), 'a microsecond apart');
  }
  const sum = children.reduce((all, { startUs, endUs }) => all + endUs - startUs, 0);
  assert.ok(Math.abs(sum - (root.endUs - root.startUs)) <= 5_000, 'the parts make up the whole');
  return children;
}

/** What the spans say of stages: which one each wait and work is of, when the document was handed off, and the last began. */
function checkStages(spans: readonly CollectedSpan[], isEscalated: boolean): void {
  const placed = spans.filter(({ name }) => /^(queue\.wait .*|draft|expert)$/.test(name));
  for (const { name, attributes } of placed) {
    const isExpert = name.endsWith('expert');
    const [stage, model, tier] = isExpert ? [2, 'large', 'expert.large'] : [1, 'small', 'drafter.small'];
    const said = ['cascade.stage', 'cascade.model', 'cascade.tier'].map((key) => attributes[key]);
    assert.deepEqual(said, [stage, model, tier], name);
  }
  const eventsOf = (all: readonly CollectedSpan[], event: string) =>
    all.flatMap(({ name, events }) =>
      events.filter((one) => one.name === event).map(({ atUs }) => ({ on: name, atUs })),
    );
  const handedOff = eventsOf(spans, 'hand_off');
  const begins = eventsOf(spans, 'final stage begins');
  assert.deepEqual(
    [handedOff, begins].map((events) => events.map(({ on }) => on)),
    isEscalated ? [['draft'], ['document']] : [[], []],
  );
  const [begin] = begins;
  const expert = placed.find(({ name }) => name === 'expert');
  if (begin !== undefined) assert.ok(Math.abs(begin.atUs - (expert?.startUs ?? 0)) <= 1_000, 'the first expert call');
}

const named = (spans: readonly CollectedSpan[], prefix: string): CollectedSpan[] =>
  spans.filter(({ name }) => name.startsWith(prefix));

test('a batch with retries, a crash, an escalation and a failure: every document has its whole trace', async () => {
  await using collector = await Collector.start();
  await using system = await System.start({
    env: envOf(collector),
    drafter: { latencyMs: 10 },
    models: { small: { max_attempts: 3 }, large: { max_attempts: 2 } },
  });
  const prompts = [
    'a',
    '[[status 500 x1]] b',
    '[[drafter unsure]] c',
    '[[drafter unsure]] [[expert 400]] d',
    '[[hang]] e',
  ];
  const { id } = await system.submit(prompts);
  // Beside documents it is asked something small, so those are counted that hang.
  const hanging = (): number =>
    system.drafterModel.requests.filter(({ body }) => JSON.stringify(body).includes('[[hang]]')).length;
  await until(async () => hanging() === 1);
  const killed = system.services.find(({ name }) => name === 'drafter');
  await system.settled(id, (batch) => (batch.request_counts?.completed ?? 0) === 3);
  // What a killed process had not sent is gone with it.
  await until(async () => documentsOf(collector, id).size === 4);
  await killed?.kill();
  await system.run('drafter');
  await until(async () => hanging() === 2);
  system.drafterModel.release();
  const batch = await system.settled(id);
  await wholeResults(system, batch, docIds(5));
  await until(async () => documentsOf(collector, id).size === 5 && named(collector.spans, 'batch').length === 1);
  const documents = documentsOf(collector, id);
  for (const [customId, spans] of documents) {
    const children = checkTree(spans);
    // Whether it waits for a worker after that, or whose fault it was must be found out first, is a matter of luck.
    const delay = children.findIndex(
      ({ attributes: at }) => !['queue', undefined].includes(at['cascade.wait.reason'] as string),
    );
    const isLuck = (name: string, at: number): boolean => delay !== -1 && at > delay && name.endsWith('.wait drafter');
    const names = children.map(({ name }) => name).filter((name, at) => !isLuck(name, at));
    const before: Record<string, string[]> = {
      'doc-1': ['queue.wait drafter', 'draft', 'back_off.wait drafter', 'draft'],
      'doc-4': ['queue.wait drafter', 'lost_worker.wait drafter', 'draft'],
    };
    const wanted = before[customId] ?? ['queue.wait drafter', 'draft'];
    const isEscalated = customId === 'doc-2' || customId === 'doc-3';
    assert.deepEqual(names, isEscalated ? [...wanted, 'queue.wait expert', 'expert'] : wanted, customId);
    assert.deepEqual(rootOf(spans)?.links, [], 'Jaeger would take it for the root’s parent');
    assert.deepEqual(
      children.map(({ links }) => links.map(({ traceId }) => traceId)),
      children.map((_, at) => (at === 0 ? [batchTrace(id).traceId] : [])),
    );
    assert.ok(spans.every(({ attributes: at }) => at['cascade.batch.id'] === id && at['cascade.name'] === 'test'));
    const finalStage = isEscalated ? 2 : 1;
    assert.equal(rootOf(spans)?.attributes['cascade.final_stage'], finalStage, customId);
    assert.equal(rootOf(spans)?.attributes['cascade.tier.final'], isEscalated ? 'expert.large' : 'drafter.small');
    checkStages(spans, isEscalated);
    const workers = new Map(spans.map(({ name, instance }) => [name, instance]));
    assert.equal(workers.get('document'), undefined, 'whoever settles it is not who did it all');
    const drafters = system.services.filter(({ name }) => name === 'drafter').map(({ child }) => child.pid);
    assert.ok(drafters.some((pid) => workers.get('draft')?.endsWith(`:${pid}`)));
    for (const chat of named(spans, 'chat')) {
      const isExpert = chat.name === 'chat large';
      assert.equal(chat.kind, 3, 'CLIENT');
      assert.equal(chat.service, isExpert ? 'spillway-expert' : 'spillway-drafter');
      const server = isExpert ? system.expertModel : system.drafterModel;
      const sent = server.requests.map(({ headers }) => String(headers['traceparent']));
      assert.ok(sent.includes(`00-${chat.traceId}-${chat.spanId}-01`), 'the model server got the same span');
    }
  }
  const [retried, refused] = [documents.get('doc-1') ?? [], documents.get('doc-3') ?? []];
  assert.deepEqual(
    named(retried, 'draft').map(({ status }) => status.code === 2),
    [true, false],
  );
  assert.equal(rootOf(refused)?.status.code, 2);
  assert.equal(named(refused, 'chat large')[0]?.attributes['error.type'], '400');
  assert.ok(!JSON.stringify(collector.spans).includes('[['), 'no prompt is in any span');
  assert.equal(named(collector.spans, 'batch')[0]?.traceId, batchTrace(id).traceId);
});

test('a budget for each batch: an even share, and of the rest those that failed or were escalated', async () => {
  await using collector = await Collector.start();
  await using system = await System.start({ env: envOf(collector, { SPILLWAY_TRACES_PER_BATCH: '40' }) });
  const prompts = Array.from({ length: 600 }, (_, at) =>
    at < 2 ? `[[drafter unsure]] [[expert 400]] ${at}` : at % 3 === 0 ? `[[drafter unsure]] ${at}` : `${at}`,
  );
  const { id } = await system.submit(prompts);
  await system.settled(id);
  for (const service of system.services) if (service.name !== 'api') await service.stop();
  const documents = documentsOf(collector, id);
  const roots = [...documents.values()].map((spans) => rootOf(spans));
  const failed = roots.filter((root) => root?.status.code === 2);
  const escalated = roots.filter((root) => root?.attributes['cascade.escalated'] === true);
  assert.equal(failed.length, 2, 'all that failed');
  assert.ok(escalated.length >= 12, `${escalated.length} escalated`);
  assert.ok(documents.size > 15 && documents.size < 65, `${documents.size} traces for a budget of 40`);
  for (const spans of documents.values()) checkTree(spans);
  const flags = new Set(system.drafterModel.requests.map(({ headers }) => String(headers['traceparent']).slice(-2)));
  assert.ok(flags.has('00') && flags.has('01'), 'the model server learns which are kept');
});

test('the standard variables: protobuf, a sampler that is off, telemetry that is switched off', async () => {
  for (const [more, expected] of [
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' }, 'protobuf'],
    [{ OTEL_TRACES_SAMPLER: 'always_off' }, 'only the batch'],
    [{ OTEL_SDK_DISABLED: 'true' }, 'nothing'],
  ] as const) {
    await using collector = await Collector.start();
    await using system = await System.start({ env: envOf(collector, more) });
    const { id } = await system.submit(['a', '[[drafter unsure]] b']);
    await system.settled(id);
    for (const service of system.services) if (service.name !== 'api') await service.stop();
    const types = new Set(collector.bodies.map(({ type }) => type));
    if (expected === 'protobuf') {
      assert.deepEqual([...types], ['application/x-protobuf']);
      const all = Buffer.concat(collector.bodies.map(({ body }) => body)).toString('latin1');
      for (const name of ['queue.wait expert', 'chat large', 'spillway-drafter', id])
        assert.ok(all.includes(name), name);
    } else assert.equal(documentsOf(collector, id).size, 0);
    if (expected === 'nothing') {
      assert.equal(collector.bodies.length, 0);
      assert.equal(system.drafterModel.requests[0]?.headers['traceparent'], undefined);
    }
  }
});

test('a collector that is down, hangs or fails: work goes on, stopping too, and what is lost is counted', async () => {
  for (const trouble of ['down', 'hangs', 'fails'] as const) {
    await using collector = await Collector.start();
    if (trouble === 'hangs') collector.answer = () => undefined;
    if (trouble === 'fails') collector.answer = (response) => response.writeHead(400).end();
    const url = trouble === 'down' ? 'http://127.0.0.1:1' : collector.url;
    await using system = await System.create({
      env: envOf(collector, {
        OTEL_EXPORTER_OTLP_ENDPOINT: url,
        OTEL_BSP_MAX_QUEUE_SIZE: '8',
        OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '8',
        HEALTH_PORT: '0',
      }),
    });
    await startWithoutExpert(system);
    const { id } = await system.submit(Array.from({ length: 40 }, (_, at) => `${at}`));
    const batch = await system.settled(id);
    assert.equal(batch.request_counts?.completed, 40);
    const drafter = system.services.find(({ name }) => name === 'drafter');
    const port = (await drafter?.ready())?.['healthPort'];
    await until(async () => {
      const text = await (await fetch(`http://127.0.0.1:${String(port)}/metrics`)).text();
      return /otel_sdk_processor_span_processed_total\{[^}]*error_type="queue_full"[^}]*\} \d+/.test(text);
    });
    const started = performance.now();
    assert.equal(await drafter?.stop(), 0);
    assert.ok(performance.now() - started < 9_000);
  }
});

test('an answer at once has its trace too; a document that was begun when its batch was cancelled has it up to there', async () => {
  await using collector = await Collector.start();
  await using system = await System.create({ env: envOf(collector) });
  await startWithoutExpert(system);
  await system.client.chat.completions.create({
    model: 'test',
    messages: [{ role: 'user', content: '[[drafter unsure]] a' }],
  });
  await until(async () => named(collector.spans, 'document').length === 1);
  const [answered] = [...collector.traces().values()];
  assert.deepEqual(
    checkTree(answered ?? []).map(({ name }) => name),
    ['queue.wait drafter', 'draft', 'queue.wait expert', 'expert'],
  );

  const { id } = await system.submit(['[[drafter unsure]] a', '[[drafter unsure]] b']);
  await until(async () => (await system.redis.client.zcard('{test}:expert.large:prioritized')) === 2);
  await system.client.batches.cancel(id);
  await system.settled(id);
  await until(async () => documentsOf(collector, id).size === 2);
  for (const spans of documentsOf(collector, id).values()) {
    const names = checkTree(spans).map(({ name }) => name);
    assert.deepEqual(names, ['queue.wait drafter', 'draft', 'queue.wait expert']);
    assert.equal(rootOf(spans)?.status.message, 'batch_cancelled');
  }
});

/** Where a real Jaeger answers queries (`/api/v3`); it takes OTLP on port 4318 of the same host, or where the variable says. */
const jaeger = process.env['JAEGER_QUERY_URL'];
const jaegerOtlp =
  process.env['JAEGER_OTLP_URL'] ?? (jaeger === undefined ? '' : `http://${new URL(jaeger).hostname}:4318`);

test(
  'a real Jaeger shows the trace of an escalated document whole',
  { skip: jaeger === undefined && 'JAEGER_QUERY_URL is not set' },
  async () => {
    await using system = await System.start({
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: jaegerOtlp, OTEL_BSP_SCHEDULE_DELAY: '100' },
    });
    const { id } = await system.submit(['[[drafter unsure]] a']);
    await system.settled(id);
    const minute = (shift: number): string => new Date(Date.now() + shift * 60_000).toISOString();
    const asked = {
      service_name: 'spillway',
      operation_name: 'document',
      num_traces: '20',
      search_depth: '20',
      start_time_min: minute(-5),
      start_time_max: minute(5),
    };
    // Jaeger spelled its parameters like this up to 2.13 at least, and in camel case from some version on.
    const camel = (name: string): string => name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    const query = new URLSearchParams(
      Object.entries(asked).flatMap(([name, value]): [string, string][] => [
        [`query.${name}`, value],
        [`query.${camel(name)}`, value],
      ]),
    );
    type Span = { readonly traceId: string; readonly name: string; readonly attributes: unknown };
    type Found = {
      readonly result?: {
        readonly resourceSpans?: readonly { readonly scopeSpans: readonly { readonly spans: readonly Span[] }[] }[];
      };
    };
    let names: string[] = [];
    await until(async () => {
      const response = await fetch(`${jaeger ?? ''}/api/v3/traces?${query.toString()}`);
      const { result } = response.ok ? ((await response.json()) as Found) : { result: undefined };
      const spans = (result?.resourceSpans ?? []).flatMap(({ scopeSpans }) =>
        scopeSpans.flatMap((scope) => scope.spans),
      );
      const root = spans.find(({ name, attributes }) => name === 'document' && JSON.stringify(attributes).includes(id));
      names = spans.filter(({ traceId }) => traceId === root?.traceId).map(({ name }) => name);
      return names.length > 0;
    });
    assert.deepEqual(
      names.toSorted(),
      ['chat large', 'chat small', 'document', 'draft', 'expert', 'queue.wait drafter', 'queue.wait expert'].toSorted(),
    );
  },
);
