import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Scripted } from '../support/model-server.ts';
import type { Service } from '../support/service.ts';
import { System, until } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

/** Jobs of several documents, whose workers are killed, stopped, or have no call for all of them. */

/** A model server's answers: at once, or each when the test says so. */
class Answers {
  #waiting: (() => void)[] = [];
  isHolding = false;

  readonly answer = async (): Promise<Scripted> => {
    if (this.isHolding) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return { kind: 'completion' };
  };

  /** Lets those answer that were asked by now. */
  release(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

const texts = (count: number): string[] => Array.from({ length: count }, (_, index) => `${index}`);

/** The bundles of the drafter's queue, in whatever state. */
async function bundles({ redis: { client } }: System, batch: string): Promise<string[]> {
  return await client.keys(`{test}:drafter.small:${batch}-*b`);
}

/** Then several documents are a quarter of a second of four calls. */
const QUICK_S = 0.1;

/** A tier whose calls are known to be quick, so that documents are bundled; the dispatcher knows that a second later. */
async function warmUp(system: System): Promise<void> {
  const { client } = system.redis;
  const seconds = async (): Promise<number> =>
    Number((await client.hget('{test}:tier:drafter.small', '#seconds')) ?? Number.NaN);
  const jobs = async (): Promise<number> => Number((await client.get('{test}:drafter.small:id')) ?? 0);
  let areBundled = false;
  // On a busy machine the first calls may be slow.
  for (let rounds = 0; !(areBundled && (await seconds()) < QUICK_S) && rounds < 10; rounds += 1) {
    const before = await jobs();
    await system.settled((await system.submit(texts(40))).id);
    areBundled = (await jobs()) - before < 40;
    await until(async () => (await seconds()) >= 0);
  }
}

/** How often each prompt has been asked, beyond once. */
function askedAgain({ drafterModel: { requests } }: Pick<System, 'drafterModel'>, from: number): number {
  const prompts = requests.slice(from).map(({ body }) => JSON.stringify(body));
  return prompts.length - new Set(prompts).size;
}

test('two workers with four calls each and bundles of ten: no call is idle while a document waits, also at the end', async () => {
  const answers = new Answers();
  await using system = await System.start({
    drafter: { answer: answers.answer },
    models: { small: { concurrency: 4 } },
  });
  await system.run('drafter');
  await warmUp(system);
  const twoWorkers = async (): Promise<boolean> => (await system.redis.client.hlen('{test}:tier:drafter.small')) === 3;
  await until(twoWorkers);
  const from = system.drafterModel.requests.length;
  answers.isHolding = true;
  const { id } = await system.submit(texts(84));
  // What goes back from those that have no call for it does so within a moment.
  for (let left = 84; left > 0; left -= 8) {
    const busy = Math.min(8, left);
    const asked = (): number => system.drafterModel.requests.length - from;
    await until(async () => Promise.resolve(asked() === 84 - left + busy && system.drafterModel.inFlight === busy));
    if (left === 84) assert.ok((await bundles(system, id)).length > 0);
    answers.release();
  }
  const batch = await system.settled(id);
  await wholeResults(system, batch, docIds(84));
  assert.equal(askedAgain(system, from), 0);
});

test('a worker killed in the middle of bundles: only what was under way is asked again, and nobody pays', async () => {
  await using system = await System.start({
    drafter: { latencyMs: 15 },
    expert: { latencyMs: 25 },
    models: { small: { max_attempts: 1 }, large: { max_attempts: 1 } },
  });
  await warmUp(system);
  const from = system.drafterModel.requests.length;
  const prompts = texts(600).map((text, index) => (index % 3 === 0 ? `[[drafter unsure]] ${text}` : text));
  const { id } = await system.submit(prompts);
  await system.settled(id, (batch) => (batch.request_counts?.completed ?? 0) >= 50);
  assert.ok((await bundles(system, id)).length > 0);
  for (const name of ['drafter', 'expert']) {
    await (system.services.find((service) => service.name === name) as Service).kill();
  }
  await Promise.all([system.run('drafter'), system.run('expert')]);
  const batch = await system.settled(id);
  const { output, errors } = await wholeResults(system, batch, docIds(600));
  assert.deepEqual(errors, []);
  const attempts = output.flatMap(({ cascade }) => cascade?.stages.map((stage) => stage.attempts) ?? []);
  assert.deepEqual(new Set(attempts), new Set([1]));
  assert.ok(askedAgain(system, from) <= 16, 'as many as it had calls');
  // What had been handed off from a bundle whose rest was under way is not handed off again.
  assert.ok(askedAgain({ drafterModel: system.expertModel }, 0) <= 16);
  assert.deepEqual(await bundles(system, id), []);
});

test('bundles of dozens, of workers with many calls: killed, then wiped, each document has one result', async () => {
  const concurrency = 64;
  const documents = 2_400;
  await using system = await System.start({
    drafter: { latencyMs: 15 },
    expert: { latencyMs: 25 },
    models: { small: { max_attempts: 1, concurrency }, large: { max_attempts: 1, concurrency } },
  });
  await warmUp(system);
  const from = system.drafterModel.requests.length;
  const prompts = texts(documents).map((text, index) => (index % 3 === 0 ? `[[drafter unsure]] ${text}` : text));
  const { id } = await system.submit(prompts);
  await system.settled(id, (batch) => (batch.request_counts?.completed ?? 0) >= 50);
  const datas = await Promise.all((await bundles(system, id)).map((key) => system.redis.client.hget(key, 'data')));
  const sizes = datas.map((data) => (JSON.parse(data ?? '{}') as { documents?: unknown[] }).documents?.length ?? 0);
  assert.ok(Math.max(...sizes) > 16, `a job had ${Math.max(...sizes)} documents at most`);
  for (const name of ['drafter', 'expert']) {
    await (system.services.find((service) => service.name === name) as Service).kill();
  }
  await Promise.all([system.run('drafter'), system.run('expert')]);
  await system.settled(id, (batch) => (batch.request_counts?.completed ?? 0) >= 1_000);
  assert.ok(askedAgain(system, from) <= concurrency, 'as many as it had calls');
  await system.redis.client.flushall();
  const batch = await system.settled(id);
  const { output, errors } = await wholeResults(system, batch, docIds(documents));
  assert.deepEqual([output.length, errors], [documents, []]);
});

test('Redis wiped in the middle of bundles, and a worker told to end: all is finished, nothing is asked for in vain', async () => {
  const answers = new Answers();
  await using system = await System.start({
    drafter: { answer: answers.answer },
    models: { small: { concurrency: 4 } },
  });
  await warmUp(system);
  answers.isHolding = true;
  const from = system.drafterModel.requests.length;
  const { id } = await system.submit(texts(300));
  await until(async () => Promise.resolve(system.drafterModel.inFlight === 4));
  assert.ok((await bundles(system, id)).length > 0);
  // What it has no call for goes back at once, what is under way is waited for.
  const worker = system.services.find(({ name }) => name === 'drafter') as Service;
  const stopped = worker.stop();
  await until(async () => (await system.redis.client.llen('{test}:drafter.small:active')) === 1);
  answers.release();
  assert.equal(await stopped, 0);
  answers.isHolding = false;
  await system.run('drafter');
  await system.settled(id, (batch) => (batch.request_counts?.completed ?? 0) >= 100);
  assert.equal(askedAgain(system, from), 0);
  await system.redis.client.flushall();
  const batch = await system.settled(id);
  await wholeResults(system, batch, docIds(300));
});
