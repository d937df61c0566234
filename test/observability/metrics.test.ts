import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { KEYS } from '@spillway/core';
import { queryOf, readingsOf, readPanels } from '../support/panels.ts';
import {
  checkAlerts,
  growing,
  lacksPrometheus,
  Prometheus,
  readAlertRules,
  still,
  type Scrape,
} from '../support/prometheus.ts';
import { selectionsOf, shownMetrics } from '../support/promql.ts';
import { metricsOf, scrape, valuesOf } from '../support/scrapes.ts';
import { System, until, type ResultLine } from '../support/system.ts';
import { knownOfTrouble, serviceOf, sum, type Known } from './known-readings.ts';

const panels = (await readPanels()).filter(({ expr }) => !expr.includes('gen_ai_server_'));
const rules = (await readAlertRules()).groups.flatMap((group) => group.rules);

/** What tells the values of a metric of documents, stages and tiers apart. */
const LABELS: Readonly<Record<string, readonly string[]>> = {
  cascade_documents_total: ['cascade', 'final_stage', 'outcome'],
  cascade_document_duration_seconds_count: ['cascade', 'final_stage'],
  cascade_sequential_wait_seconds_count: ['cascade'],
  cascade_escalations_total: ['cascade', 'reason', 'stage'],
  cascade_queue_wait_seconds_count: ['role', 'tier'],
  cascade_delay_seconds_count: ['reason', 'role', 'tier'],
  cascade_tokens_total: ['cascade', 'direction', 'role', 'tier'],
  cascade_cost_usd_total: ['cascade', 'role', 'tier'],
  cascade_wasted_cost_usd_total: ['cascade'],
  cascade_breaker_open: ['role', 'tier'],
  cascade_breaker_openings_total: ['role', 'tier'],
  cascade_worker_replacements_total: ['role', 'tier'],
  cascade_queue_depth: ['role', 'state', 'tier'],
  cascade_in_flight: ['role', 'tier'],
  cascade_concurrency_limit: ['role', 'tier'],
  gen_ai_client_operation_duration_seconds_count: ['error_type', 'gen_ai_request_model', 'role', 'tier'],
};

/** Twenty-two of these 26 documents are escalated, four of them have no answer in the end. */
const PROMPTS = [
  'a',
  'b',
  '[[status 503 1 x1]] c',
  '[[status 500 x1]] d',
  ...Array.from({ length: 18 }, (_, index) => `[[drafter unsure]] ${index}`),
  ...Array.from({ length: 4 }, (_, index) => `[[drafter unsure]] [[expert 500]] ${index}`),
];

/** A batch whose manifest cannot be read, with most of its time behind it. */
async function placeDamagedBatch(system: System): Promise<void> {
  const id = `batch_${'0'.repeat(32)}`;
  const now = Date.now();
  await system.redis.client.sadd('{test}:batches', id);
  const window = { createdAtMs: now - 9 * 3_600_000, expiresAtMs: now + 3_600_000 };
  await system.redis.client.hset(`{test}:batch:${id}`, { phase: 'open', total: 5, enqueued: 0, pages: 1, ...window });
  const manifest = join(system.directory, 'data', KEYS.manifest(id));
  await mkdir(dirname(manifest));
  await writeFile(manifest, '{');
}

/** Redis uses this share of what it may: nearly all of it is one key's, beside which no connection's buffers count. */
async function limitRedis(system: System, share: number): Promise<number> {
  await system.redis.client.setrange('{test}:ballast', 32 * 2 ** 20, 'x');
  const [, used = ''] = /^used_memory:(\d+)/m.exec(await system.redis.client.info('memory')) ?? [];
  const maxBytes = Math.round(Number(used) / share);
  await system.redis.client.config('SET', 'maxmemory', maxBytes);
  return maxBytes;
}

/** What `rate` sees from its second time on, as nobody knows before which errors there will be, happens once. */
async function warmUp(system: System): Promise<void> {
  const prompts = ['[[status 503 1 x1]] u', '[[status 500 x1]] v', '[[drafter unsure]] [[expert 500]] w'];
  const { id } = await system.submit(prompts);
  await system.settled(id);
  await system.lines((await system.client.batches.retrieve(id)).output_file_id);
  await limitRedis(system, 0.8);
  await assert.rejects(system.submit(['x']), /503/);
  await system.redis.client.config('SET', 'maxmemory', 0);
}

