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
import { selectionsOf } from '../support/promql.ts';

/** Every alert, by Prometheus itself: it fires when it should, and not when it should not. */

const run = promisify(execFile);

type Rule = { readonly alert: string; readonly expr: string };
type Rules = { readonly groups: readonly { readonly rules: readonly Rule[] }[] };

/** Series by their names, with values each minute as promtool has them: `1x40` is 1 and forty times more of it. */
type Series = Readonly<Record<string, string>>;
type Case = { readonly fires: Series; readonly quiet: Series };

const documents = (failed: string, completed: string): Series => ({
  'cascade_documents_total{cascade="a",final_stage="2",outcome="failed"}': failed,
  'cascade_documents_total{cascade="a",final_stage="1",outcome="completed"}': completed,
});
/** A cascade of three stages: what each escalates, and what each answers. */
type Flow = { readonly escalated: readonly [string, string]; readonly answered: readonly [string, string, string] };
const flow = ({ escalated, answered }: Flow): Series => ({
  ...Object.fromEntries(
    escalated.map((values, index) => [
      `cascade_escalations_total{cascade="a",stage="${index + 1}",reason="low_confidence"}`,
      values,
    ]),
  ),
  ...Object.fromEntries(
    answered.map((values, index) => [
      `cascade_documents_total{cascade="a",final_stage="${index + 1}",outcome="completed"}`,
      values,
    ]),
  ),
});
const calls = (failed: string, answered: string): Series => ({
  'gen_ai_client_operation_duration_seconds_count{gen_ai_request_model="m",error_type="500"}': failed,
  'gen_ai_client_operation_duration_seconds_count{gen_ai_request_model="m"}': answered,
});
const answers = (broken: string, sound: string): Series => ({
  'http_server_request_duration_seconds_count{http_response_status_code="503"}': broken,
  'http_server_request_duration_seconds_count{http_response_status_code="200"}': sound,
});
const waits = (inFlight: string, breaker: string): Series => ({
  'cascade_queue_depth{tier="drafter.m",role="drafter",state="waiting"}': '9x60',
  'cascade_in_flight{tier="drafter.m",role="drafter",instance="1"}': '0x60',
  'cascade_in_flight{tier="drafter.m",role="drafter",instance="2"}': inFlight,
  'cascade_breaker_open{tier="drafter.m",role="drafter"}': breaker,
  // Another tier's work is not this one's.
  'cascade_in_flight{tier="expert.m",role="expert",instance="3"}': '1x60',
});
const memory = (used: string, limit: string): Series => ({
  cascade_redis_memory_bytes: used,
  cascade_redis_memory_limit_bytes: limit,
});

