import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  addUsage,
  NO_USAGE,
  drawnDocuments,
  KEYS,
  readResultLine,
  resultOf,
  route,
  sampleFileId,
  sampleIdOf,
  stageOf,
  type Aim,
  type CascadeRules,
  type DocumentJob,
  type Manifest,
  type Draft,
  type Outcome,
  type ResultLine,
} from '@spillway/core';
import { admit, close, readRules } from '@spillway/redis';
import type { Storage } from '@spillway/storage';
import fc from 'fast-check';
import { linesOf, sealedPage } from '../../services/api/src/batches/pages.ts';
import { collectGarbage } from '../../services/dispatcher/src/garbage.ts';
import { recoverIfNeeded } from '../../services/dispatcher/src/recover.ts';
import { dispatcherParts, type DispatcherParts } from '../support/dispatcher.ts';
import { leaderOf, Life, type Leader } from '../support/dying-leader.ts';
import { acceptedDraftOf, answerOf, draftOf, rulesOf } from '../support/jobs.ts';
import { leadToEnd, settleQueued, type Events, type Lives } from '../support/lives.ts';
import { manifestOf, writeNewBatch } from '../support/records.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { requestLine } from '../support/request-line.ts';

/*
 * A batch that finds its thresholds by a sample of itself is taken to its end by real parts of dispatchers on a real Redis
 * and a real directory, in any order of their steps: each leader may die before any of its readings and writings, Redis may
 * be wiped, and the batch may be cancelled or expire, at any moment.
 */

let redis: RedisServer;
let directory: string;
let runs = 0;

before(async () => {
  redis = await startRedis();
  directory = await mkdtemp(join(tmpdir(), 'spillway-promises-'));
});

after(async () => {
  await redis.stop();
  await rm(directory, { recursive: true, force: true });
});

const ID = `batch_${'d'.repeat(32)}`;
const SAMPLE = sampleIdOf(ID);
const FILE = `file-${'1'.repeat(32)}`;
const never = new AbortController().signal;

/** Two pages; drafts are wrong where they are unsure, and some cannot be judged. */
const DOCUMENTS = 400;
const confidenceOf = (at: number): number | null => (at % 50 === 7 ? null : ((at * 37) % 100) / 100);
const isWrong = (at: number): boolean => at % 3 === 0 && (confidenceOf(at) ?? 0) < 0.5;
/** The expert has no answer to these when they are sampled. */
const failsOnce = (at: number): boolean =>
  confidenceOf(at) === null ? at % 4 === 3 : (confidenceOf(at) ?? 1) < 0.3 && at % 3 === 1;
const saying = (text: string) =>
  answerOf({ body: { choices: [{ index: 0, message: { role: 'assistant', content: text } }] } });

const AIMS: Readonly<Record<string, Aim>> = {
  promise: { kind: 'promise', agreement: 0.9, certainty: 0.9, otherwise: 'expert' },
  impossible: { kind: 'promise', agreement: 0.999, certainty: 0.9, otherwise: 'expert' },
  budget: { kind: 'budget', expert_share: 0.3 },
};

const facts = { tenant: 'default', createdAtMs: Date.now(), expiresAtMs: Date.now() + 86_400_000 };

async function create(
  { storage, redis: store }: DispatcherParts,
  aim: Aim,
  more: Partial<Manifest> = {},
): Promise<void> {
  const lines = Array.from({ length: DOCUMENTS }, (_, at) => `${requestLine(`text ${at}`, `doc-${at}`)}\n`);
  const cascades = {
    test: rulesOf({
      aim,
      prices: [
        { input: 1, output: 1 },
        { input: 1, output: 1 },
      ],
    }),
  };
  await writeNewBatch(storage, manifestOf(ID, { ...facts, inputFileId: FILE, cascades, ...more }), lines.join(''));
  await admit(store, ID, facts);
}

const STEPS = ['validate', 'calibrate', 'enqueue', 'answer some', 'answer', 'seal', 'sweep', 'end'] as const;
type StepName = (typeof STEPS)[number];

