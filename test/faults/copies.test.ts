import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  KEYS,
  keptText,
  LIMITS,
  NO_COUNTS,
  readResultLine,
  resultOf,
  writePage,
  type DocumentJob,
  type Ending,
  type Outcome,
  type ResultLine,
} from '@spillway/core';
import { admit, advance, enqueuePage, markSealed, readPage } from '@spillway/redis';
import { readFooters } from '@spillway/storage';
import fc from 'fast-check';
import { linesOf, sealedPage } from '../../services/api/src/batches/pages.ts';
import { addDocuments } from '../../services/dispatcher/src/document-jobs.ts';
import { readDocuments } from '../../services/dispatcher/src/input.ts';
import { recoverIfNeeded } from '../../services/dispatcher/src/recover.ts';
import { leaderOf, Life, type Leader } from '../support/dying-leader.ts';
import { dispatcherParts, type DispatcherParts } from '../support/dispatcher.ts';
import { acceptedDraftOf, answerOf, draftOf, jobOf, rulesOf } from '../support/jobs.ts';
import { leadToEnd, settleQueued, type Events, type Lives } from '../support/lives.ts';
import { manifestOf, writeNewBatch } from '../support/records.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { requestLine } from '../support/request-line.ts';

/*
 * A batch with copies is taken to its end by real parts of dispatchers on a real Redis and a real directory, in any order of
 * their steps: each leader may die before any of its readings and writings, and Redis may be wiped, at any moment.
 */

let redis: RedisServer;
let directory: string;
let runs = 0;

before(async () => {
  redis = await startRedis();
  directory = await mkdtemp(join(tmpdir(), 'spillway-copies-'));
});

after(async () => {
  await redis.stop();
  await rm(directory, { recursive: true, force: true });
});

const ID = `batch_${'c'.repeat(32)}`;
const FILE = `file-${'0'.repeat(32)}`;
const never = new AbortController().signal;
const RULES = rulesOf({ deduplicate: 'always', prices: [{ input: 1, output: 2 }, null] });

/** Three pages: bodies that come again within a page and in others, some only once, and a few that are bad lines. */
const DOCUMENTS = 2 * LIMITS.pageDocuments + 60;
const bodyOf = (at: number): number => (at % 7 === 3 ? 1_000 + at : at % 90);
const isBad = (at: number): boolean => at === 5 || at === 300;
/** The first of this body fails, and some that are asked about after it. */
const fails = (at: number): boolean => bodyOf(at) % 30 === 8 && at % 4 !== 2;

const firsts = new Map<number, number>();
for (let at = 0; at < DOCUMENTS; at += 1) {
  if (!isBad(at) && !firsts.has(bodyOf(at))) firsts.set(bodyOf(at), at);
}
const firstOf = (at: number): number => firsts.get(bodyOf(at)) ?? at;

/** The batch that this one may be decided anew from: it knows the answers of some documents, and the drafts of others. */
const BEFORE = `batch_${'b'.repeat(32)}`;
const isAnsweredBefore = (at: number): boolean => !isBad(at) && at % 5 === 0;
const isDraftedBefore = (at: number): boolean => !isBad(at) && at % 5 === 1;

const saying = (at: number) => answerOf({ body: { choices: [], text: `${bodyOf(at)}` } });

/** How a document ended in the batch before, where it was not answered: with a draft that is not final, or without one. */
const FAILED: Ending = {
  kind: 'failed',
  error: { code: 'server_error', message: 'no' },
  why: { type: '500', message: '' },
  startedAtMs: 0,
  endedAtMs: 0,
};

function endedBefore(at: number) {
  const job = jobOf({ batch: BEFORE, document: at });
  if (isAnsweredBefore(at)) {
    const ending: Ending = { kind: 'accepted', draft: acceptedDraftOf({ answer: saying(at) }) };
    return { document: { job, rules: RULES }, ending };
  }
  const draft = draftOf({ answer: saying(at), confidence: 0.6, score: Math.log(0.6) });
  const drafts = isDraftedBefore(at) ? [draft] : [];
  return { document: { job: { ...job, stage: 1, drafts }, rules: RULES }, ending: FAILED };
}

