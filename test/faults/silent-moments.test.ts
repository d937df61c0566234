import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RedisTap, type Silence } from '../support/redis-tap.ts';
import { checkAlerts, growing, lacksPrometheus, still } from '../support/prometheus.ts';
import { scrape, valuesOf } from '../support/scrapes.ts';
import { System, until } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

/** Within so long after a silence documents are taken up again; what is dead is found out after 15 s. */
const MAX_TAKEN_MS = { held: 15_000, dead: 25_000 } as const;

const SILENT_MS = 3_000;

type Moment = Pick<Silence, 'at' | 'of' | 'onlyReplies'> & { readonly kind: 'held' | 'dead'; readonly wipes: boolean };

/** SPILLWAY_SILENCE=all: every one of the first commands of a worker's loop, in every way, `i/n` a part of them. */
function moments(): Moment[] {
  const [, part = '1', parts = '1'] = /^all(?: (\d+)\/(\d+))?$/.exec(process.env['SPILLWAY_SILENCE'] ?? '') ?? [];
  if (process.env['SPILLWAY_SILENCE'] === undefined) {
    return [
      { at: 2, of: 'any', kind: 'held', onlyReplies: false, wipes: true },
      { at: 9, of: 'any', kind: 'held', onlyReplies: true, wipes: true },
      { at: 1, of: 'waiting', kind: 'dead', onlyReplies: false, wipes: true },
    ];
  }
  const ways = (['held', 'dead'] as const).flatMap((kind) =>
    [true, false].flatMap((onlyReplies) => [true, false].map((wipes) => ({ kind, onlyReplies, wipes }))),
  );
  const of = (kind: Silence['of'], count: number) =>
    Array.from({ length: count }, (_, index) => ({ of: kind, at: index + 1 }));
  const all = [...of('any', 24), ...of('taking', 6), ...of('other', 6), ...of('waiting', 3)].flatMap((where) =>
    ways.map((way) => ({ ...where, ...way })),
  );
  return all.filter((_, index) => index % Number(parts) === Number(part) - 1);
}

test('connections that fall silent at any moment of a worker’s loop, with a wipe: documents are taken up again', async () => {
  await using system = await System.create({
    drafter: { latencyMs: 20 },
    models: { small: { concurrency: 3 } },
    env: { SPILLWAY_DRAIN_MS: '0' },
  });
  await Promise.all([system.run('api'), system.run('dispatcher'), system.run('expert')]);
  await system.admitted();
  await using tap = await RedisTap.start(system.redis);
  const drafter = await system.run('drafter', { REDIS_URL: tap.url });
  const prompts = (mark: string): string[] =>
    Array.from({ length: 12 }, (_, index) => `${index % 2 === 0 ? '[[drafter unsure]] ' : ''}${mark} ${index}`);
  const worst = { held: 0, dead: 0 };
  for (const [index, moment] of moments().entries()) {
    const silent = tap.fallSilent({ ...moment, ms: SILENT_MS });
    const first = await system.submit(prompts(`first ${index}`));
    const command = await silent;
    if (moment.wipes) await system.redis.client.flushall();
    await new Promise((resolve) => setTimeout(resolve, SILENT_MS));
    await system.admitted();
    const second = await system.submit(prompts(`second ${index}`));
    const startedAtMs = performance.now();
    const isTaken = (): boolean =>
      system.drafterModel.requests.some(({ body }) => JSON.stringify(body).includes(`second ${index} `));
    await until(async () => isTaken(), MAX_TAKEN_MS[moment.kind]).catch((error: unknown) => {
      throw new Error(`${JSON.stringify(moment)} at ${command}\n${system.complaints()}`, { cause: error });
    });
    const takenMs = Math.round(performance.now() - startedAtMs);
    worst[moment.kind] = Math.max(worst[moment.kind], takenMs);
    if (process.env['SPILLWAY_SILENCE'] !== undefined) {
      process.stderr.write(`${JSON.stringify({ ...moment, command, takenMs })}\n`);
    }
    for (const { id } of [first, second]) {
      const { errors } = await wholeResults(system, await system.settled(id, undefined, 60_000), docIds(12));
      assert.deepEqual(errors, []);
    }
  }
  assert.equal(drafter.child.exitCode, null);
});

test('a worker that hangs where nothing shows it but its queue, which does not move, connects anew', async (context) => {
  await using system = await System.create({ models: { small: { concurrency: 2 } }, env: { HEALTH_PORT: '0' } });
  await Promise.all([system.run('api'), system.run('dispatcher'), system.run('expert')]);
  await system.admitted();
  await using tap = await RedisTap.start(system.redis);
  const drafter = await system.run('drafter', { REDIS_URL: tap.url });
  const first = await system.submit(['a']);
  await system.settled(first.id);
  const before = await scrape([drafter]);
  // A reply that never ends: neither is the connection silent, nor does the command ever fail.
  const drips = tap.fallSilent({ at: 1, of: 'taking', kind: 'drips', onlyReplies: true, ms: 1_000 });
  const { id } = await system.submit(['b', 'c', '[[drafter unsure]] d']);
  await drips;
  const { errors } = await wholeResults(system, await system.settled(id, undefined, 40_000), docIds(3));
  assert.deepEqual(errors, []);
  const said = drafter.lines.filter(({ msg }) => msg?.endsWith('this worker connects anew'));
  assert.deepEqual(
    said.map(({ level, tier, times }) => [level, tier, times]),
    [['warn', 'drafter.small', 1]],
  );
  const after = await scrape([drafter]);
  const replacements = [before, after].map((scraped) => valuesOf(scraped, 'cascade_worker_replacements_total'));
  assert.deepEqual(replacements, [{ 'drafter.small,drafter': 0 }, { 'drafter.small,drafter': 1 }]);
  const startedAtMs = performance.now();
  assert.equal(await drafter.stop(), 0);
  assert.ok(performance.now() - startedAtMs < 15_000);
  const lacking = await lacksPrometheus();
  if (lacking !== null) return context.skip(lacking);
  const among = /SpillwayWorkersStuck/;
  await checkAlerts([
    { name: 'once', history: [...still(before, 5), ...still(after, 40)], firing: { 10: [], 30: [] }, among },
    { name: 'again and again', history: growing(before, after, 20), firing: { 15: ['SpillwayWorkersStuck'] }, among },
  ]);
});
