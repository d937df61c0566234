import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { escalatedJob, LIMITS, type DocumentJob, type Draft } from '@spillway/core';
import { beginPage, handOff, pagesInHand, Queues, untilAnswered, type Board } from '@spillway/redis';
import { boardOn, markRecovered, openBatch } from '../support/boards.ts';
import { jobOf } from '../support/jobs.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';

let redis: RedisServer;

before(async () => {
  redis = await startRedis();
});

after(async () => {
  await redis.stop();
});

const QUEUE = 'draft.small';

async function add(queues: Queues, batch: string, first: number, count: number): Promise<void> {
  const jobs = Array.from({ length: count }, (_, at) => jobOf({ batch, document: first + at }));
  await queues.add(QUEUE, jobs, await queues.turns(QUEUE, batch, count));
}

/** The ids that wait, next one first. */
const waiting = (board: Board): Promise<string[]> =>
  board.client.zrange(`${board.keys.queue(QUEUE)}:prioritized`, '0', '-1');

test('batches take turns document by document, whoever came first', async () => {
  await using board = await boardOn(redis, 'turns');
  await using queues = new Queues(board);
  await add(queues, 'a', 0, 4);
  await add(queues, 'b', 0, 2);
  assert.deepEqual(await waiting(board), ['a-0', 'b-0', 'a-1', 'b-1', 'a-2', 'a-3']);
});

test('near the highest priority all tags move down: the order stays, also of what comes back later', async () => {
  await using board = await boardOn(redis, 'highest');
  await using queues = new Queues(board);
  const { client, keys } = board;
  const queue = keys.queue(QUEUE);
  // One job, so that the queue is not empty, at the tags of a queue that has carried two million.
  await add(queues, 'late', 0, 1);
  const now = LIMITS.queuePriority - 7;
  await client.hset(`${queue}:late-0`, 'priority', String(now + 1));
  await client.zadd(`${queue}:delayed`, 1, 'late-0');
  await client.zrem(`${queue}:prioritized`, 'late-0');
  await client.hset(keys.turns(QUEUE), '#now', String(now));
  await add(queues, 'a', 0, 4);
  await add(queues, 'b', 0, 2);
  // Four more do not fit below the highest.
  await add(queues, 'a', 4, 4);
  await add(queues, 'b', 2, 2);
  assert.deepEqual(await waiting(board), [
    'a-0',
    'b-0',
    'a-1',
    'b-1',
    'a-2',
    'b-2',
    'a-3',
    'b-3',
    'a-4',
    'a-5',
    'a-6',
    'a-7',
  ]);
  const priority = async (id: string) => Number(await client.hget(`${queue}:${id}`, 'priority'));
  assert.ok((await priority('a-7')) < 20, 'they are low again');
  assert.equal(await priority('late-0'), 1, 'what is due later comes back in its turn');
  const scores = await client.zrange(`${queue}:prioritized`, '0', '-1', 'WITHSCORES');
  for (let at = 0; at < scores.length; at += 2) {
    assert.equal(Math.floor(Number(scores[at + 1]) / 2 ** 32), await priority(scores[at] ?? ''), scores[at]);
  }
});

test('a queue whose jobs are all delayed or worked on does not start its tags anew', async () => {
  await using board = await boardOn(redis, 'anew');
  await using queues = new Queues(board);
  const { client, keys } = board;
  await add(queues, 'a', 0, 3);
  await client.hset(keys.turns(QUEUE), '#now', '3');
  await client.del(`${keys.queue(QUEUE)}:prioritized`);
  await client.zadd(`${keys.queue(QUEUE)}:delayed`, 1, 'a-2');
  assert.equal(await queues.turns(QUEUE, 'b', 1), 4, 'behind the one that comes back');
  await client.del(`${keys.queue(QUEUE)}:delayed`);
  assert.equal(await queues.turns(QUEUE, 'b', 1), 1);
});

test('a hand-off charges the draft to the room of its page', async () => {
  await using board = await boardOn(redis, 'charged');
  await using queues = new Queues(board);
  await markRecovered(board);
  await openBatch(board, 'a', 1, 1);
  await beginPage(board, 'a', 0, { first: 0, documents: 1, offset: 0, bytes: 100, lineBefore: 0 }, 100);
  const body = { text: 'x'.repeat(5_000) };
  const draft: Draft = {
    model: 'small',
    answer: {
      status: 200,
      requestId: null,
      body,
      usage: { inputTokens: 1, cachedTokens: 0, outputTokens: 1, reasoningTokens: 0 },
    },
    score: null,
    confidence: null,
    fields: null,
    evidence: null,
    reason: 'no_logprobs',
    attempts: [],
    startedAtMs: 0,
    endedAtMs: 0,
  };
  const job: DocumentJob = jobOf({ batch: 'a', document: 0 });
  assert.equal(await handOff(board, queues, job, draft), 'GO');
  assert.equal(escalatedJob(job, draft, 0).draft, draft);
  const [held] = await pagesInHand(board);
  assert.ok((held?.bytes ?? 0) >= 5_100, `${held?.bytes}`);
});

test('what is written waits for Redis, ends when the process must, and throws what will not pass', async () => {
  await using board = await boardOn(redis, 'patience');
  const never = new AbortController().signal;
  let tries = 0;
  const answer = await untilAnswered(async () => ((tries += 1) < 3 ? 'RECOVERING' : 'WROTE'), never);
  assert.deepEqual([answer, tries], ['WROTE', 3]);
  const wrong = async (): Promise<'WROTE'> => {
    await board.client.set('a string', 'x');
    await board.client.hset('a string', 'field', 'x');
    return 'WROTE';
  };
  await assert.rejects(untilAnswered(wrong, never), /WRONGTYPE/);
  const gone = async (): Promise<'WROTE'> => {
    throw new Error('Missing key for job 1. updateData');
  };
  await assert.rejects(untilAnswered(gone, never), /Missing key/, 'it would be missing the next time too');
  const away = async (): Promise<'WROTE'> => {
    throw new Error('Connection is closed.');
  };
  assert.equal(await untilAnswered(away, AbortSignal.timeout(200)), 'STOPPED');
});
