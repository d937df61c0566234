import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openStageModel, runStage } from '@spillway/cascade';
import {
  cascadeRulesRecord,
  newJob,
  nextStageJob,
  readConfiguration,
  readFooter,
  readResultLine,
  resultOf,
  roleOf,
  snapshotRules,
  writePage,
  type CascadeDocument,
  type CascadeRules,
  type DocumentJob,
  type ResultLine,
} from '@spillway/core';
import { startModelServer } from '../support/model-server.ts';

/**
 * What a version wrote of the same documents in a plain cascade. `before-asking.json` was written by this very file at
 * 425739d, the version before a stage could be asked otherwise than for its answer:
 * `WRITE=before-asking.json node --test test/cascade/versions.test.ts`.
 */
type Written = {
  readonly rules: Record<string, CascadeRules>;
  /** By what the prompt says: the job as it came to the expert, or null, and the result. */
  readonly documents: Record<string, { readonly job: DocumentJob | null; readonly result: WrittenResult }>;
};
type WrittenResult = { readonly line: { readonly part: 'output' | 'error'; readonly text: string }; counts: object };

const BEFORE = fileURLToPath(new URL('../support/cases/before-asking.json', import.meta.url));

const PROMPTS = ['plain', '[[drafter json]]', '[[unsure]]', '[[drafter json]] [[unsure]]', '[[drafter truncate]]'];

type Cascade = Awaited<ReturnType<typeof openCascade>>;

async function openCascade(t: TestContext, asking = '') {
  const [small, large] = await Promise.all([
    startModelServer({ role: 'drafter' }),
    startModelServer({ role: 'expert' }),
  ]);
  const read = readConfiguration(`models:
  small: { base_url: "${small.baseURL}", model: s, price: { input: 1, output: 2 } }
  large: { base_url: "${large.baseURL}", model: l, price: { input: 10, output: 20 } }
cascades: { test: { drafter: small, expert: large, accept_at: 0.8${asking} } }`);
  assert.ok(read.kind === 'valid', JSON.stringify(read));
  const { configuration } = read;
  const rules = snapshotRules(configuration, new Map(), false);
  const own = rules['test'] ?? assert.fail();
  const models = own.stages.map(({ model: name }, stage) => {
    const spec = configuration.models[name] ?? assert.fail();
    const options = { role: roleOf(own, stage), configuration, propagates: false, onCall: () => undefined };
    return openStageModel({ name, spec, apiKey: null }, options);
  });
  t.after(() => Promise.all([...models, small, large].map((one) => one[Symbol.asyncDispose]())));
  return { rules, own, models };
}

const jobOf = (prompt: string): DocumentJob =>
  newJob({
    batch: `batch_${'0'.repeat(32)}`,
    document: 0,
    page: 0,
    place: 0,
    customId: 'doc-0',
    cascade: 'test',
    endpoint: '/v1/chat/completions',
    body: { model: 'test', messages: [{ role: 'user', content: prompt }] },
    sampled: false,
    enqueuedAtMs: 0,
    deadlineMs: Number.MAX_SAFE_INTEGER,
  });

/** Runs a document to its end; the job as the expert got it, if it did. */
async function run({ models, own: rules }: Cascade, from: DocumentJob) {
  let document: CascadeDocument = { job: from, rules };
  let handedOff: DocumentJob | null = null;
  for (;;) {
    const model = models[document.job.stage] ?? assert.fail();
    const outcome = await runStage(model, document, { signal: new AbortController().signal, stalls: 0 });
    if (outcome.kind === 'settle') return { job: handedOff, result: resultOf(document, outcome.ending) };
    assert.ok(outcome.kind === 'escalate', JSON.stringify(outcome));
    const job = nextStageJob({ rules, job: outcome.job }, 0);
    handedOff = JSON.parse(JSON.stringify(job)) as DocumentJob;
    document = { job: handedOff, rules };
  }
}

async function written(cascade: Cascade): Promise<Written> {
  const documents: Record<string, unknown> = {};
  for (const prompt of PROMPTS) {
    const { job, result } = await run(cascade, jobOf(prompt));
    const { line, counts } = result;
    documents[prompt] = {
      job,
      result: { line: { ...line, text: JSON.stringify(timeless(JSON.parse(line.text))) }, counts: ofBefore(counts) },
    };
  }
  return JSON.parse(JSON.stringify(timeless({ rules: cascade.rules, documents }))) as Written;
}

/** Counters without those that came later: the version before passes over them. */
const ofBefore = (counts: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(counts).filter(([name]) => !name.includes('/confidence:')));

/** The same without what differs from run to run. */
function timeless(value: unknown, isTime = false): unknown {
  if (typeof value === 'number') return isTime ? 0 : value;
  if (Array.isArray(value)) return value.map((one) => timeless(one, isTime));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, inner]) => {
    const isOwn = isTime || (/Ms$|_ms$/.test(key) && key !== 'deadlineMs');
    return [key, key === 'requestId' || key === 'request_id' ? 'req' : timeless(inner, isOwn)] as const;
  });
  return Object.fromEntries(entries);
}

const before = async (): Promise<Written> => JSON.parse(await readFile(BEFORE, 'utf8')) as Written;

test('what is written of a plain cascade is what the version before wrote, and reads', async (t) => {
  const own = await written(await openCascade(t));
  const { WRITE: path } = process.env;
  if (path !== undefined) await writeFile(path, `${JSON.stringify(own, null, 2)}\n`);
  else assert.deepEqual(own, await before());
});

test('what the version before wrote is read: rules, results, and jobs that its drafter handed off', async (t) => {
  const { rules, documents } = await before();
  assert.deepEqual(cascadeRulesRecord.parse(rules), rules);
  const cascade = await openCascade(t);
  for (const [prompt, { job, result }] of Object.entries(documents)) {
    assert.notEqual(readResultLine(result.line.text), null, prompt);
    const facts = { counts: result.counts as never, waits: {} };
    const { bytes, footer } = writePage(0, [result.line], facts);
    assert.deepEqual(readFooter(bytes), footer, prompt);
    if (job === null) continue;
    const ended = await run(cascade, job);
    assert.deepEqual(timeless(JSON.parse(ended.result.line.text)), JSON.parse(result.line.text), prompt);
    assert.deepEqual(timeless(ofBefore(ended.result.counts)), timeless(result.counts), prompt);
  }
});

const choicesOf = ({ response }: ResultLine): unknown => (response?.body as { choices?: unknown } | undefined)?.choices;

test('an expert that is asked in another way answers whole what a drafter of the version before handed off', async (t) => {
  const { documents } = await before();
  for (const [asking, reason] of [
    [', ask: verify', 'request_sampled'],
    [', ask: fields', 'values_not_judged'],
    [', ask: verdict, verdict: { accept_at: 0.9 }', 'verdict_failed'],
  ] as const) {
    const cascade = await openCascade(t, asking);
    for (const [prompt, { job, result }] of Object.entries(documents)) {
      if (job === null) continue;
      const line = readResultLine((await run(cascade, job)).result.line.text) ?? assert.fail();
      const [first, last] = line.cascade?.stages ?? [];
      const isCut = asking.includes('verdict') && prompt.includes('truncate');
      assert.deepEqual([first?.outcome, last?.ask_reason], ['escalated', isCut ? 'draft_unfit' : reason], prompt);
      const own = readResultLine(result.line.text) ?? assert.fail();
      assert.deepEqual(choicesOf(line), choicesOf(own));
    }
  }
});