/** What a dispatcher has left of the batch before: the plan is the same, as it is by the same file. */
async function writeBefore({ storage, records }: DispatcherParts): Promise<void> {
  const { redecided: _redecided, ...manifest } = (await records.manifest(ID)) ?? assert.fail();
  const { pages } = (await records.plan(ID)) ?? assert.fail();
  await storage.create(KEYS.manifest(BEFORE), Buffer.from(JSON.stringify({ ...manifest, id: BEFORE })));
  await storage.create(KEYS.validated(BEFORE), (await storage.read(KEYS.validated(ID))) ?? assert.fail());
  for (const [page, { first, documents }] of pages.entries()) {
    const ended = Array.from({ length: documents }, (_, place) => endedBefore(first + place));
    const lines = ended.map(({ document, ending }) => resultOf(document, ending).line);
    const drafts = ended.map(({ document, ending }) => keptText(document, ending));
    const { bytes } = writePage(page, lines, { counts: NO_COUNTS, waits: {}, drafts });
    await storage.create(KEYS.page(BEFORE, page), bytes);
  }
}

async function create({ storage, redis: store }: DispatcherParts, isRedecided: boolean): Promise<void> {
  const text = Array.from({ length: DOCUMENTS }, (_, at) =>
    isBad(at) ? '{}\n' : `${requestLine(`text ${bodyOf(at)}`, `doc-${at}`)}\n`,
  ).join('');
  const facts = { tenant: 'default', createdAtMs: Date.now(), expiresAtMs: Date.now() + 86_400_000 };
  const metadata = { 'spillway.on_bad_lines': 'error_file' };
  const asked = { ...facts, inputFileId: FILE, metadata, cascades: { test: RULES } };
  const manifest = manifestOf(ID, { ...asked, ...(isRedecided ? { redecided: { from: BEFORE } } : {}) });
  await writeNewBatch(storage, manifest, text);
  await admit(store, ID, facts);
}

const STEPS = ['validate', 'enqueue', 'copy', 'answer some', 'answer', 'seal', 'sweep', 'end'] as const;
type StepName = (typeof STEPS)[number];

const leading = (base: DispatcherParts, life: Life): Promise<Leader<StepName>> =>
  leaderOf(base, life, {
    'answer some': () => answer(base, (job) => job.document % 3 === 0),
    answer: () => answer(base, () => true),
  });

/** Works on some of the documents that are in the queues. */
const answer = (base: DispatcherParts, isChosen: (job: DocumentJob) => boolean): Promise<void> =>
  settleQueued(base, ID, { isChosen, resultFor });

function resultFor(job: DocumentJob) {
  const times = { startedAtMs: job.enqueuedAtMs, endedAtMs: job.enqueuedAtMs };
  if (fails(job.document)) {
    const error = { code: 'server_error', message: 'no' };
    return resultOf(
      { job: { ...job, stage: 1 }, rules: RULES },
      { kind: 'failed', error, why: { type: '500', message: '' }, ...times },
    );
  }
  assert.equal(job.stage, job.drafts.length);
  if (job.stage === 1)
    return resultOf({ job, rules: RULES }, { kind: 'answered', answer: saying(job.document), ...times });
  const body = { choices: [], text: `${bodyOf(job.document)}`, error: null, cascade: { copy_of: 'nothing' } };
  return resultOf({ job, rules: RULES }, { kind: 'accepted', draft: acceptedDraftOf({ answer: answerOf({ body }) }) });
}

/** What happens after so many steps, and before the first one. */
type Before = Events & {
  readonly prepare?: (parts: DispatcherParts) => Promise<void>;
  /** It is decided anew from another batch, which knows some of its documents. */
  readonly isRedecided?: boolean;
};

/** Takes a batch to its end; answers how many documents have the answer of another one, or one of their own. */
async function runToEnd(
  name: string,
  lives: Lives<StepName>,
  { wipe = null, closing = null, prepare, isRedecided = false }: Before,
): Promise<{ readonly copied: number; readonly output: number }> {
  await redis.client.flushall();
  const path = join(directory, name);
  await using base = await dispatcherParts(redis, 'copies', path);
  await recoverIfNeeded(base, 'first', never);
  await create(base, isRedecided);
  await (await leading(base, new Life(Number.POSITIVE_INFINITY))).step('validate');
  if (isRedecided) await writeBefore(base);
  await prepare?.(base);
  await leadToEnd(base, ID, { lead: (own) => leading(base, own), lives, steps: STEPS, wipe, closing });
  const isAsked = prepare !== undefined;
  const outcome = closing?.outcome ?? 'completed';
  const found = await checkEnd(base, { outcome, isWiped: wipe !== null, isAsked, isRedecided });
  await rm(path, { recursive: true, force: true });
  return found;
}