const leading = (base: DispatcherParts, life: Life, asked: Asked): Promise<Leader<StepName>> =>
  leaderOf(base, life, {
    'answer some': () => answer(base, asked, (job) => job.document % 3 === 0),
    answer: () => answer(base, asked, () => true),
  });

/** How often documents were drafted, and answered by the expert, by their names. */
type Asked = {
  readonly drafts: string[];
  readonly experts: string[];
  /** These are not answered while they are sampled, however long that takes. */
  readonly isSilent: (document: number) => boolean;
};

/** Each call reads and writes so many tokens, at a dollar a million. */
const CALL_NANO_USD = 110_000;
const USAGE = { inputTokens: 100, cachedTokens: 0, outputTokens: 10, reasoningTokens: 0 };

/** Works on some of the documents that are in the queues, by the rules that workers read. */
async function answer(base: DispatcherParts, asked: Asked, isChosen: (job: DocumentJob) => boolean): Promise<void> {
  for (const batch of [SAMPLE, ID]) {
    const rules = (await readRules(base.redis, batch))?.['test'];
    if (rules === undefined) continue;
    const isAnswered = (job: DocumentJob): boolean =>
      isChosen(job) && !(batch === SAMPLE && asked.isSilent(Number(job.customId.slice(4))));
    await settleQueued(base, batch, { isChosen: isAnswered, resultFor: (job) => resultFor(job, rules, asked) });
  }
}

/** What becomes of a document: its draft, and the expert's answer where that is not final. */
function resultFor(job: DocumentJob, rules: CascadeRules, asked: Asked) {
  assert.equal(rules.aim, undefined, 'workers decide by thresholds that were found');
  const at = Number(job.customId.slice(4));
  const confidence = confidenceOf(at);
  const times = { startedAtMs: job.enqueuedAtMs, endedAtMs: job.enqueuedAtMs };
  const { drafts } = job;
  let stage = drafts.length;
  const all: Draft[] = [...drafts];
  if (stage === 0) {
    asked.drafts.push(job.customId);
    const acceptAt = stageOf(rules, 0).judge?.acceptAt ?? assert.fail();
    const judged =
      confidence === null
        ? ({ kind: 'no_evidence', reason: 'no_logprobs' } as const)
        : ({ kind: 'scored', confidence, score: confidence, fields: null } as const);
    const { shadow } = rules;
    const decision = route(judged, { acceptAt, shadow, isSampled: rules.sample !== undefined });
    const decided = { answer: saying(isWrong(at) ? 'wrong' : `right ${at}`), score: confidence };
    const own = draftOf({ ...decided, confidence });
    if (decision.kind === 'accept') {
      const draft = acceptedDraftOf({ ...decided, confidence: decision.confidence });
      return resultOf({ job, rules }, { kind: 'accepted', draft });
    }
    all.push({ ...own, reason: decision.reason, handedOffAtMs: job.enqueuedAtMs });
    stage = 1;
  }
  asked.experts.push(job.customId);
  // Once, so that it is asked about again, by the expert only.
  if (rules.sample !== undefined && failsOnce(at)) {
    const error = { code: 'server_error', message: 'no' };
    const failed = { job: { ...job, drafts: all, stage }, rules };
    return resultOf(failed, { kind: 'failed', error, why: { type: '500', message: 'no' }, usage: USAGE, ...times });
  }
  const document = { job: { ...job, drafts: all, stage }, rules };
  const answered = { ...saying(`right ${at}`), usage: addUsage(job.spent ?? NO_USAGE, USAGE) };
  return resultOf(document, { kind: 'answered', answer: answered, ...times });
}

async function runToEnd(
  name: string,
  aim: string,
  lives: Lives<StepName>,
  { isSilent = () => false, ...events }: Events & { readonly isSilent?: Asked['isSilent'] } = {},
) {
  await redis.client.flushall();
  const path = join(directory, name);
  await using base = await dispatcherParts(redis, 'promises', path);
  await recoverIfNeeded(base, 'first', never);
  await create(base, AIMS[aim] ?? assert.fail());
  const asked: Asked = { drafts: [], experts: [], isSilent };
  await leadToEnd(base, ID, { lead: (own) => leading(base, own, asked), lives, steps: STEPS, ...events });
  const found = await checkEnd(base, events.closing?.outcome ?? 'completed');
  await rm(path, { recursive: true, force: true });
  return { ...found, asked };
}

