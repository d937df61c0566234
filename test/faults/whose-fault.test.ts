import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { startCrashingServer } from '../support/crashing-server.ts';
import { startModelServer, type ModelRequest, type ModelServer, type Scripted } from '../support/model-server.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { System, until, type ResultLine } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

const many = (count: number, words = 'question'): string[] =>
  Array.from({ length: count }, (_, index) => `${words} ${index}`);

const escalating = (count: number): string[] => many(count, '[[drafter unsure]] question');

const elapsed = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Attempts that were used up beside the ones that were answered. */
const spent = (lines: readonly ResultLine[]): number =>
  lines.reduce((sum, { cascade }) => sum + (cascade?.stages.reduce((all, one) => all + one.attempts - 1, 0) ?? 0), 0);

const escalated = (lines: readonly ResultLine[]): number => lines.filter(({ cascade }) => cascade?.escalated).length;

const BAD_GATEWAY =
  'HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: 24\r\n\r\n<h1>502 Bad Gateway</h1>';

const json = (status: number, body: object): Scripted => ({ kind: 'raw', status, body: JSON.stringify(body) });

/** What servers and gateways say while nobody can be answered, by whose fault it is. */
const NOBODY_IS_ANSWERED: Readonly<Record<string, Scripted>> = {
  'the model does not exist': json(404, {
    error: { message: 'The model `large` does not exist', type: 'NotFoundError', param: 'model', code: 404 },
  }),
  'no such path': json(404, { detail: 'Not Found' }),
  'the key is wrong': json(401, { error: { message: 'Incorrect API key provided', code: 'invalid_api_key' } }),
  'nothing is paid': json(402, { error: { message: 'Payment required' } }),
  'the quota is used up': json(429, {
    error: { message: 'You exceeded your current quota', code: 'insufficient_quota' },
  }),
  'not allowed': json(403, { error: { message: 'forbidden' } }),
  'a page of a gateway': { kind: 'raw', status: 502, body: '<html><h1>502 Bad Gateway</h1></html>' },
  'a page with a 200': { kind: 'raw', status: 200, body: '<html>Welcome to nginx</html>' },
  'a broken server': json(500, { error: { message: 'Internal Server Error' } }),
  'a gateway that waits no longer': json(504, {}),
  'a proxy without a server behind it': json(521, {}),
  'an overloaded server': json(529, { error: { type: 'overloaded_error' } }),
  'a connection that breaks': { kind: 'reset', when: 'before_headers' },
};

const OPERATORS = new Set(Object.keys(NOBODY_IS_ANSWERED).slice(0, 6));

const DOCUMENTS = 60;

/** A server that answers, then nobody for two seconds, and longer while that is not told; then everybody. */
function troubledServer(role: 'drafter' | 'expert', trouble: Scripted, isTold: () => boolean): Promise<ModelServer> {
  let firstAtMs: number | null = null;
  const answer = async (): Promise<Scripted> => {
    firstAtMs ??= performance.now();
    const sinceMs = performance.now() - firstAtMs;
    await elapsed(20);
    return sinceMs > 60 && (sinceMs < 2_000 || !isTold()) ? trouble : { kind: 'completion', logprobs: -0.01 };
  };
  return startModelServer({ role, answer });
}

