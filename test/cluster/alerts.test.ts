import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { selectionsOf } from '../support/promql.ts';
import { lacksPrometheus, readAlertRules } from '../support/prometheus.ts';

/**
 * Every alert, by Prometheus itself: it fires when it should, in its own namespace, and not when it should not. With the
 * metrics of running processes they are checked in test/observability.
 */

const run = promisify(execFile);

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

/** A process of a service that says what it is. */
const seen = (service: string, values = '1x60'): Series => ({ [`spillway_build_info{service="${service}"}`]: values });

const CASES: Readonly<Record<string, Case>> = {
  SpillwayNoLeader: {
    fires: { ...seen('dispatcher'), 'cascade_leader{instance="1"}': '0x60', 'cascade_leader{instance="2"}': '0x60' },
    quiet: { ...seen('dispatcher'), 'cascade_leader{instance="1"}': '0x60', 'cascade_leader{instance="2"}': '1x60' },
  },
  // Its last answer is a while ago; other services are there.
  SpillwayApiGone: {
    fires: { ...seen('dispatcher'), ...seen('api', '1x20 stale') },
    quiet: { ...seen('dispatcher'), ...seen('api') },
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
    quiet: { 'cascade_recoveries_total{instance="1"}': '0x25 1x5 2x60' },
  },
  SpillwayStorageFull: { fires: { cascade_storage_full: '1x60' }, quiet: { cascade_storage_full: '0x20 1 0x60' } },
  // The leading dispatcher and the API see the same disk.
  SpillwayStorageNearlyFull: {
    fires: {
      'cascade_storage_free_ratio{job="api"}': '0.09x60',
      'cascade_storage_free_ratio{job="dispatcher"}': '0.09x60',
    },
    quiet: { 'cascade_storage_free_ratio{job="api"}': '0.11x60' },
  },
  SpillwayWorkersStuck: {
    fires: {
      'cascade_worker_replacements_total{tier="drafter.m",instance="1"}': '0x30 1x60',
      'cascade_worker_replacements_total{tier="drafter.m",instance="2"}': '0x30 1x5 2x60',
    },
    quiet: {
      'cascade_worker_replacements_total{tier="drafter.m"}': '0x30 1x5 2x60',
      'cascade_worker_replacements_total{tier="expert.m"}': '0x30 1x60',
    },
  },
  SpillwayStepsFail: {
    fires: { 'cascade_step_failures_total{step="seal"}': '0x40 1 2 3 4 5 6x60' },
    quiet: { 'cascade_step_failures_total{step="seal"}': '0x40 1 2 3 4 5x60' },
  },
  SpillwayDocumentsFail: { fires: documents('0+1x60', '0+9x60'), quiet: documents('0+1x60', '0+99x60') },
  SpillwayEscalatesTooMuch: {
    fires: flow({ escalated: ['0+9x60', '0+1x60'], answered: ['0+1x60', '0+8x60', '0+1x60'] }),
    quiet: flow({ escalated: ['0+7x60', '0+5x60'], answered: ['0+3x60', '0+2x60', '0+5x60'] }),
  },
  SpillwayModelCallsFail: { fires: calls('0+3x60', '0+7x60'), quiet: calls('0+1x60', '0+9x60') },
  SpillwayBatchLate: { fires: { cascade_window_used_ratio: '0.9x60' }, quiet: { cascade_window_used_ratio: '0.7x60' } },
  SpillwayPromiseAtRisk: {
    fires: { cascade_audit_alarms: '0x40 1x60' },
    quiet: { cascade_audit_alarms: '0x30 1x9 0x60' },
  },
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

/** A series' name with the namespace beside its labels. */
const within = (namespace: string, series: Series): Series =>
  Object.fromEntries(
    Object.entries(series).map(([name, values]) => {
      const [metric = '', labels = ''] = name.split('{');
      return [`${metric}{namespace="${namespace}"${labels === '' ? '}' : `,${labels}`}`, values];
    }),
  );

/** In which namespaces an alert fires in the end. */
const one = (alert: string, series: Series, firing: readonly string[]) => ({
  name: `${alert} in ${firing.join(', ') || 'no namespace'}`,
  interval: '1m',
  input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
  promql_expr_test: [
    {
      expr: `group by (namespace) (ALERTS{alertname="${alert}",alertstate="firing"})`,
      eval_time: '50m',
      exp_samples: firing.map((namespace) => ({ labels: `{namespace="${namespace}"}`, value: 1 })),
    },
  ],
});

test('every alert fires when it should, in its own namespace, and not when it should not', async (context) => {
  const lacking = await lacksPrometheus();
  if (lacking !== null) return context.skip(lacking);
  const rules = await readAlertRules();
  const alerts = rules.groups.flatMap((group) => group.rules.map(({ alert }) => alert));
  assert.deepEqual(Object.keys(CASES).toSorted(), alerts.toSorted());
  const directory = await mkdtemp(join(tmpdir(), 'spillway-alerts-'));
  context.after(() => rm(directory, { recursive: true, force: true }));
  const production = (alert: string, series: Series, fires: boolean) =>
    one(alert, within('production', series), fires ? ['production'] : []);
  const tests = Object.entries(CASES).flatMap(([alert, { fires, quiet }]) => [
    // What is well elsewhere hides nothing, and what is not is nobody else's.
    one(alert, { ...within('production', fires), ...within('staging', quiet) }, ['production']),
    one(alert, { ...within('production', quiet), ...within('staging', quiet) }, []),
    // Where there is only one, there is no such label.
    one(alert, quiet, []),
  ]);
  // Behind an open circuit breaker nobody is idle.
  tests.push(production('SpillwayNobodyWorks', waits('0x60', '1x60'), false));
  // A later stage escalates too much, though few documents reach it; and one that never accepts has no answers to count.
  const late = flow({ escalated: ['0+2x60', '0+2x60'], answered: ['0+8x60', '0x60', '0+2x60'] });
  tests.push(production('SpillwayEscalatesTooMuch', late, true));
  const never = {
    'cascade_escalations_total{cascade="a",stage="1",reason="no_logprobs"}': '0+1x60',
    'cascade_documents_total{cascade="a",final_stage="2",outcome="completed"}': '0+1x60',
  };
  tests.push(production('SpillwayEscalatesTooMuch', never, true));
  for (const alert of ['SpillwayNoLeader', 'SpillwayApiGone']) {
    const all = { ...seen('api'), ...seen('dispatcher'), cascade_leader: '1x60' };
    const gone = { ...seen('api', '1x20 stale'), ...seen('dispatcher', '1x20 stale'), cascade_leader: '1x20 stale' };
    // All of it is gone, and another one still there; or it never was, as far as Prometheus knows.
    tests.push(one(alert, { ...within('production', gone), ...within('staging', all) }, ['production']));
    tests.push({
      ...one(alert, { up: '0x60' }, []),
      promql_expr_test: [
        {
          expr: `count(ALERTS{alertname="${alert}",alertstate="firing"})`,
          eval_time: '50m',
          exp_samples: [{ labels: '{}', value: 1 }],
        },
      ],
    });
    // Model servers that are shared are no Spillway without a dispatcher.
    tests.push(one(alert, { ...within('production', all), ...within('models', seen('playground')) }, []));
  }
  // Each rule by itself: promtool evaluates all rules of a file for each test.
  const paths = rules.groups.flatMap((group) =>
    group.rules.map(async (rule) => {
      const name = join(directory, rule.alert);
      const own = tests.filter(({ name: title }) => title.startsWith(`${rule.alert} `));
      await writeFile(`${name}.rules.json`, JSON.stringify({ groups: [{ name: rule.alert, rules: [rule] }] }));
      const content = { rule_files: [`${rule.alert}.rules.json`], evaluation_interval: '1m', tests: own };
      await writeFile(`${name}.json`, JSON.stringify(content));
      return `${name}.json`;
    }),
  );
  await run('promtool', ['test', 'rules', ...(await Promise.all(paths))]).catch(
    (error: { stdout?: string; stderr?: string }) => assert.fail(`${error.stdout ?? ''}${error.stderr ?? ''}`),
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