async function checkEnd({ storage, records }: DispatcherParts, outcome: Outcome) {
  const final = await records.final(ID);
  assert.ok(final !== null, 'it came to its end');
  assert.ok(final.outcome === outcome || final.outcome === 'completed');
  const plan = await records.plan(ID);
  if (plan === null) {
    assert.notEqual(final.outcome, 'completed');
    return { lines: [], calibration: null, drawn: [] };
  }
  const lines = new Map<number, ResultLine>();
  for (const page of plan.pages.keys()) {
    const sealed = (await sealedPage(storage, ID, plan.pages, page)) ?? assert.fail();
    for await (const { document, bytes } of linesOf(storage, sealed)) {
      assert.ok(!lines.has(document), 'each has one line');
      lines.set(document, readResultLine(bytes.toString()) ?? assert.fail(bytes.toString()));
    }
  }
  assert.equal(lines.size, DOCUMENTS);
  const drawn = drawnDocuments(plan.draws ?? {});
  const acceptAt = plan.cascades['test']?.stages[0]?.judge?.acceptAt ?? assert.fail();
  const calibration = (await records.calibration(ID))?.cascades['test'] ?? null;
  let [completed, nanoUsd] = [0, 0];
  for (const [document, line] of lines) {
    assert.equal(line.custom_id, `doc-${document}`);
    if (line.response === null) {
      assert.ok(line.error?.code.startsWith('batch_') === true && final.outcome !== 'completed');
      continue;
    }
    completed += 1;
    const { cascade } = line;
    assert.ok(cascade !== undefined);
    for (const { usage } of cascade.stages) nanoUsd += 1_000 * (usage.input_tokens + usage.output_tokens);
    if (cascade.sampled === true) assert.ok(drawn.includes(document));
    const body = JSON.stringify(line.response.body);
    const isRight = body.includes(`"right ${document}"`);
    assert.ok(isRight || isWrong(document), body);
    if (cascade.escalated) assert.ok(isRight, 'the expert is right');
    else assert.ok((confidenceOf(document) ?? -1) >= acceptAt, 'nothing is accepted but by the threshold');
  }
  assert.equal(final.counts['completed'], completed);
  // What the lines say was paid is what the batch paid; what a sample took of documents that were not finished beside it.
  const paid = Object.entries(final.counts).reduce((sum, [name, by]) => sum + (name.endsWith('/nanoUsd') ? by : 0), 0);
  if (final.outcome === 'completed') assert.equal(paid, nanoUsd);
  else assert.ok(paid >= nanoUsd);
  assert.ok((await records.final(SAMPLE)) !== null || drawn.length === 0 || (await records.manifest(SAMPLE)) === null);
  return { lines: [...lines.values()], calibration, drawn, paid };
}

const ALL = STEPS.filter((one) => one !== 'answer some');
const whole: Lives<StepName> = [
  { operations: Number.POSITIVE_INFINITY, steps: Array.from({ length: 12 }, () => ALL).flat() },
];

test('undisturbed, nobody is asked twice, sampled answers are the expert’s, and the threshold is kept', async () => {
  const { lines, calibration, drawn, asked, paid } = await runToEnd('promise', 'promise', whole);
  assert.equal(calibration?.outcome, 'certified');
  assert.deepEqual([asked.drafts.length, new Set(asked.drafts).size], [DOCUMENTS, DOCUMENTS]);
  const escalated = lines.filter(({ cascade }) => cascade?.escalated === true);
  const failed = drawn.filter(failsOnce);
  assert.ok(failed.length > 0);
  assert.equal(asked.experts.length, escalated.length + failed.length);
  for (const at of failed) {
    const [first] = lines[at]?.cascade?.stages ?? [];
    assert.deepEqual([first?.outcome, first?.reason], ['skipped', 'sampled'], 'no draft of it is final');
  }
  assert.equal(paid, (asked.drafts.length + asked.experts.length) * CALL_NANO_USD, 'failed calls, too, are counted');
  assert.ok(drawn.length > 10 && drawn.length < 200, String(drawn.length));
  assert.deepEqual(
    lines.flatMap(({ cascade }, at) => (cascade?.sampled === true ? [at] : [])),
    drawn.filter((at) => !failed.includes(at)),
  );
  assert.ok(escalated.length < DOCUMENTS * 0.8, 'it spares the expert something');
});