const CASES: Readonly<Record<string, Case>> = {
  SpillwayNoLeader: {
    fires: { 'cascade_leader{instance="1"}': '0x60', 'cascade_leader{instance="2"}': '0x60' },
    quiet: { 'cascade_leader{instance="1"}': '0x60', 'cascade_leader{instance="2"}': '1x60' },
  },
  SpillwayApiGone: {
    fires: { 'up{job="api",instance="1"}': '0x60' },
    quiet: { 'up{job="api",instance="1"}': '0x60', 'up{job="api",instance="2"}': '1x60' },
  },
  SpillwayNobodyWorks: { fires: waits('0x60', '0x60'), quiet: waits('1x60', '0x60') },
  SpillwayBreakerOpen: {
    fires: { 'cascade_breaker_open{tier="expert.m",role="expert"}': '1x60' },
    quiet: { 'cascade_breaker_open{tier="expert.m",role="expert"}': '0x60' },
  },
  // Enqueueing stops at 60 %, so memory stays about there.
  SpillwayRedisNearlyFull: { fires: memory('590 601 589 600 590x60', '1000x60'), quiet: memory('500x60', '1000x60') },
  SpillwayRedisLostOften: {
    fires: {
      'cascade_recoveries_total{instance="1"}': '0x20 1x10 2x60',
      'cascade_recoveries_total{instance="2"}': '0x25 2x60',
    },
    quiet: { 'cascade_recoveries_total{instance="1"}': '0x20 1x60' },
  },
  SpillwayStepsFail: {
    fires: { 'cascade_step_failures_total{step="seal"}': '0+1x60' },
    quiet: { 'cascade_step_failures_total{step="seal"}': '0x20 1x60' },
  },
  SpillwayDocumentsFail: { fires: documents('0+1x60', '0+9x60'), quiet: documents('0+1x60', '0+99x60') },
  SpillwayEscalatesTooMuch: {
    fires: flow({ escalated: ['0+9x60', '0+1x60'], answered: ['0+1x60', '0+8x60', '0+1x60'] }),
    quiet: flow({ escalated: ['0+7x60', '0+5x60'], answered: ['0+3x60', '0+2x60', '0+5x60'] }),
  },
  SpillwayModelCallsFail: { fires: calls('0+3x60', '0+7x60'), quiet: calls('0+1x60', '0+9x60') },
  SpillwayBatchLate: { fires: { cascade_window_used_ratio: '0.9x60' }, quiet: { cascade_window_used_ratio: '0.7x60' } },
  SpillwayApiErrors: { fires: answers('0+5x60', '0+95x60'), quiet: answers('0+1x60', '0+99x60') },
  SpillwayLoopStandsStill: {
    fires: { 'nodejs_eventloop_delay_max_seconds{job="api",instance="1"}': '0.01x48 1.5 0.01x60' },
    quiet: { 'nodejs_eventloop_delay_max_seconds{job="api",instance="1"}': '0.01x40 1.5 0.4x60' },
  },
  SpillwaySpansDropped: {
    fires: { 'otel_sdk_processor_span_processed_total{error_type="queue_full"}': '0+1x60' },
    quiet: { otel_sdk_processor_span_processed_total: '0+1x60' },
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
    name: `${alert} ${firing === 1 ? 'fires' : 'stays quiet'}`,
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
  const tests = Object.entries(CASES).flatMap(([alert, { fires, quiet }]) => [
    one(alert, fires, 1),
    one(alert, quiet, 0),
  ]);
  // Behind an open circuit breaker nobody is idle.
  tests.push(one('SpillwayNobodyWorks', waits('0x60', '1x60'), 0));
  // A later stage escalates too much, though few documents reach it; and one that never accepts has no answers to count.
  const late = flow({ escalated: ['0+2x60', '0+2x60'], answered: ['0+8x60', '0x60', '0+2x60'] });
  tests.push(one('SpillwayEscalatesTooMuch', late, 1));
  const never = {
    'cascade_escalations_total{cascade="a",stage="1",reason="no_logprobs"}': '0+1x60',
    'cascade_documents_total{cascade="a",final_stage="2",outcome="completed"}': '0+1x60',
  };
  tests.push(one('SpillwayEscalatesTooMuch', never, 1));
  const path = join(directory, 'tests.json');
  await writeFile(path, JSON.stringify({ rule_files: ['rules.json'], evaluation_interval: '1m', tests }));
  await run('promtool', ['test', 'rules', path]).catch((error: { stdout?: string; stderr?: string }) =>
    assert.fail(`${error.stdout ?? ''}${error.stderr ?? ''}`),
  );
});

test('a query expects of its metrics the labels that it picks and groups by, through label_replace too', () => {
  const query = 'sum by (a, made) (rate(x{b="1"}[5m]) or label_replace(y, "made", "$1", "source", "(.+)"))';
  assert.deepEqual(selectionsOf(query), [
    { metric: 'x', labels: ['b', 'a', 'made'] },
    { metric: 'y', labels: ['a', 'source'] },
  ]);
  assert.deepEqual(selectionsOf('label_replace(sum by (made) (y), "made", "$1", "source", "(.+)")'), [
    { metric: 'y', labels: ['made'] },
  ]);
});
