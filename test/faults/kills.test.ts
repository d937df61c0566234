import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { JsonObject } from '@spillway/core';
import type { Scripted } from '../support/model-server.ts';
import type { Service, ServiceName } from '../support/service.ts';
import { submitEqual } from '../support/equal.ts';
import { requestLine } from '../support/request-line.ts';
import { sharedSystem } from '../support/shared-system.ts';
import { System, until } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

const DOCUMENTS = 600;

/** Every third document escalates. */
const prompts = Array.from({ length: DOCUMENTS }, (_, index) =>
  index % 3 === 0 ? `[[drafter unsure]] ${index}` : `${index}`,
);

const slow = { drafter: { latencyMs: 15 }, expert: { latencyMs: 25 } };

const preload = (name: string): string =>
  `--import=${fileURLToPath(new URL(`../support/${name}.ts`, import.meta.url))}`;

/** Until the batch has this many results. */
async function inMidBatch(system: System, id: string, results: number): Promise<void> {
  await system.settled(id, (batch) => (batch.request_counts?.completed ?? 0) >= results);
}

/** One of each to begin with; every test leaves one of each alive. */
const whole = sharedSystem(() => System.start(slow));

/** Its dispatchers die: every test starts its own, and leaves none. */
const headless = sharedSystem(async () => {
  const system = await System.create(slow);
  await Promise.all([system.run('api'), system.run('drafter'), system.run('expert')]);
  return system;
});

/** The process of a service that has been there longest. */
const oldest = (system: System, name: ServiceName): Service =>
  system.services.find(
    ({ name: its, child }) => its === name && child.exitCode === null && child.signalCode === null,
  ) ?? assert.fail();

test('a drafter, an expert and a dispatcher killed in mid-batch: others go on, nothing is lost or doubled', async () => {
  const system = await whole();
  const { id } = await system.submit(prompts);
  const copies = await submitEqual(system);
  for (const [at, victim] of (['drafter', 'expert', 'dispatcher'] as const).entries()) {
    await inMidBatch(system, id, 60 + at * 150);
    await oldest(system, victim).kill();
    await system.run(victim);
  }
  const batch = await system.settled(id);
  assert.equal(batch.status, 'completed');
  await wholeResults(system, batch, docIds(DOCUMENTS));
  await copies.check();
});

test('a standing-by dispatcher takes over from a leader that is killed', async () => {
  const system = await whole();
  const second = await system.run('dispatcher');
  const { id } = await system.submit(prompts);
  await inMidBatch(system, id, 60);
  await oldest(system, 'dispatcher').kill();
  await second.waitFor((line) => line.msg === 'leading');
  const batch = await system.settled(id);
  await wholeResults(system, batch, docIds(DOCUMENTS));
});

test('a worker and a leading dispatcher frozen past every lock and lease, and woken late', async () => {
  const system = await whole();
  const second = await system.run('dispatcher');
  const { id } = await system.submit(prompts);
  await inMidBatch(system, id, 60);
  const frozen = (['dispatcher', 'drafter', 'expert'] as const).map((name) => oldest(system, name));
  for (const service of frozen) service.freeze();
  await Promise.all([system.run('drafter'), system.run('expert')]);
  await second.waitFor((line) => line.msg === 'leading');
  const before = await system.settled(id, (batch) => (batch.request_counts?.completed ?? 0) >= 300);
  for (const service of frozen) service.thaw();
  const batch = await system.settled(id);
  assert.ok((batch.request_counts?.completed ?? 0) >= (before.request_counts?.completed ?? 0));
  await wholeResults(system, batch, docIds(DOCUMENTS));
});

test('a dispatcher that dies before or after what it writes: whole or absent, and the next one goes on from there', async (t) => {
  const system = await headless();
  for (const moment of [
    'before link pages',
    'after link pages',
    'after link ending',
    'before link final',
    'after link validated',
  ]) {
    await t.test(moment, async () => {
      const dying = await system.run('dispatcher', { NODE_OPTIONS: preload('die-at'), DIE_AT: moment });
      await system.admitted();
      const { id } = await system.submit(prompts);
      const copies = await submitEqual(system);
      await until(async () => dying.child.signalCode === 'SIGKILL', 60_000);
      const next = await system.run('dispatcher');
      const batch = await system.settled(id);
      assert.equal(batch.status, 'completed');
      await wholeResults(system, batch, docIds(DOCUMENTS));
      await copies.check();
      await next.stop();
    });
  }
});

test('a dispatcher that dies while it validates, and the batch is cancelled then: lines for all of it, or for none', async (t) => {
  await using system = await System.create();
  await system.run('api');
  for (const { moment, total } of [
    { moment: 'before link validated', total: 0 },
    { moment: 'after link validated', total: 300 },
  ]) {
    await t.test(`${moment}: ${total}`, async () => {
      const dying = await system.run('dispatcher', { NODE_OPTIONS: preload('die-at'), DIE_AT: moment });
      await system.admitted();
      const { id } = await system.submit(prompts.slice(0, 300));
      await until(async () => dying.child.signalCode === 'SIGKILL', 60_000);
      await system.client.batches.cancel(id);
      const next = await system.run('dispatcher');
      const batch = await system.settled(id);
      assert.equal(batch.status, 'cancelled');
      assert.deepEqual(batch.request_counts, { total, completed: 0, failed: 0 });
      assert.equal((await system.lines(batch.error_file_id)).length, total);
      const answer: unknown = await system.client.get(`/batches/${id}/results`);
      const { data, complete } = answer as { readonly data: readonly object[]; readonly complete: boolean };
      assert.deepEqual([data.length, complete], [total, true], 'nothing is called gone that never was');
      await next.stop();
    });
  }
});

