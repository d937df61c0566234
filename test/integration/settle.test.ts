import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { NO_COUNTS, writePage, type PagePlan, type Result } from '@spillway/core';
import {
  beginPage,
  close,
  fullPages,
  isRecovering,
  markSealed,
  pagesInHand,
  readBatch,
  readPage,
  settle,
  type Board,
  type Settled,
} from '@spillway/redis';
import fc from 'fast-check';
import { boardOn, markRecovered, openBatch } from '../support/boards.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { until } from '../support/system.ts';

let redis: RedisServer;
let run = 0;

before(async () => {
  redis = await startRedis();
});

after(async () => {
  await redis.stop();
});

const PAGE = 4;
const plan: PagePlan = { first: 0, documents: PAGE, offset: 0, bytes: 100, lineBefore: 0 };

const resultBy = (writer: number, place: number): Result => ({
  line: { part: writer % 2 === 0 ? 'output' : 'error', text: JSON.stringify({ writer, place }) },
  counts: writer % 2 === 0 ? { completed: 1, draftInputTokens: writer } : { failed: 1 },
  times: { drafter: null, handOverMs: null, expert: null, sequentialMs: null, totalMs: writer },
});

/** What several processes do at once to one batch of two pages. */
type Step =
  | { readonly kind: 'settle'; readonly page: number; readonly place: number; readonly writer: number }
  | { readonly kind: 'seal'; readonly page: number }
  | { readonly kind: 'close' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('settle' as const),
      page: fc.integer({ min: 0, max: 1 }),
      place: fc.integer({ min: 0, max: PAGE - 1 }),
      writer: fc.integer({ min: 0, max: 9 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('seal' as const), page: fc.integer({ min: 0, max: 1 }) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'close' as const }) },
);

test('interleaved writers: one result per document, none after its page was sealed or its batch closed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), fc.scheduler(), async (steps, scheduler) => {
      const namespace = `settle${(run += 1)}`;
      await using opened = await boardsOn(namespace);
      const { boards } = opened;
      const [first] = boards as [Board];
      await markRecovered(first);
      await openBatch(first, 'batch', 2 * PAGE, 2);
      for (const page of [0, 1]) await beginPage(first, 'batch', page, plan, 100);

      const wrote = new Map<string, number>();
      const log: string[] = [];
      const perform = async (one: Step, board: Board): Promise<void> => {
        if (one.kind === 'close') await close(board, 'batch', 'cancelled');
        else if (one.kind === 'seal') await sealAsIs(board, one.page);
        else {
          const name = `${one.page}.${one.place}`;
          const answer = await settle(board, { batch: 'batch', ...one }, resultBy(one.writer, one.place));
          log.push(`${name} ${answer}`);
          if (answer === 'WROTE') {
            assert.equal(wrote.has(name), false, `${name} was written twice: ${log.join(', ')}`);
            wrote.set(name, one.writer);
          }
        }
      };
      const all = steps.map((one, index) => {
        const board = boards[index % boards.length] as Board;
        return scheduler.schedule(Promise.resolve(one)).then((due) => perform(due, board));
      });
      await scheduler.waitAll();
      await Promise.all(all);

      const state = await readBatch(first, 'batch');
      const writers = [...wrote.values()];
      assert.equal(state?.counts.completed, writers.filter((writer) => writer % 2 === 0).length);
      assert.equal(state?.counts.failed, writers.filter((writer) => writer % 2 === 1).length);
      for (const [name, writer] of wrote) {
        const [page = 0, place = 0] = name.split('.').map(Number);
        const { lines } = await readPage(first, 'batch', page);
        if (lines.size > 0) assert.equal(JSON.parse(lines.get(place)?.text ?? '{}').writer, writer);
      }
    }),
    { numRuns: 60 },
  );
});

/** Three clients, closed also when a property fails. */
async function boardsOn(namespace: string) {
  const boards = await Promise.all([0, 1, 2].map(() => boardOn(redis, namespace)));
  const dispose = async (): Promise<void> => {
    await Promise.all(boards.map((board) => board[Symbol.asyncDispose]()));
  };
  return { boards, [Symbol.asyncDispose]: dispose };
}