for (const role of ['drafter', 'expert'] as const) {
  test(`${role}s that answer nobody for two seconds, each in its way: nobody pays for it, and it is told once`, async () => {
    const names = Object.keys(NOBODY_IS_ANSWERED);
    await using servers = new AsyncDisposableStack();
    const troubled: ModelServer[] = [];
    let running: System | null = null;
    const toldOf = (at: number): readonly string[] =>
      (running?.logged(role, ({ tier, msg }) => tier === `${role}.m${at}` && /breaker is open/.test(msg)) ?? []).map(
        ({ msg }) => msg,
      );
    for (const [at, trouble] of Object.values(NOBODY_IS_ANSWERED).entries()) {
      troubled.push(servers.use(await troubledServer(role, trouble, () => toldOf(at).length > 0)));
    }
    const moreModels = troubled.map(
      ({ baseURL }, at) => `  m${at}: { base_url: ${baseURL}, model: m, concurrency: 4 }`,
    );
    const moreCascades = troubled.map((_, at) => {
      const [drafter, expert] = role === 'drafter' ? [`m${at}`, 'large'] : ['small', `m${at}`];
      return `  c${at}: { drafter: ${drafter}, expert: ${expert}, accept_at: 0.8 }`;
    });
    const more = { moreModels: moreModels.join('\n'), moreCascades: moreCascades.join('\n') };
    await using system = await System.start(more);
    running = system;
    const prompts = role === 'drafter' ? many(DOCUMENTS) : escalating(DOCUMENTS);
    const batches = await Promise.all(names.map((_, at) => system.submit(prompts, { model: `c${at}` })));
    for (const [at, { id }] of batches.entries()) {
      const name = names[at] ?? '';
      const ended = await system.settled(id, undefined, 60_000);
      const { output, errors } = await wholeResults(system, ended, docIds(DOCUMENTS));
      assert.deepEqual(errors, [], name);
      assert.equal(spent(output), 0, `${name}: an attempt was spent`);
      assert.equal(escalated(output), role === 'drafter' ? 0 : DOCUMENTS, name);
      const told = toldOf(at);
      assert.equal(told.length, 1, `${name}: ${told.join()}`);
      assert.equal(/until somebody mends this/.test(told[0] ?? ''), OPERATORS.has(name), `${name}: ${told[0]}`);
    }
  });
}

test('a 429 beside documents that always fail stops nobody else', async () => {
  let firstAtMs: number | null = null;
  let isRefused = false;
  const answer = async ({ body }: ModelRequest): Promise<Scripted> => {
    firstAtMs ??= performance.now();
    if (JSON.stringify(body).includes('poison')) return json(500, { error: { message: 'cannot' } });
    if (!isRefused && performance.now() - firstAtMs > 200) {
      isRefused = true;
      return { kind: 'status', status: 429, headers: { 'retry-after': '1' } };
    }
    await elapsed(150);
    return { kind: 'completion' };
  };
  await using drafter = await startModelServer({ answer });
  await using system = await System.start({ models: { small: { base_url: drafter.baseURL, concurrency: 16 } } });
  const startedAtMs = performance.now();
  const { id } = await system.submit([...many(4, 'poison'), ...many(300)]);
  const { output: lines, errors } = await wholeResults(
    system,
    await system.settled(id, undefined, 20_000),
    docIds(304),
  );
  const seconds = (performance.now() - startedAtMs) / 1_000;
  assert.deepEqual(errors, []);
  assert.equal(escalated(lines), 4, 'those that fail get their answers from the expert');
  for (const { cascade } of lines.filter((one) => one.cascade?.escalated)) {
    assert.equal(cascade?.stages[0]?.attempts, 4);
    assert.equal(cascade?.stages[0]?.reason, 'draft_failed');
  }
  assert.ok(seconds < 15, `${seconds} s; without the 429 it is 4`);
});

test('a server restarted behind a gateway and one terminated with its calls in flight: nobody pays for it', async () => {
  const COUNT = 600;
  await using drafter = await startModelServer({ role: 'drafter', latencyMs: 20 });
  await using expert = await startModelServer({ role: 'expert', latencyMs: 20 });
  const gateway = await startFaultProxy({ target: drafter.baseURL });
  const direct = await startFaultProxy({ target: expert.baseURL });
  await using _ = new AsyncDisposableStack();
  _.use(gateway);
  _.use(direct);
  await using system = await System.start({
    models: {
      small: { base_url: gateway.through(drafter.baseURL), concurrency: 8 },
      large: { base_url: direct.through(expert.baseURL), concurrency: 8, timeout_s: 300 },
    },
  });
  const prompts = Array.from(
    { length: COUNT },
    (_one, index) => `${index % 2 === 0 ? '[[drafter unsure]] ' : ''}${index}`,
  );
  const { id } = await system.submit(prompts);
  const done = async (count: number): Promise<unknown> =>
    await system.settled(id, (batch) => (batch.request_counts?.completed ?? 0) >= count, 30_000);
  for (let restart = 1; restart <= 2; restart += 1) {
    await done(restart * 80);
    await gateway.set({ kind: 'answer', text: BAD_GATEWAY });
    await direct.set({ kind: 'terminate' });
    await elapsed(1_500);
    await gateway.set({ kind: 'pass' });
    await direct.set({ kind: 'pass' });
  }
  const { output, errors } = await wholeResults(system, await system.settled(id, undefined, 60_000), docIds(COUNT));
  assert.deepEqual(errors, []);
  assert.equal(escalated(output), COUNT / 2, 'a draft went to the expert by it');
  assert.equal(spent(output), 0);
});