/** The lines of both files of the batches that have ended. */
async function allLines(system: System, ids: readonly string[]): Promise<ResultLine[]> {
  const lines = ids.map(async (id) => {
    const batch = await system.client.batches.retrieve(id);
    return [...(await system.lines(batch.output_file_id)), ...(await system.lines(batch.error_file_id))];
  });
  return (await Promise.all(lines)).flat();
}

test('where all goes wrong that can, every panel says what was counted elsewhere, and every alert fires', async (context) => {
  await using system = await System.start({
    models: { large: { max_attempts: 2 } },
    env: {
      HEALTH_PORT: '0',
      LOG_LEVEL: 'debug',
      SPILLWAY_DRAIN_MS: '100',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
      OTEL_BSP_MAX_QUEUE_SIZE: '1',
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '1',
    },
  });
  const { services } = system;
  const [api, dispatcher] = [serviceOf(system, 'api'), serviceOf(system, 'dispatcher')];
  await until(async () => valuesOf(await scrape([dispatcher]), 'cascade_leader')[''] === 1);
  await warmUp(system);
  // Its last request was refused; the line of that may come after the answer.
  await until(() => Promise.resolve(api.lines.some(({ msg, status }) => msg === 'request' && status === 503)));
  const from = { line: api.lines.length, call: system.expertModel.requests.length };
  const sound = await scrape(services);
  const first = await system.submit(PROMPTS);
  await system.settled(first.id);
  await system.redis.client.flushall();
  await system.admitted();
  // A breaker opens where there is no server.
  await system.expertModel.stop();
  const second = await system.submit(['[[drafter unsure]] g']);
  await until(async () => valuesOf(await scrape([dispatcher]), 'cascade_breaker_open')['expert.large,expert'] === 1);
  let serverDown = new Map() as Scrape;
  // The worker counts what it has opened once Redis has answered it.
  await until(async () => {
    serverDown = await scrape(services);
    return (valuesOf(serverDown, 'cascade_breaker_openings_total')['expert.large,expert'] ?? 0) > 0;
  });
  await system.expertModel.restart();
  await system.settled(second.id);
  await system.submit(['[[hang]] f']);
  await system.drafterModel.waitForRequests(system.drafterModel.received + 1);
  // The sweep may find that Redis lost its rules, and begin a recovery: nothing is created meanwhile.
  await placeDamagedBatch(system);
  // Of a Redis that is nearly full creates are refused.
  await limitRedis(system, 0.8);
  for (let refused = 0; refused < 10; refused += 1) await assert.rejects(system.submit(['x']), /503/);
  const maxBytes = await limitRedis(system, 0.58);
  const lines = await allLines(system, [first.id, second.id]);
  const isThere = async (): Promise<boolean> => {
    const scraped = await scrape(services);
    const failures = valuesOf(scraped, 'cascade_step_failures_total');
    const redis = valuesOf(scraped, 'cascade_redis_memory_limit_bytes')[''];
    return (
      sum(Object.values(failures)) > 0 &&
      redis === maxBytes &&
      valuesOf(scraped, 'cascade_not_enqueued')[''] === 5 &&
      // On a busy machine the server that came back is probed late.
      valuesOf(scraped, 'cascade_breaker_open')['expert.large,expert'] !== 1
    );
  };
  await until(isThere);
  // The longest since it was last asked.
  api.freeze();
  await delay(1_300);
  api.thaw();
  const hurt = await scrape(services);
  const shown = shownMetrics((await Promise.all(services.map(metricsOf))).join('\n'));
  namesAreShown(shown);

  const lacking = await lacksPrometheus();
  if (lacking !== null) return context.skip(lacking);
  await using prometheus = await Prometheus.of([...still(sound, 31), ...still(hurt, 30)]);
  const readings = await readingsOf(prometheus, panels);
  const known = await knownOfTrouble(system, { lines, maxBytes, from });
  assert.deepEqual([...readings.keys()].toSorted(), Object.keys(known).toSorted(), 'every panel, and no other');
  for (const [title, wanted] of Object.entries(known)) compare(title, readings.get(title) ?? new Map(), wanted);

  await alertsFire(system, { sound, serverDown, hurt });
});