/** Seals a page with what it holds now, as an ending batch does, once its results can no longer change. */
async function sealAsIs(board: Board, page: number): Promise<void> {
  const state = await readBatch(board, 'batch');
  const { lines, counts } = await readPage(board, 'batch', page);
  if (state?.phase !== 'closed' && lines.size < PAGE) return;
  const ordered = [...lines].toSorted(([left], [right]) => left - right).map(([, line]) => line);
  await markSealed(board, 'batch', writePage(page, ordered, { counts: { ...NO_COUNTS, ...counts }, waits: {} }).footer);
}

test('the four answers, and what each one leaves', async () => {
  await using board = await boardOn(redis, 'answers');
  const where = { batch: 'b', page: 0, place: 1 };
  const write = (place = 1): Promise<Settled> => settle(board, { ...where, place }, resultBy(2, place));
  assert.equal(await write(), 'RECOVERING', 'nobody has recovered this Redis');
  await markRecovered(board);
  assert.equal(await isRecovering(board), false);
  assert.equal(await write(), 'CLOSED', 'there is no such batch');
  await openBatch(board, 'b', PAGE, 1);
  assert.equal(await write(), 'CLOSED', 'its page is not begun: it will be fed');
  await beginPage(board, 'b', 0, plan, 100);
  assert.equal(await write(), 'WROTE');
  assert.equal(await write(), 'ALREADY');
  assert.equal((await pagesInHand(board))[0]?.bytes, 100 + 1 + resultBy(2, 1).line.text.length);
  assert.deepEqual(await fullPages(board), []);
  for (const place of [0, 2, 3]) await write(place);
  assert.deepEqual(await fullPages(board), [{ batch: 'b', page: 0 }]);
  const { footer } = writePage(0, [], { counts: { ...NO_COUNTS, completed: 3, failed: 1 }, waits: {} });
  assert.equal(await markSealed(board, 'b', footer), 'SEALED');
  assert.equal(await markSealed(board, 'b', footer), 'ALREADY');
  const state = await readBatch(board, 'b');
  assert.deepEqual([state?.counts.completed, state?.counts.failed, state?.sealedPages], [3, 1, 1], 'the footer counts');
  assert.deepEqual([await fullPages(board), await pagesInHand(board)], [[], []]);
  assert.equal(await write(), 'ALREADY', 'sealed');
  await close(board, 'b', 'completed');
  assert.equal(await write(), 'CLOSED');
});

test('a wiped or restarted Redis answers RECOVERING until storage was read again', async () => {
  await using server = await startRedis();
  await using board = await boardOn(server, 'wiped');
  await markRecovered(board);
  await server.client.flushall();
  assert.equal(await isRecovering(board), true);
  await markRecovered(board);
  assert.equal(await isRecovering(board), false);
  await server.client.bgrewriteaof();
  await server.restart();
  // A restart may have lost the last second.
  await until(() => isRecovering(board).catch(() => false));
});

test('completing needs every result; whoever closes first decides', async () => {
  await using board = await boardOn(redis, 'closing');
  await markRecovered(board);
  await openBatch(board, 'c', 1, 1);
  await beginPage(board, 'c', 0, { ...plan, documents: 1 }, 100);
  assert.deepEqual(await close(board, 'c', 'completed'), { kind: 'REFUSED' });
  await settle(board, { batch: 'c', page: 0, place: 0 }, resultBy(2, 0));
  const answers = await Promise.all(
    (['completed', 'cancelled', 'expired'] as const).map((outcome) => close(board, 'c', outcome)),
  );
  assert.equal(answers.filter((answer) => answer.kind === 'CLOSED').length, 1);
  const outcomes = new Set(answers.map((answer) => ('outcome' in answer ? answer.outcome : null)));
  assert.equal(outcomes.size, 1, 'all are told the same outcome');
  assert.deepEqual(await close(board, 'none', 'cancelled'), { kind: 'GONE' });
});
