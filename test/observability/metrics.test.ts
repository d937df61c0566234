import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { KEYS } from '@spillway/core';
import { parse } from 'yaml';
import { install } from '../support/packages.ts';
import { selectionsOf, shownMetrics } from '../support/promql.ts';
import { System, until } from '../support/system.ts';

const run = promisify(execFile);
const monitoring = fileURLToPath(new URL('../../k8s/components/monitoring/', import.meta.url));

type Dashboard = { readonly panels: readonly { readonly title: string; readonly targets?: readonly Target[] }[] };
type Target = { readonly expr: string; readonly legendFormat: string };
type Rules = {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
};

const dashboard = JSON.parse(await readFile(join(monitoring, 'dashboard.json'), 'utf8')) as Dashboard;
const alerts = (parse(await readFile(join(monitoring, 'alerts.yaml'), 'utf8')) as { spec: Rules }).spec;
const targets = dashboard.panels.flatMap(({ title, targets: all = [] }) => all.map((target) => ({ title, ...target })));
const queryOf = (expr: string): string => expr.replaceAll('$__rate_interval', '5m');

let lacking: string | null = null;

before(async () => {
  lacking = await install(['prometheus'], ['promtool']);
});

/** What Prometheus itself says of whom it asks. */
const OF_PROMETHEUS = new Set(['up']);

/** What every process of a system shows, once all that can happen has happened. */
async function scrape(system: System): Promise<string[]> {
  const texts = system.services
    .filter(({ child }) => child.exitCode === null && child.signalCode === null)
    .map(async (service) => {
      const { healthPort } = await service.ready();
      const response = await fetch(`http://127.0.0.1:${String(healthPort)}/metrics`);
      assert.equal(response.status, 200);
      assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
      return await response.text();
    });
  return await Promise.all(texts);
}

/** What tells the values of a metric of documents, stages and tiers apart. */
const LABELS: Readonly<Record<string, readonly string[]>> = {
  cascade_documents_total: ['cascade', 'final_stage', 'outcome'],
  cascade_document_duration_seconds_count: ['cascade', 'final_stage'],
  cascade_sequential_wait_seconds_count: ['cascade'],
  cascade_escalations_total: ['cascade', 'reason', 'stage'],
  cascade_queue_wait_seconds_count: ['role', 'tier'],
  cascade_tokens_total: ['cascade', 'direction', 'role', 'tier'],
  cascade_cost_usd_total: ['cascade', 'role', 'tier'],
  cascade_wasted_cost_usd_total: ['cascade'],
  cascade_breaker_open: ['role', 'tier'],
  cascade_breaker_openings_total: ['role', 'tier'],
  cascade_queue_depth: ['role', 'state', 'tier'],
  cascade_in_flight: ['role', 'tier'],
  cascade_concurrency_limit: ['role', 'tier'],
  gen_ai_client_operation_duration_seconds_count: ['error_type', 'gen_ai_request_model', 'role', 'tier'],
};