async function checkEnd(
  { storage, records }: DispatcherParts,
  {
    outcome,
    isWiped,
    isAsked,
    isRedecided,
  }: {
    readonly outcome: Outcome;
    readonly isWiped: boolean;
    /** Copies may have been asked about although their firsts have an answer. */
    readonly isAsked: boolean;
    readonly isRedecided: boolean;
  },
): Promise<{ readonly copied: number; readonly output: number }> {
  const final = await records.final(ID);
  assert.ok(final !== null, 'it came to its end');
  // What was closed when all was done is completed.
  assert.ok(final.outcome === outcome || final.outcome === 'completed');
  const plan = await records.plan(ID);
  assert.ok(plan !== null);
  const lines = new Map<number, { readonly part: string; readonly line: ResultLine }>();
  for (const page of plan.pages.keys()) {
    const sealed = await sealedPage(storage, ID, plan.pages, page);
    assert.ok(sealed !== null);
    for await (const { document, part, bytes } of linesOf(storage, sealed)) {
      const line = readResultLine(bytes.toString());
      assert.ok(line !== null, bytes.toString());
      assert.ok(!lines.has(document), 'each has one line');
      lines.set(document, { part, line });
    }
  }
  assert.equal(lines.size, DOCUMENTS);
  const isKept = (at: number): boolean => isRedecided && isAnsweredBefore(at);
  const isBegun = (at: number): boolean => isRedecided && isDraftedBefore(at);
  let [output, copied, saved, kept] = [0, 0, 0, 0];
  for (const [document, { part, line }] of lines) {
    if (isBad(document)) {
      assert.equal(line.error?.code, 'missing_required_parameter');
      continue;
    }
    assert.equal(line.custom_id, `doc-${document}`);
    if (part === 'output') output += 1;
    const first = firstOf(document);
    const own = line.cascade?.copy_of;
    if (own !== undefined) {
      copied += 1;
      // Nothing was asked for a first whose answer was known.
      saved += isKept(first) ? 0 : 100;
      assert.equal(own, `doc-${first}`);
      assert.ok(document > first);
      if (!isWiped) assert.deepEqual(line.response, lines.get(first)?.line.response);
      assert.equal((line.response as { body: { text: string } }).body.text, `${bodyOf(document)}`);
    }
    if (isKept(document)) {
      assert.equal(line.cascade?.kept_from, BEFORE, `${document} is known, whoever ends the batch when`);
      kept += 1;
      continue;
    }
    if (isBegun(document) && line.cascade !== undefined && own === undefined) {
      const [draft, expert] = line.cascade.stages;
      assert.deepEqual([draft?.kept, draft?.confidence, expert?.kept], [true, 0.6, undefined], 'nobody drafts again');
    }
    const isUnfinished = line.error?.code?.startsWith('batch_') === true;
    assert.ok(!isUnfinished || final.outcome !== 'completed');
    if (isUnfinished) {
      // Of a batch whose time ran out nothing is given up that is known.
      const isKnown = lines.get(first)?.part === 'output';
      if (final.outcome === 'expired' && !isWiped) assert.ok(!isKnown || first === document, `${document} is known`);
      continue;
    }
    assert.equal(part === 'error', own === undefined && fails(document), `${document}`);
    // Who leads asks about no copy of what is answered.
    const hasFailed = fails(first) && !isKept(first) && !isBegun(first);
    if (part === 'output' && first !== document && !hasFailed && !isWiped && !isAsked) assert.notEqual(own, undefined);
  }
  assert.deepEqual([final.counts['completed'], final.more?.['copied'] ?? 0], [output, copied]);
  assert.equal(final.more?.['kept'] ?? 0, kept);
  assert.equal(final.more?.['savedInputTokens'] ?? 0, saved);
  const footers = await readFooters(storage, ID, plan.pages.keys());
  assert.equal(
    footers.reduce((sum, footer) => sum + (footer?.more?.['copied'] ?? 0), 0),
    copied,
  );
  return { copied, output };
}

const life = fc.record({
  operations: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 60, max: 600 })),
  steps: fc.array(fc.constantFrom(...STEPS), { minLength: 1, maxLength: 8 }),
});

const schedule = fc.record({
  isRedecided: fc.boolean(),
  lives: fc.array(life, { minLength: 1, maxLength: 5 }),
  wipe: fc.option(fc.record({ after: fc.integer({ min: 1, max: 20 }) })),
  closing: fc.option(
    fc.record({
      after: fc.integer({ min: 3, max: 25 }),
      outcome: fc.constantFrom<Outcome[]>('cancelled', 'expired'),
    }),
    { freq: 2 },
  ),
});