test('a server of one slot that queues without end: the calls that time out are asked again, and nobody fails', async () => {
  const COUNT = 60;
  let free = Promise.resolve();
  const answer = async (): Promise<Scripted> => {
    const own = free.then(() => elapsed(50));
    free = own;
    await own;
    return { kind: 'completion' };
  };
  await using drafter = await startModelServer({ answer });
  await using system = await System.start({
    models: { small: { base_url: drafter.baseURL, concurrency: 64, timeout_s: 1, max_attempts: 1 } },
  });
  const { id } = await system.submit(many(COUNT));
  const { output, errors } = await wholeResults(system, await system.settled(id, undefined, 60_000), docIds(COUNT));
  assert.deepEqual(errors, []);
  assert.equal(escalated(output), 0);
  assert.equal(spent(output), 0);
});

test('one document alone: its server’s trouble costs it nothing, its own fault costs it its attempts', async () => {
  let isDown = true;
  const own = new Set<string>();
  const answer = async ({ body }: ModelRequest): Promise<Scripted> => {
    const text = JSON.stringify(body);
    own.add(text.includes('guilty') ? 'guilty' : text.includes('innocent') ? 'innocent' : 'control');
    return isDown || text.includes('guilty') ? json(500, { error: { message: 'no' } }) : { kind: 'completion' };
  };
  await using expert = await startModelServer({ answer });
  await using system = await System.start({ models: { large: { base_url: expert.baseURL, max_attempts: 2 } } });
  const innocent = await system.submit(['[[drafter unsure]] innocent']);
  await until(async () => own.has('control'));
  isDown = false;
  const first = await wholeResults(system, await system.settled(innocent.id), docIds(1));
  assert.deepEqual(first.errors, []);
  assert.equal(spent(first.output), 0);
  const guilty = await system.submit(['[[drafter unsure]] guilty']);
  const second = await wholeResults(system, await system.settled(guilty.id), docIds(1));
  assert.equal(second.errors[0]?.response?.status_code, 500);
  assert.equal(second.errors[0]?.cascade?.stages[1]?.attempts, 2);
});

test('a document that kills its server, with nobody beside it, pays like any other', async () => {
  const crashing = await startCrashingServer({ role: 'expert', awayMs: 400 });
  await using expert = crashing.server;
  await using system = await System.start({ models: { large: { base_url: expert.baseURL, max_attempts: 2 } } });
  const { id } = await system.submit(['[[drafter unsure]] poison']);
  const { errors } = await wholeResults(system, await system.settled(id, undefined, 60_000), docIds(1));
  assert.equal(errors[0]?.cascade?.stages[1]?.attempts, 2);
  assert.ok(crashing.crashes() <= 6, `${crashing.crashes()} crashes`);
});

test('a worker that cannot reach the server waits by itself, and shuts the tier for nobody', async () => {
  const COUNT = 300;
  await using drafter = await startModelServer({ role: 'drafter', latencyMs: 30 });
  await using system = await System.start({ models: { small: { base_url: drafter.baseURL, concurrency: 4 } } });
  const path = join(system.directory, 'spillway.yaml');
  const elsewhere = join(system.directory, 'elsewhere.yaml');
  await writeFile(elsewhere, (await readFile(path, 'utf8')).replace(drafter.baseURL, 'http://127.0.0.1:9/v1'));
  const { id } = await system.submit(many(COUNT));
  await system.settled(id, (batch) => (batch.request_counts?.completed ?? 0) > 20);
  await system.run('drafter', { SPILLWAY_CONFIG: elsewhere });
  const startedAtMs = performance.now();
  const { output, errors } = await wholeResults(system, await system.settled(id, undefined, 30_000), docIds(COUNT));
  assert.deepEqual([errors, escalated(output), spent(output)], [[], 0, 0]);
  assert.ok(performance.now() - startedAtMs < 15_000, 'alone it takes two seconds');
});