test('every query of the dashboard and the alerts names metrics and labels that running processes show', async () => {
  await using system = await System.start({
    models: { large: { max_attempts: 2 } },
    env: {
      HEALTH_PORT: '0',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
      OTEL_BSP_MAX_QUEUE_SIZE: '1',
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '1',
    },
  });
  const prompts = ['a', '[[drafter unsure]] b', '[[drafter unsure]] [[expert 500]] c', '[[status 503 1 x1]] d'];
  const { id } = await system.submit([...prompts, '[[status 500 x1]] e']);
  await system.settled(id);
  // A breaker opens where there is no server.
  await system.expertModel.stop();
  const waiting = await system.submit(['[[drafter unsure]] g']);
  await until(async () => shownMetrics((await scrape(system)).join('\n')).has('cascade_breaker_openings_total'));
  await system.expertModel.restart();
  await system.settled(waiting.id);
  // A batch in trouble, and one in work so that its tiers are shown.
  const hurt = `batch_${'0'.repeat(32)}`;
  await system.redis.client.sadd('{test}:batches', hurt);
  await system.redis.client.hset(`{test}:batch:${hurt}`, {
    phase: 'open',
    total: 5,
    enqueued: 0,
    pages: 1,
    createdAtMs: 0,
    expiresAtMs: 9e15,
  });
  const manifest = join(system.directory, 'data', KEYS.manifest(hurt));
  await mkdir(dirname(manifest));
  await writeFile(manifest, '{');
  await system.submit(['[[hang]] f']);
  await until(async () => shownMetrics((await scrape(system)).join('\n')).has('cascade_queue_depth'));
  let text = '';
  let shown = new Map<string, Set<string>>();
  const lackingOf = (expr: string): string[] =>
    selectionsOf(queryOf(expr)).flatMap(({ metric, labels }) => {
      if (OF_PROMETHEUS.has(metric)) return [];
      return labels
        .filter((label) => !['le', 'job', 'instance'].includes(label) && shown.get(metric)?.has(label) !== true)
        .map((label) => `${metric}{${label}}`)
        .concat(shown.has(metric) ? [] : [metric]);
    });
  const queries = [
    ...targets.map(({ expr }) => expr),
    ...alerts.groups.flatMap(({ rules }) => rules.map(({ expr }) => expr)),
  ];
  assert.ok(queries.length > 40, `${queries.length} queries`);
  await until(async () => {
    text = (await scrape(system)).join('\n');
    shown = shownMetrics(text);
    return queries.every((expr) => lackingOf(expr).length === 0);
  }).catch(() => assert.deepEqual([...new Set(queries.flatMap(lackingOf))], []));
  for (const [metric, labels] of Object.entries(LABELS)) {
    assert.deepEqual([...(shown.get(metric) ?? [])].toSorted(), labels, metric);
  }
  assert.match(text, /^cascade_documents_total\{.*final_stage="1".*\} \d/m);
  assert.match(text, /^cascade_documents_total\{.*final_stage="2".*\} \d/m);
  assert.match(text, /^cascade_queue_wait_seconds_count\{.*tier="drafter\.small".*role="drafter".*\} \d/m);
  assert.match(text, /^cascade_queue_wait_seconds_count\{.*tier="expert\.large".*role="expert".*\} \d/m);
  assert.match(text, /^cascade_escalations_total\{.*stage="1".*reason="low_confidence".*\} \d/m);
  for (const { title, expr, legendFormat } of targets) {
    const grouped = new Set(selectionsOf(queryOf(expr)).flatMap(({ labels }) => labels));
    for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
      assert.ok(grouped.has(label), `${title}: ${label}`);
  }
});

test('promtool reads the alerts, the queries of the dashboard and what the processes show', async (context) => {
  if (lacking !== null) return context.skip(lacking);
  await using system = await System.start({ env: { HEALTH_PORT: '0' } });
  const { id } = await system.submit(['a', '[[drafter unsure]] b']);
  await system.settled(id);
  const rules = join(system.directory, 'alerts.json');
  await writeFile(rules, JSON.stringify(alerts));
  await run('promtool', ['check', 'rules', rules]);
  const asRules = targets.map(({ expr }, index) => ({ record: `query:${index}`, expr: queryOf(expr) }));
  const path = join(system.directory, 'queries.json');
  await writeFile(path, JSON.stringify({ groups: [{ name: 'dashboard', rules: asRules }] }));
  await run('promtool', ['check', 'rules', path]);
  for (const text of await scrape(system)) {
    const checked = run('promtool', ['check', 'metrics']);
    checked.child.stdin?.end(text);
    // It also complains of names that its own taste would have otherwise; what it cannot read it says so.
    const said = await checked.then(
      ({ stderr }) => stderr,
      (error: { stderr?: string }) => error.stderr ?? '',
    );
    assert.doesNotMatch(said, /error while linting|text format parsing error/);
  }
});