const CLEAN = { operations: Number.POSITIVE_INFINITY };
const COPIES = DOCUMENTS - 2 - firsts.size;
/** Copies whose firsts fail, and of them those that are answered when they are asked about. */
const ofFailed = Array.from({ length: DOCUMENTS }, (_, at) => at).filter(
  (at) => !isBad(at) && firstOf(at) !== at && fails(firstOf(at)),
);

test('a batch that ends early: a copy of what is answered has an answer if its time ran out, none if it was cancelled', async () => {
  const lives = [{ ...CLEAN, steps: ['enqueue', 'answer some'] as const }];
  const expired = await runToEnd('expired', lives, { closing: { after: 2, outcome: 'expired' } });
  // Of the firsts every third one was answered, and nothing was copied until then.
  const answered = [...firsts.values()].filter((at) => at % 3 === 0 && !fails(at));
  const known = Array.from({ length: DOCUMENTS }, (_, at) => at).filter(
    (at) => !isBad(at) && firstOf(at) !== at && answered.includes(firstOf(at)),
  );
  assert.ok(known.length > 100);
  assert.deepEqual(expired, { copied: known.length, output: answered.length + known.length });
  const cancelled = await runToEnd('cancelled', lives, { closing: { after: 2, outcome: 'cancelled' } });
  assert.deepEqual(cancelled, { copied: 0, output: answered.length });
});

test('where nobody can read which documents are copies, or of whom, they are asked about', async () => {
  const whole = await runToEnd('whole', [], {});
  assert.deepEqual(whole.copied, COPIES - ofFailed.length);
  const copiesKey = async ({ records }: DispatcherParts): Promise<string> => {
    const { copies } = (await records.plan(ID)) ?? assert.fail();
    return KEYS.copies(ID, copies?.digest ?? '');
  };
  const gone = await runToEnd('gone', [], {
    prepare: async (parts) => await parts.storage.remove(await copiesKey(parts)),
  });
  assert.deepEqual(gone, { copied: 0, output: whole.output });
  // The second page's part is another one's.
  const damaged = await runToEnd('damaged', [], {
    prepare: async (parts) => {
      const key = await copiesKey(parts);
      const bytes = Buffer.from((await parts.storage.read(key)) ?? assert.fail());
      const { copies } = (await parts.records.plan(ID)) ?? assert.fail();
      bytes.fill(1, 8 * (copies?.before[1] ?? 0) + 8, 8 * (copies?.before[1] ?? 0) + 20);
      await parts.storage.remove(key);
      await parts.storage.create(key, bytes);
    },
  });
  assert.equal(damaged.output, whole.output);
  assert.ok(damaged.copied > 0 && damaged.copied < whole.copied);
  // A version of before led when the batch was enqueued: it knows of no copies, and has sealed the first page.
  const older = await runToEnd('older', [], {
    prepare: async (parts) => {
      const plan = (await parts.records.plan(ID)) ?? assert.fail();
      const unknowing = {
        ...parts,
        copier: { take: async ({ places }: { places: readonly number[] }) => places, isWaiting: () => false },
      };
      for (const page of [0, 1]) {
        const at = plan.pages[page] ?? assert.fail();
        await enqueuePage(parts.redis, ID, page, at, 1_000);
        const documents = await readDocuments(parts.storage, plan, at);
        const places = documents.keys().toArray();
        await addDocuments(unknowing, { plan, page, documents, places, loads: null });
        await advance(parts.redis, ID, at.first, at.first + at.documents);
      }
      await answer(parts, ({ page }) => page === 0);
      const results = await readPage(parts.redis, ID, 0);
      const lines = Array.from({ length: results.lines.size }, (_, at) => results.lines.get(at) ?? assert.fail());
      const { counts, said, waits } = results;
      const { footer, bytes } = writePage(0, lines, { counts, said, ...waits.write() });
      await parts.storage.create(KEYS.page(ID, 0), bytes);
      await markSealed(parts.redis, ID, footer);
    },
  });
  assert.equal(older.output, whole.output);
  assert.ok(older.copied < whole.copied);
});

test('whoever dies and whatever is lost: each document has one line, a copy that of its first, and what is known stays', async () => {
  await fc.assert(
    fc.asyncProperty(schedule, async ({ lives, wipe, closing, isRedecided }) => {
      runs += 1;
      const { copied } = await runToEnd(`${runs}`, lives, { wipe, closing, isRedecided });
      if (wipe === null && closing === null && !isRedecided) assert.equal(copied, COPIES - ofFailed.length);
    }),
    { numRuns: Number(process.env['ORDERS'] ?? 15), endOnFailure: true },
  );
});