test('dispatchers that die among bad lines, and a Redis that is wiped then: each line has its one result', async () => {
  const system = await headless();
  const lines = prompts.map((prompt, at) => (at % 4 === 1 ? '{}' : requestLine(prompt, `doc-${at}`)));
  // The second page is of bad lines only: it is full, and sealed, while it is enqueued.
  for (let at = 256; at < 512; at += 1) lines[at] = '[]';
  let id = '';
  for (const moment of ['after link validated', 'before link pages', 'after link pages']) {
    const dying = await system.run('dispatcher', { NODE_OPTIONS: preload('die-at'), DIE_AT: moment });
    if (id === '') {
      await system.admitted();
      const file = await system.client.files.create({
        file: new File([lines.join('\n')], 'a.jsonl'),
        purpose: 'batch',
      });
      const order = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
      id = (await system.client.batches.create({ ...order, metadata: { 'spillway.on_bad_lines': 'error_file' } })).id;
    }
    await until(async () => dying.child.signalCode === 'SIGKILL', 60_000);
  }
  await system.redis.client.flushall();
  const last = await system.run('dispatcher');
  const batch = await system.settled(id);
  const good = docIds(DOCUMENTS).filter((_, at) => lines[at]?.startsWith('{"custom_id"'));
  assert.equal(batch.status, 'completed');
  assert.deepEqual(batch.request_counts, { total: DOCUMENTS, completed: good.length, failed: DOCUMENTS - good.length });
  assert.deepEqual(
    (await system.lines(batch.output_file_id)).map((line) => line.custom_id),
    good,
  );
  assert.deepEqual(
    (await system.lines(batch.error_file_id)).map(({ error }) => error?.line),
    lines.flatMap((line, at) => (line.startsWith('{"custom_id"') ? [] : [at + 1])),
  );
  await last.stop();
});

test('a document that kills its worker harms no other: it runs isolated and gets an error line', async () => {
  const answer = ({ body }: { body: JsonObject }): Scripted => ({
    kind: 'completion',
    text: JSON.stringify(body['messages']).includes('poison') ? 'a deadly answer' : 'a good answer',
  });
  await using system = await System.create({
    drafter: { answer },
    expert: { answer },
    models: { small: { max_attempts: 2 }, large: { max_attempts: 2 } },
    // What kills is the whole text.
    stopEarly: false,
  });
  await Promise.all([system.run('api'), system.run('dispatcher')]);
  const start = (name: 'drafter' | 'expert') => system.run(name, { NODE_OPTIONS: preload('poison') });
  await Promise.all([start('drafter'), start('expert')]);
  await system.admitted();
  const { id } = await system.submit(['a', 'poison', ...Array.from({ length: 30 }, (_, index) => `${index}`)]);
  const over = new AbortController();
  const keepAlive = async (name: 'drafter' | 'expert'): Promise<void> => {
    while (!over.signal.aborted) {
      const alive = system.services.some((service) => service.name === name && service.child.signalCode === null);
      if (!alive) await start(name);
      await until(
        async () =>
          over.signal.aborted || system.services.every((one) => one.name !== name || one.child.signalCode !== null),
        90_000,
      );
    }
  };
  const keeping = Promise.all([keepAlive('drafter'), keepAlive('expert')]);
  const batch = await system.settled(id, undefined, 90_000).finally(() => over.abort());
  await keeping;
  const { errors, output } = await wholeResults(system, batch, docIds(32));
  assert.deepEqual(
    errors.map((line) => line.custom_id),
    ['doc-1'],
  );
  assert.equal(errors[0]?.error?.code, 'server_error');
  assert.equal(output.length, 31);
});

test('a deploy: services stopped by SIGTERM in mid-batch exit 0, use up no attempt, and put back what is in flight', async () => {
  await using system = await System.start({
    ...slow,
    models: { small: { max_attempts: 1 }, large: { max_attempts: 1 } },
    env: { SPILLWAY_DRAIN_MS: '0' },
  });
  const { id } = await system.submit(prompts);
  for (const results of [60, 200, 400]) {
    await inMidBatch(system, id, results);
    const old = system.services.filter((service) => service.name !== 'api' && service.child.exitCode === null);
    const codes = await Promise.all(old.map((service) => service.stop()));
    assert.deepEqual(codes, [0, 0, 0]);
    await Promise.all([system.run('dispatcher'), system.run('drafter'), system.run('expert')]);
  }
  const batch = await system.settled(id);
  const { errors } = await wholeResults(system, batch, docIds(DOCUMENTS));
  assert.deepEqual(errors, []);
});
