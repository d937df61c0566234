import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OpenAI } from 'openai';
import { sharedSystem } from '../support/shared-system.ts';
import { isOver, System } from '../support/system.ts';
import { startRedis } from '../support/redis.ts';
import { startTestApi } from './api-under-test.ts';

const shared = sharedSystem(() => System.start());

/** The batches that a stream of events tells of, until it ends or its reader leaves. */
async function* eventsOf(url: string, init: RequestInit = {}): AsyncGenerator<OpenAI.Batch> {
  const response = await fetch(url, init);
  assert.equal(response.status, 200, await (response.ok ? '' : response.text()));
  assert.equal(response.headers.get('content-type'), 'text/event-stream');
  let text = '';
  for await (const piece of (response.body ?? assert.fail()).pipeThrough(new TextDecoderStream())) {
    text += piece;
    const events = text.split('\n\n');
    text = events.pop() ?? '';
    for (const event of events) {
      const [, data] = /^event: batch\ndata: (.*)$/.exec(event) ?? [];
      if (data !== undefined) yield JSON.parse(data) as OpenAI.Batch;
    }
  }
}

test('a batch is seen as it goes, and the list of batches with it', async () => {
  const system = await shared();
  const base = system.client.baseURL;
  const { id } = await system.submit(['[[hang]] a', 'b']);
  const statuses: string[] = [];
  for await (const batch of eventsOf(`${base}/batches/${id}/events`)) {
    assert.equal(batch.id, id);
    const { completed = 0 } = batch.request_counts ?? {};
    statuses.push(`${batch.status} ${completed}`);
    if (batch.status === 'in_progress' && completed === 1) system.drafterModel.release();
    if (isOver(batch)) break;
  }
  assert.ok(statuses.includes('in_progress 1'), statuses.join());
  assert.equal(statuses.at(-1), 'completed 2');
  const another = await system.submit(['c']);
  const seen: string[] = [];
  for await (const batch of eventsOf(`${base}/batches/events`)) {
    seen.push(batch.id);
    if (batch.id === another.id && isOver(batch)) break;
  }
  assert.deepEqual(seen.slice(0, 2), [id, another.id], 'all there are, then what changes');
});

test('a tenant sees its own batches only; the end of the API ends them', async () => {
  const redis = await startRedis();
  const tenants = ['a', 'b'].map((tenant) => ({ key: tenant, tenant }));
  const api = await startTestApi({ redisUrl: redis.url, keys: tenants });
  const order = { endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
  const { id } = await api.client('a').batches.create({ ...order, input_file_id: 'x' });
  const as = (key: string): RequestInit => ({ headers: { authorization: `Bearer ${key}` } });
  const own = eventsOf(`${api.url}/v1/batches/events`, as('a'));
  assert.equal((await own.next()).value?.id, id);
  const foreign = await fetch(`${api.url}/v1/batches/${id}/events`, as('b'));
  assert.equal(foreign.status, 404);
  assert.equal((await fetch(`${api.url}/v1/batches/events`)).status, 401);
  const nothing = await fetch(`${api.url}/v1/batches/events`, as('b'));
  const reader = (nothing.body ?? assert.fail()).getReader();
  assert.match(new TextDecoder().decode((await reader.read()).value), /^retry: \d+\n\n$/);
  const rest = reader.read();
  const end = own.next();
  await api[Symbol.asyncDispose]();
  assert.deepEqual([(await rest).done, (await end).done], [true, true]);
  await redis.stop();
});