test('what cannot be promised goes to the expert alone, and no drafter is paid', async () => {
  const { lines, calibration, asked, drawn } = await runToEnd('impossible', 'impossible', whole);
  assert.deepEqual([calibration?.outcome, calibration?.reason, drawn], ['not_certified', 'batch_too_small', []]);
  assert.deepEqual([asked.drafts.length, asked.experts.length], [0, DOCUMENTS]);
  assert.ok(
    lines.every(({ cascade }) => cascade?.certificate === null && cascade.stages[0]?.reason === 'not_certified'),
  );
});

test('a budget is kept, and a draft that its threshold does not accept after all is handed off', async () => {
  const { lines, asked, paid } = await runToEnd('budget', 'budget', whole);
  assert.deepEqual(
    [asked.drafts.length, new Set(asked.drafts).size],
    [DOCUMENTS, DOCUMENTS],
    'nothing is drafted twice',
  );
  const escalated = lines.filter(({ cascade }) => cascade?.escalated === true).length;
  assert.ok(Math.abs(escalated / DOCUMENTS - 0.3) < 0.02, String(escalated));
  const again = asked.experts.length - escalated;
  assert.ok(again > 0 && new Set(asked.experts).size === escalated, 'those whose expert failed in the sample');
  assert.equal(paid, (asked.drafts.length + asked.experts.length) * CALL_NANO_USD);
});

test('a sample that takes too long is decided by without what is missing, which the expert answers', async () => {
  const isSilent = (at: number): boolean => at % 19 === 3;
  const expiring = { after: 3 * ALL.length, batch: SAMPLE };
  const { lines, calibration, drawn } = await runToEnd('slow', 'promise', whole, { isSilent, expiring });
  const missing = drawn.filter(isSilent);
  assert.ok(missing.length > 0);
  assert.deepEqual([calibration?.outcome, calibration?.n], ['certified', drawn.length]);
  for (const at of missing) {
    const { sampled, stages } = lines[at]?.cascade ?? assert.fail();
    assert.deepEqual([sampled, stages[0]?.reason, stages[1]?.outcome], [undefined, 'sampled', 'answered']);
  }
  const most = await runToEnd('slower', 'promise', whole, { isSilent: (at) => at % 2 === 0, expiring });
  assert.deepEqual([most.calibration?.outcome, most.calibration?.reason], ['not_certified', 'sample_unfinished']);
  assert.ok(
    most.lines.every(({ cascade }) => cascade?.escalated === true),
    'all of it goes to the expert',
  );
});

test('a batch that is cancelled while its sample is being made has no sample that runs on', async () => {
  await redis.client.flushall();
  const uploaded = KEYS.fileBytes(sampleFileId(SAMPLE));
  let onUpload: (() => Promise<void>) | null = null;
  const wrap = (storage: Storage): Storage =>
    new Proxy(storage, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        return async (...given: unknown[]): Promise<unknown> => {
          const done: unknown = await Reflect.apply(value, target, given);
          if (name === 'upload' && given[0] === uploaded) await onUpload?.();
          return done;
        };
      },
    });
  await using base = await dispatcherParts(redis, 'promises', join(directory, 'orphan'), wrap);
  await recoverIfNeeded(base, 'first', never);
  await create(base, AIMS['promise'] ?? assert.fail());
  const asked: Asked = { drafts: [], experts: [], isSilent: () => false };
  const leader = await leading(base, new Life(Number.POSITIVE_INFINITY), asked);
  await leader.step('validate');
  onUpload = async () => {
    await close(base.redis, ID, 'cancelled');
    await leader.step('end');
    await leader.step('end');
  };
  for (let pass = 0; pass < 6; pass += 1) for (const one of STEPS) await leader.step(one);
  assert.equal((await base.records.final(ID))?.outcome, 'cancelled');
  assert.ok((await base.records.final(SAMPLE)) !== null, 'it has ended, too');
  assert.deepEqual([asked.drafts, asked.experts], [[], []]);
});

