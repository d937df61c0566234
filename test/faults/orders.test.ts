import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { KEYS, LIMITS, RECORDS } from '@spillway/core';
import { admit } from '@spillway/redis';
import { EnvReader, openTelemetry } from '@spillway/runtime';
import { findDocuments, readFooters, readRecord, type Storage } from '@spillway/storage';
import fc from 'fast-check';
import { Accounts } from '../../services/api/src/batches/account.ts';
import { cancelBatch } from '../../services/api/src/batches/cancel.ts';
import { linkOf } from '../../services/api/src/batches/chain.ts';
import { ApiError } from '../../services/api/src/errors.ts';
import { Ender } from '../../services/dispatcher/src/end.ts';
import { Finisher } from '../../services/dispatcher/src/finish.ts';
import { recoverIfNeeded } from '../../services/dispatcher/src/recover.ts';
import { Validator } from '../../services/dispatcher/src/validate.ts';
import { dispatcherParts, type DispatcherParts } from '../support/dispatcher.ts';
import { rulesOf } from '../support/jobs.ts';
import { manifestOf, writeNewBatch } from '../support/records.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { requestLine } from '../support/request-line.ts';

/*
 * A batch is validated, cancelled and ended by two dispatchers at once, while Redis may be wiped and any of them may die:
 * in every order of their steps in storage that fast-check thinks of. Each part is the real one, on a real Redis and a
 * real directory; it only waits before each record of the batch that it reads or writes until it is its turn.
 */

let redis: RedisServer;
let directory: string;
let runs = 0;

before(async () => {
  redis = await startRedis();
  directory = await mkdtemp(join(tmpdir(), 'spillway-orders-'));
});

after(async () => {
  await redis.stop();
  await rm(directory, { recursive: true, force: true });
});

const ID = `batch_${'a'.repeat(32)}`;
const FILE = `file-${'0'.repeat(32)}`;
const DOCUMENTS = LIMITS.pageDocuments + 4;
const never = new AbortController().signal;
const facts = { tenant: 'default', createdAtMs: Date.now(), expiresAtMs: Date.now() + 86_400_000 };

/** Lets one step after another happen, of whichever part a number names. */
class Order {
  readonly #waiting: { readonly part: string; readonly go: () => void }[] = [];
  readonly #steps = new Map<string, number>();
  readonly #live = new Set<string>();