/** Every query of the dashboard and the alerts names metrics and labels that these processes show. */
function namesAreShown(shown: Map<string, Set<string>>): void {
  const given = new Set(['le', 'job', 'instance', 'namespace']);
  const queries = [...panels.map(({ expr }) => queryOf(expr, '5m')), ...rules.map(({ expr }) => expr)];
  assert.ok(queries.length > 40, `${queries.length} queries`);
  const missing = queries.flatMap(selectionsOf).flatMap(({ metric, labels }) => {
    const own = labels.filter((label) => !given.has(label) && shown.get(metric)?.has(label) !== true);
    return shown.has(metric) ? own.map((label) => `${metric}{${label}}`) : [metric];
  });
  assert.deepEqual([...new Set(missing)], []);
  for (const [metric, labels] of Object.entries(LABELS)) {
    assert.deepEqual([...(shown.get(metric) ?? [])].toSorted(), labels, metric);
  }
  for (const { title, expr, legendFormat } of panels) {
    const grouped = new Set(selectionsOf(queryOf(expr, '5m')).flatMap(({ labels }) => labels));
    for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
      assert.ok(grouped.has(label), `${title}: ${label}`);
  }
}

function compare(title: string, said: ReadonlyMap<string, number>, wanted: Known): void {
  const all = new Set([...said.keys(), ...Object.keys(wanted)]);
  for (const name of all) {
    const value = said.get(name) ?? 0;
    const expected = wanted[name];
    assert.ok(expected !== undefined, `${title}: ${name} is ${value}, and nobody knows of it`);
    const [least, most] = typeof expected === 'number' ? [expected * 0.9999, expected * 1.0001] : expected;
    assert.ok(value >= least && value <= most, `${title}: ${name} is ${value}, not ${String(expected)}`);
  }
}

/** Each alert with metrics of these processes; what is left of them is ended one after the other. */
async function alertsFire(
  system: System,
  { sound, serverDown, hurt }: Readonly<Record<'sound' | 'serverDown' | 'hurt', Awaited<ReturnType<typeof scrape>>>>,
): Promise<void> {
  const stop = async (name: string) => await serviceOf(system, name).stop();
  await stop('drafter');
  const nobody = async () =>
    valuesOf(await scrape(system.services), 'cascade_queue_depth')['drafter.small,drafter,waiting'];
  await until(async () => (await nobody()) === 1);
  const nobodyWorks = await scrape(system.services);
  await stop('api');
  const apiGone = await scrape(system.services);
  await stop('dispatcher');
  const leaderGone = await scrape(system.services);
  const among = /SpillwayNoLeader|SpillwayApiGone|SpillwayNobodyWorks|SpillwayBreakerOpen/;
  const once = (name: string, then: typeof sound, firing: readonly string[]) => ({
    name,
    history: [...still(sound, 10), ...still(then, 51)],
    firing: { 9: [], 60: firing },
    among,
  });
  const ofWork = [
    'SpillwayRedisNearlyFull',
    'SpillwayRedisLostOften',
    'SpillwayStepsFail',
    'SpillwayDocumentsFail',
    'SpillwayEscalatesTooMuch',
    'SpillwayModelCallsFail',
    'SpillwayBatchLate',
    'SpillwayApiErrors',
    'SpillwayLoopStandsStill',
    'SpillwaySpansDropped',
  ];
  await checkAlerts([
    {
      name: 'all goes wrong',
      history: growing(sound, hurt, 61),
      firing: { 60: ofWork.toSorted() },
      among: new RegExp(ofWork.join('|')),
    },
    once('a server is down', serverDown, ['SpillwayBreakerOpen']),
    once('nobody works', nobodyWorks, ['SpillwayNobodyWorks']),
    once('the API is gone', apiGone, ['SpillwayApiGone', 'SpillwayNobodyWorks']),
    once('the leader is gone', leaderGone, ['SpillwayApiGone', 'SpillwayNoLeader']),
  ]);
}
