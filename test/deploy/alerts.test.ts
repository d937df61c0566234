import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { ROOT } from '../support/compose.ts';
import { install } from '../support/packages.ts';

/** Every alert, by Prometheus itself: it fires when it should, and not when it should not. */

const run = promisify(execFile);

type Rule = { readonly alert: string; readonly expr: string };
type Rules = { readonly groups: readonly { readonly rules: readonly Rule[] }[] };

/** Series by their names, with values each minute as promtool has them: `1x40` is 1 and forty times more of it. */
type Series = Readonly<Record<string, string>>;
type Case = { readonly fires: Series; readonly rests: Series };

const documents = (failed: string, completed: string): Series => ({
  'cascade_documents_total{cascade="a",tier_final="expert",outcome="failed"}': failed,
  'cascade_documents_total{cascade="a",tier_final="draft",outcome="completed"}': completed,
});
const calls = (failed: string, answered: string): Series => ({
  'gen_ai_client_operation_duration_count{gen_ai_request_model="m",error_type="500"}': failed,
  'gen_ai_client_operation_duration_count{gen_ai_request_model="m"}': answered,
});
const answers = (broken: string, sound: string): Series => ({
  'http_server_request_duration_count{http_response_status_code="503"}': broken,
  'http_server_request_duration_count{http_response_status_code="200"}': sound,
});
const waits = (inFlight: string, gate: string): Series => ({
  'cascade_queue_depth{queue="q",state="waiting"}': '9x60',
  'cascade_in_flight{queue="q",instance="1"}': '0x60',
  'cascade_in_flight{queue="q",instance="2"}': inFlight,
  'cascade_gate_closed{queue="q"}': gate,
});
const memory = (used: string, limit: string): Series => ({
  cascade_redis_memory: used,
  cascade_redis_memory_limit: limit,
});

const CASES: Readonly<Record<string, Case>> = {
  SpillwayNoLeader: {
    fires: { 'cascade_leader{instance="1"}': '0x60', 'cascade_leader{instance="2"}': '0x60' },
    rests: { 'cascade_leader{instance="1"}': '0x60', 'cascade_leader{instance="2"}': '1x60' },
  },
  SpillwayApiGone: {
    fires: { 'up{job="api",instance="1"}': '0x60' },
    rests: { 'up{job="api",instance="1"}': '0x60', 'up{job="api",instance="2"}': '1x60' },
  },
  SpillwayNobodyWorks: { fires: waits('0x60', '0x60'), rests: waits('1x60', '0x60') },
  SpillwayGateClosed: {
    fires: { 'cascade_gate_closed{queue="q"}': '1x60' },
    rests: { 'cascade_gate_closed{queue="q"}': '0x60' },
  },
  // Feeding rests about 60 %.
  SpillwayRedisNearlyFull: { fires: memory('590 601 589 600 590x60', '1000x60'), rests: memory('500x60', '1000x60') },
  SpillwayRedisLostOften: {
    fires: {
      'cascade_recoveries_total{instance="1"}': '0x20 1x10 2x60',
      'cascade_recoveries_total{instance="2"}': '0x25 2x60',
    },
    rests: { 'cascade_recoveries_total{instance="1"}': '0x20 1x60' },
  },
  SpillwayTroubles: {
    fires: { 'cascade_troubles_total{step="seal"}': '0+1x60' },
    rests: { 'cascade_troubles_total{step="seal"}': '0x20 1x60' },
  },
  SpillwayDocumentsFail: { fires: documents('0+1x60', '0+9x60'), rests: documents('0+1x60', '0+99x60') },
  SpillwayEscalatesTooMuch: { fires: documents('0+9x60', '0+1x60'), rests: documents('0+1x60', '0+9x60') },
  SpillwayModelCallsFail: { fires: calls('0+3x60', '0+7x60'), rests: calls('0+1x60', '0+9x60') },
  SpillwayBatchLate: { fires: { cascade_window_used: '0.9x60' }, rests: { cascade_window_used: '0.7x60' } },
  SpillwayApiErrors: { fires: answers('0+5x60', '0+95x60'), rests: answers('0+1x60', '0+99x60') },
  SpillwaySpansDropped: {
    fires: { 'otel_sdk_processor_span_processed_total{error_type="queue_full"}': '0+1x60' },
    rests: { otel_sdk_processor_span_processed_total: '0+1x60' },
  },
};

test('every alert fires when it should, and not when it should not', async (context) => {
  const lacking = await install(['prometheus'], ['promtool']);
  if (lacking !== null) return context.skip(lacking);
  const text = await readFile(join(ROOT, 'k8s/components/monitoring/alerts.yaml'), 'utf8');
  const { spec } = parse(text) as { spec: Rules };
  const alerts = spec.groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));
  assert.deepEqual(Object.keys(CASES).toSorted(), alerts.toSorted());
  const directory = await mkdtemp(join(tmpdir(), 'spillway-alerts-'));
  context.after(() => rm(directory, { recursive: true, force: true }));
  await writeFile(join(directory, 'rules.json'), JSON.stringify(spec));
  const one = (alert: string, series: Series, firing: number) => ({
    name: `${alert} ${firing === 1 ? 'fires' : 'rests'}`,
    interval: '1m',
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    promql_expr_test: [
      {
        expr: `count(count(ALERTS{alertname="${alert}",alertstate="firing"})) or vector(0)`,
        eval_time: '50m',
        exp_samples: [{ labels: '{}', value: firing }],
      },
    ],
  });
  const tests = Object.entries(CASES).flatMap(([alert, { fires, rests }]) => [
    one(alert, fires, 1),
    one(alert, rests, 0),
  ]);
  // A gate that is closed is nobody's idleness.
  tests.push(one('SpillwayNobodyWorks', waits('0x60', '1x60'), 0));
  const path = join(directory, 'tests.json');
  await writeFile(path, JSON.stringify({ rule_files: ['rules.json'], evaluation_interval: '1m', tests }));
  await run('promtool', ['test', 'rules', path]).catch((error: { stdout?: string; stderr?: string }) =>
    assert.fail(`${error.stdout ?? ''}${error.stderr ?? ''}`),
  );
});