  /** Runs the parts to their ends. `dying` stands still for good before its step of that number, as if killed. */
  async run(
    parts: ReadonlyMap<string, (step: () => Promise<void>) => Promise<void>>,
    choices: readonly number[],
    dying: { readonly part: string; readonly step: number } | null,
  ): Promise<void> {
    const ended = [...parts].map(async ([part, work]) => {
      this.#live.add(part);
      const died = Promise.withResolvers<void>();
      const step = async (): Promise<void> => {
        const count = (this.#steps.get(part) ?? 0) + 1;
        this.#steps.set(part, count);
        if (dying?.part === part && count >= dying.step) {
          died.resolve();
          await new Promise<never>(() => undefined);
        }
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#waiting.push({ part, go: resolve });
        await promise;
      };
      await Promise.race([work(step), died.promise]).finally(() => this.#live.delete(part));
    });
    for (let at = 0; this.#live.size > 0; at += 1) {
      await this.#settled();
      const [next] = this.#waiting.splice((choices[at % choices.length] ?? 0) % (this.#waiting.length || 1), 1);
      next?.go();
    }
    await Promise.all(ended);
  }

  /** Until each part waits for its turn, or waits for something else, such as the end of a recovery. */
  async #settled(): Promise<void> {
    for (let looks = 0; looks < 60; looks += 1) {
      if (new Set(this.#waiting.map(({ part }) => part)).size === this.#live.size) return;
      await delay(1);
    }
  }
}

const isRecord = (key: string): boolean =>
  [KEYS.validated(ID), KEYS.ending(ID), KEYS.final(ID)].includes(key) || key.startsWith(KEYS.indexes(ID));

/** A storage whose records of the batch are read and written when it is their turn. */
function inTurn(storage: Storage, step: () => Promise<void>): Storage {
  const waiting =
    (name: 'create' | 'read' | 'size') =>
    async (key: string, ...rest: never[]) => {
      if (isRecord(key)) await step();
      return await (storage[name] as (key: string, ...given: never[]) => unknown)(key, ...rest);
    };
  return new Proxy(storage, {
    get: (target, name) => {
      if (name === 'create' || name === 'read' || name === 'size') return waiting(name);
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** The parts of a dispatcher that validate and end. */
async function leading(parts: DispatcherParts) {
  const { log, storage, redis: store } = parts;
  const telemetry = await openTelemetry('test', new EnvReader({}), log);
  const finisher = new Finisher({ redis: store, storage, webhooks: { mark: async () => undefined }, telemetry, log });
  const limits = { lines: LIMITS.batchLines, lineBytes: LIMITS.lineBytes };
  const options = { ...parts, finisher, limits, spans: null };
  const [validator, ender] = [new Validator(options), new Ender(options)];
  parts.live.begin([parts.outlines, validator, ender]);
  return { validator, ender, live: parts.live };
}

async function create({ storage, redis: store }: DispatcherParts): Promise<void> {
  const text = Array.from({ length: DOCUMENTS }, (_, at) => `${requestLine('x', `doc-${at}`)}\n`).join('');
  const manifest = manifestOf(ID, { ...facts, inputFileId: FILE, cascades: { test: rulesOf() } });
  await writeNewBatch(storage, manifest, text);
  await admit(store, ID, facts);
}

/** Cancels the batch, as a client would who is told to come again; false: it was told so. */
async function cancel(parts: DispatcherParts): Promise<boolean> {
  const accounts = new Accounts(parts);
  try {
    await cancelBatch({ ...parts, accounts }, 'default', ID);
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.status === 503) return false;
    throw error;
  }
}

async function checkEnd({ storage, records }: DispatcherParts, total: number): Promise<void> {
  const final = await records.final(ID);
  const validated = await readRecord(storage, KEYS.validated(ID), RECORDS.validated);
  assert.ok(final !== null && validated !== null);
  assert.equal(final.outcome, 'cancelled');
  assert.equal(final.total, validated.total, 'the lines are those of the record that stands');
  assert.equal(final.pages.length, validated.pages.length);
  const isRuledOut = validated.ruledOut === true;
  assert.equal(final.total, isRuledOut ? 0 : DOCUMENTS);
  assert.deepEqual([final.outputFileId === null, final.errorFileId === null], [true, isRuledOut]);
  assert.equal((await records.validated(ID)) === null, isRuledOut);
  const { index } = validated;
  assert.equal(index === undefined, isRuledOut, 'a record that names an index has it');
  if (index !== undefined) {
    const last = { customId: `doc-${DOCUMENTS - 1}`, from: 0, most: 2 };
    const found = await findDocuments(storage, { batch: ID, index }, last);
    assert.deepEqual(found, { kind: 'found', documents: [DOCUMENTS - 1] });
  }
  const footers = await readFooters(storage, ID, validated.pages.keys());
  assert.ok(footers.every((footer) => footer !== null));
  const { validated: shown, hasEnded } = await linkOf(records, ID);
  assert.deepEqual([shown?.total ?? 0, hasEnded], [final.total, true]);
  if (total > 0) assert.equal(final.total, total, 'what was shown once stays');
}

const PARTS = ['validator', 'ender', 'other validator', 'other ender', 'client', 'wipe'] as const;

const schedule = fc.record({
  choices: fc.array(fc.nat({ max: 59 }), { minLength: 30, maxLength: 30 }),
  isWiped: fc.boolean(),
  dying: fc.option(fc.record({ part: fc.constantFrom(...PARTS), step: fc.integer({ min: 1, max: 8 }) })),
});

test('cancelled while it is validated: lines for all of a validated batch, none for one that was not, in any order', async () => {
  await fc.assert(
    fc.asyncProperty(schedule, async ({ choices, isWiped, dying }) => {
      await redis.client.flushall();
      runs += 1;
      const path = join(directory, `${runs}`);
      const turns = new Map<string, () => Promise<void>>();
      const partsOf = (name: string, one = name): Promise<DispatcherParts> =>
        dispatcherParts(redis, 'orders', path, (storage) => inTurn(storage, async () => await turns.get(one)?.()));
      await using clean = await dispatcherParts(redis, 'orders', path);
      await recoverIfNeeded(clean, 'first', never);
      await create(clean);
      await using one = await partsOf('validator');
      // The ender of the same process shares its records, as in a dispatcher; its storage waits on its own.
      await using two = await partsOf('ender');
      await using three = await partsOf('other validator');
      await using four = await partsOf('other ender');
      await using five = await partsOf('client');
      await using six = await partsOf('wipe');
      let shown = 0;
      const validating = (parts: DispatcherParts) => async (step: () => Promise<void>) => {
        const { validator, live } = await leading(parts);
        for (let pass = 0; pass < 2; pass += 1) {
          await step();
          await live.refresh();
          await validator.validateSome();
          shown = Math.max(shown, live.get(ID)?.total ?? 0);
          live.noteGap();
        }
        await validator.stop();
      };
      const ending = (parts: DispatcherParts) => async (step: () => Promise<void>) => {
        const { ender, live } = await leading(parts);
        for (let pass = 0; pass < 4; pass += 1) {
          await step();
          live.noteGap();
          await live.refresh();
          await ender.endSome();
        }
      };
      const works = new Map<string, (step: () => Promise<void>) => Promise<void>>([
        ['validator', validating(one)],
        ['ender', ending(two)],
        ['other validator', validating(three)],
        ['other ender', ending(four)],
        ['client', async () => void (await cancel(five))],
      ]);
      if (isWiped) {
        works.set('wipe', async (step) => {
          await step();
          await redis.client.flushall();
          await recoverIfNeeded(six, 'wipe', never);
        });
      }
      const registered = new Map(
        [...works].map(([name, work]) => [
          name,
          async (step: () => Promise<void>) => {
            turns.set(name, step);
            await work(step);
          },
        ]),
      );
      await new Order().run(registered, choices, dying);
      // Whoever is left: a client that asks again, and a dispatcher that comes to lead.
      while (!(await cancel(clean))) await recoverIfNeeded(clean, 'last', never);
      const { validator, ender, live } = await leading(clean);
      for (let pass = 0; pass < 20 && !(await clean.records.hasEnded(ID)); pass += 1) {
        live.noteGap();
        await live.refresh();
        await validator.validateSome();
        await ender.endSome();
      }
      await validator.stop();
      await checkEnd(clean, shown);
      await rm(path, { recursive: true, force: true });
    }),
    { numRuns: Number(process.env['ORDERS'] ?? 25), endOnFailure: true },
  );
});