test('what a sample took is paid also where the batch ends before its documents are finished', async () => {
  let early = 0;
  for (let steps = ALL.length; steps <= 4 * ALL.length; steps += 3) {
    const name = `ended ${steps}`;
    const closing = { after: steps, outcome: 'cancelled' } as const;
    const { paid, lines, asked } = await runToEnd(name, 'budget', whole, { closing });
    if (asked.drafts.length > 0 && lines.some(({ response }) => response === null)) early += 1;
    assert.equal(paid, (asked.drafts.length + asked.experts.length) * CALL_NANO_USD, name);
  }
  assert.ok(early > 2, `${early} ended after some were asked`);
});

test('what is left of a sample that was never made whole goes with its batch', async () => {
  await redis.client.flushall();
  await using base = await dispatcherParts(redis, 'promises', join(directory, 'left'));
  const { storage } = base;
  await recoverIfNeeded(base, 'first', never);
  await create(base, AIMS['promise'] ?? assert.fail(), { outputExpiresAfterSeconds: 3_600 });
  await storage.create(KEYS.tenantMark('default'), Buffer.from('{}'));
  await storage.create(KEYS.tenantBatch('default', facts.createdAtMs, ID), Buffer.from('{}'));
  const asked: Asked = { drafts: [], experts: [], isSilent: () => false };
  await (await leading(base, new Life(Number.POSITIVE_INFINITY), asked)).step('validate');
  const left = [KEYS.openMark(SAMPLE), KEYS.fileBytes(sampleFileId(SAMPLE)), KEYS.fileRecord(sampleFileId(SAMPLE))];
  const areThere = async (): Promise<boolean[]> =>
    await Promise.all(left.map(async (key) => (await storage.size(key)) !== null));
  // Whoever makes it dies once its input is there.
  for (let operations = 1; !(await areThere()).every(Boolean); operations += 1) {
    assert.equal(await storage.size(KEYS.manifest(SAMPLE)), null);
    const leader = await leading(base, new Life(operations), asked);
    await leader.step('validate');
    await leader.step('calibrate');
  }
  await close(base.redis, ID, 'cancelled');
  const last = await leading(base, new Life(Number.POSITIVE_INFINITY), asked);
  for (let pass = 0; pass < 6; pass += 1) await last.step('end');
  assert.equal((await base.records.final(ID))?.outcome, 'cancelled');
  const nowMs = Date.now() + 10 * 3_600_000;
  await collectGarbage({ storage, log: base.log, nowMs, isShort: false, signal: never });
  assert.deepEqual(await areThere(), [false, false, false]);
});

const life = fc.record({
  operations: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 60, max: 600 })),
  steps: fc.array(fc.constantFrom(...STEPS), { minLength: 1, maxLength: 8 }),
});

const schedule = fc.record({
  aim: fc.constantFrom('promise', 'promise', 'budget'),
  lives: fc.array(life, { minLength: 1, maxLength: 6 }),
  wipe: fc.option(fc.record({ after: fc.integer({ min: 1, max: 25 }) })),
  closing: fc.option(
    fc.record({
      after: fc.integer({ min: 2, max: 25 }),
      outcome: fc.constantFrom<Outcome[]>('cancelled', 'expired'),
    }),
    { freq: 2 },
  ),
  sampleEndsAfter: fc.option(fc.integer({ min: 2, max: 40 }), { freq: 2 }),
});

test('whoever dies and whatever is lost: each document has one line, decided by thresholds that never change', async () => {
  await fc.assert(
    fc.asyncProperty(schedule, async ({ aim, lives, wipe, closing, sampleEndsAfter }) => {
      runs += 1;
      const expiring = sampleEndsAfter === null ? null : { after: sampleEndsAfter, batch: SAMPLE };
      await runToEnd(`${runs}`, aim, lives, { wipe, closing, expiring });
    }),
    { numRuns: Number(process.env['ORDERS'] ?? 12), endOnFailure: true },
  );
});
