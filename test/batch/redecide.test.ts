import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { BatchObject, Report } from '@spillway/core';
import { KEYS } from '@spillway/core';
import { openLog } from '@spillway/runtime';
import { openStorage, readFooterOf } from '@spillway/storage';
import type { OpenAI } from 'openai';
import { collectGarbage } from '../../services/dispatcher/src/garbage.ts';
import { requestLine } from '../support/request-line.ts';
import { scriptOf } from '../support/model-script.ts';
import type { ModelRequest, Scripted } from '../support/model-server.ts';
import { promptOf } from '../support/model-shapes.ts';
import { System, until, type ResultLine } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

type Body = Readonly<Record<string, unknown>>;
type Preview = {
  readonly object: string;
  readonly id: string;
  readonly redecided_from: string;
  readonly documents: Readonly<Record<string, number>>;
  readonly stages: readonly { readonly cascade: string; readonly stage: number; readonly documents: number }[];
  readonly usd: { readonly least: number; readonly most: number } | null;
  readonly labelled: Readonly<Record<'documents' | 'right_now' | 'known' | 'right', number>>;
};

const properties = { type: { type: 'string' }, total: { type: 'string' } };
const schema = { type: 'object', properties, required: ['type', 'total'], additionalProperties: false };
const FORMAT = { response_format: { type: 'json_schema', json_schema: { name: 'invoice', strict: true, schema } } };

/** What the models say of a request for JSON: the drafter is sure of each value as the prompt says; null: another one. */
function jsonDraft({ body }: ModelRequest): Scripted | null {
  if (body['response_format'] === undefined) return null;
  const [type = 1, total = 1] = promptOf(body)
    .split(' ')
    .map((one) => Math.log(Number(one)));
  return { kind: 'completion', text: '{"type": "invoice", "total": "12"}', logprobs: [-1e-9, type, -1e-9, total] };
}

function jsonAnswer({ body }: ModelRequest): Scripted | null {
  if (body['response_format'] === undefined) return null;
  const asked = Object.keys(properties).filter((name) =>
    JSON.stringify(body['response_format']).includes(`"${name}":{`),
  );
  return { kind: 'completion', text: JSON.stringify(Object.fromEntries(asked.map((name) => [name, `an expert's`]))) };
}

let system: System;

before(async () => {
  system = await System.start({
    middle: {},
    models: { large: { max_attempts: 1 } },
    drafter: {
      answer: (asked) => jsonDraft(asked) ?? scriptOf({ ...asked, prompt: promptOf(asked.body), role: 'drafter' }),
    },
    expert: {
      answer: (asked) => jsonAnswer(asked) ?? scriptOf({ ...asked, prompt: promptOf(asked.body), role: 'expert' }),
    },
    moreCascades: `  fields: { drafter: small, expert: large, ask: fields, accept_at: 0.8, stop_early: false }
  two: { drafter: small, expert: large, accept_at: 0.8, stop_early: false }
  plain: { drafter: small, expert: large, accept_at: 0.8, stop_early: false, annotate: false }
  early: { drafter: small, expert: large, accept_at: 0.8 }`,
  });
});

after(() => system[Symbol.asyncDispose]());

/** How often the models were asked since this was last called. */
function newCalls() {
  const count = (model: { requests: unknown[] }): number => model.requests.splice(0).length;
  return {
    drafter: count(system.drafterModel),
    middle: count(system.middleModel),
    expert: count(system.expertModel),
  };
}

const NONE = { drafter: 0, middle: 0, expert: 0 };

/** A prompt to which a model answers with such a confidence: what it says has four tokens. */
const confident = (confidence: number, role = 'drafter'): string => `[[${role} logprob ${Math.log(confidence) / 4}]]`;

async function run(lines: readonly string[], metadata: Record<string, string> = {}): Promise<OpenAI.Batch> {
  const file = await system.client.files.create({ file: new File([lines.join('\n')], 'a.jsonl'), purpose: 'batch' });
  const order = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
  const { id } = await system.client.batches.create({ ...order, metadata });
  const batch = await system.settled(id);
  newCalls();
  return batch;
}

const preview = (id: string, body: Body): Promise<Preview> =>
  system.client.post(`/batches/${id}/redecide?preview=true`, { body });

/** Decides a batch anew and waits until it has ended. */
async function redecide(id: string, body: Body): Promise<OpenAI.Batch> {
  const made: OpenAI.Batch = await system.client.post(`/batches/${id}/redecide`, { body });
  return await system.settled(made.id);
}

const reportOf = (id: string): Promise<Report> => system.client.get(`/batches/${id}/report`);

const stagesOf = (lines: readonly ResultLine[]): Map<string, number | undefined> =>
  new Map(lines.map((line) => [line.custom_id, line.cascade?.stage]));

async function bytesOf(batch: OpenAI.Batch): Promise<string[]> {
  const files = [batch.output_file_id, batch.error_file_id].filter((id) => typeof id === 'string');
  return await Promise.all(files.map(async (id) => await (await system.client.files.content(id)).text()));
}

/** Confidences .025, .075 … .975. */
const CONFIDENCES = Array.from({ length: 20 }, (_, at) => (at + 0.5) / 20);
const below = (threshold: number): number => CONFIDENCES.filter((one) => one < threshold).length;
const IDS = docIds(20);

/** Documents of these confidences, of a cascade of two stages. */
const linesOf = (model: string): string[] =>
  CONFIDENCES.map((one, at) => requestLine(`${confident(one)} ${at}`, `doc-${at}`, { model }));

test('a preview says how right the reviewed documents are, and would be as far as that is known', async () => {
  const prompts = [0.95, 0.85, 0.5, 0.5, 0.5, 0.99].map((one, at) => `${confident(one)} [[expert json]] ${at}`);
  const batch = await run(prompts.map((prompt, at) => requestLine(prompt, `doc-${at}`, { model: 'two' })));
  const unseen = await preview(batch.id, { accept_at: 0.9 });
  assert.deepEqual(unseen.labelled, { documents: 0, right_now: 0, known: 0, right: 0 });
  const review = (at: number, answer: string | null): Promise<unknown> =>
    system.client.post(`/batches/${batch.id}/reviews`, {
      body: {
        custom_id: `doc-${at}`,
        ...(answer === null ? { verdict: 'accepted' } : { verdict: 'corrected', answer }),
      },
    });
  const drafted = (at: number): string => `answer to ${prompts[at]?.length} chars`;
  // The first draft is right and the second is not; of three answers of the expert one is, and the others' drafts were.
  await review(0, null);
  await review(1, '{"total":10.15}');
  await review(2, null);
  await review(3, drafted(3));
  await review(4, ` ${drafted(4)}.`.toUpperCase());
  const seen = async (acceptAt: number) => (await preview(batch.id, { accept_at: acceptAt })).labelled;
  assert.deepEqual(await seen(0.8), { documents: 5, right_now: 2, known: 5, right: 2 });
  assert.deepEqual(await seen(0.9), { documents: 5, right_now: 2, known: 4, right: 2 });
  assert.deepEqual(await seen(0.3), { documents: 5, right_now: 2, known: 5, right: 3 });
});

test('exactly the documents between two thresholds are asked, lower ones ask nobody, and old files stay', async () => {
  const first = await run(linesOf('two'));
  const old = await wholeResults(system, first, IDS);
  const bytes = await bytesOf(first);

  const asked = below(0.9) - below(0.8);
  const seen = await preview(first.id, { accept_at: 0.9 });
  const none = { drafted_again: 0, anew: 0, copied: 0, bad: 0 };
  assert.deepEqual(seen.documents, { total: 20, kept: 20 - asked, asked, ...none });
  assert.deepEqual(seen.stages, [{ cascade: 'two', stage: 2, model: 'large', documents: asked }]);
  assert.deepEqual([seen.object, seen.redecided_from], ['batch.redecision', first.id]);
  assert.deepEqual(newCalls(), NONE, 'a preview asks nobody');

  const raised = await redecide(first.id, { accept_at: 0.9 });
  assert.equal(raised.id, seen.id);
  assert.deepEqual(newCalls(), { ...NONE, expert: asked });
  assert.equal(raised.status, 'completed');
  assert.equal(raised.metadata?.['spillway.redecided_from'], first.id);
  const { output } = await wholeResults(system, raised, IDS);
  for (const [at, line] of output.entries()) {
    const confidence = CONFIDENCES[at] ?? 0;
    const isAsked = confidence >= 0.8 && confidence < 0.9;
    const [draft, answer] = line.cascade?.stages ?? [];
    assert.equal(line.cascade?.stage, confidence < 0.9 ? 2 : 1);
    assert.equal(line.cascade.kept_from, isAsked ? undefined : first.id);
    assert.deepEqual([draft?.kept, draft?.attempts, draft?.usage.input_tokens, draft?.accept_at], [true, 0, 0, 0.9]);
    assert.equal(draft?.outcome, confidence < 0.9 ? 'escalated' : 'accepted');
    assert.ok(Math.abs((draft?.confidence ?? 0) - confidence) < 1e-9);
    if (isAsked) assert.deepEqual([answer?.kept, answer?.attempts], [undefined, 1]);
    else assert.deepEqual(line.response, old.output[at]?.response);
  }
  const report = await reportOf(raised.id);
  assert.deepEqual([report.documents.kept, report.documents.completed], [20 - asked, 20]);
  assert.deepEqual(report.stages[0]?.documents, {
    accepted: 0,
    escalated: 0,
    skipped: 0,
    answered: 0,
    failed: 0,
    kept: asked,
  });
  assert.deepEqual([report.stages[0]?.usd, report.stages[1]?.documents.answered], [0, asked]);
  const spent = output
    .flatMap(({ cascade }) => cascade?.stages ?? [])
    .reduce((sum, { usage }) => sum + usage.input_tokens + 2 * usage.output_tokens, 0);
  assert.equal(Math.round((report.stages[1]?.usd ?? 0) * 1e6), spent);
  assert.ok(seen.usd !== null && seen.usd.least > 0 && seen.usd.least === seen.usd.most);
  assert.ok(Math.abs(seen.usd.least / (report.stages[1]?.usd ?? 0) - 1) < 0.1, JSON.stringify(seen.usd));

  // Asked once more, however it is written, it is the same batch.
  for (const body of [{ accept_at: [0.9] }, { stages: [{ accept_at: 0.9 }] }, { accept_at: { two: 0.9 } }]) {
    assert.equal((await redecide(first.id, body)).id, raised.id);
  }
  const lowered = await redecide(first.id, { accept_at: 0.3 });
  const again = await redecide(lowered.id, { accept_at: 0.9 });
  const back = await redecide(raised.id, { accept_at: 0.8 });
  assert.deepEqual(
    newCalls(),
    { ...NONE, expert: asked },
    'only the first batch is asked for the difference once more',
  );
  const stages = async (batch: OpenAI.Batch) => stagesOf((await wholeResults(system, batch, IDS)).output);
  assert.deepEqual(
    [...(await stages(lowered)).values()],
    CONFIDENCES.map((one) => (one < 0.3 ? 2 : 1)),
  );
  assert.deepEqual(await stages(again), await stages(raised));
  assert.deepEqual(await stages(back), await stages(first));
  assert.deepEqual(await stages(await redecide(again.id, { accept_at: 0 })), new Map(IDS.map((id) => [id, 1])));
  assert.deepEqual(newCalls(), NONE, 'what a chain of batches knows is known');
  assert.deepEqual(await bytesOf(first), bytes, 'the old files are the same, byte by byte');

  // The private part is in no file: what a range of one has is the file's.
  await using storage = await openStorage(`file://${system.directory}/data`);
  const footer = await readFooterOf(storage, first.id, 0);
  const size = await storage.size(KEYS.page(first.id, 0));
  assert.ok(footer?.draftsPart !== undefined && (size ?? 0) > footer.outputBytes + footer.draftsPart.bytes);
  const { bytes: shown } = await system.client.files.retrieve(String(first.output_file_id));
  assert.deepEqual([shown, Buffer.byteLength(bytes[0] ?? '')], [footer.outputBytes, footer.outputBytes]);
  const end = await fetch(`${system.client.baseURL}/files/${first.output_file_id}/content`, {
    headers: { range: 'bytes=-5' },
  });
  assert.deepEqual(
    [await end.text(), end.headers.get('content-range')],
    [bytes[0]?.slice(-5), `bytes ${shown - 5}-${shown - 1}/${shown}`],
  );
});

test('a promise is kept for the price of its sample and of what its threshold changes', async () => {
  // Sure drafts say what the expert says, those below .5 do not.
  const documents = 200;
  const confidence = (at: number): number => ((at * 37) % 100) / 100 + 0.005;
  const lines = Array.from({ length: documents }, (_, at) => {
    const said =
      confidence(at) < 0.5
        ? `${confident(confidence(at))} [[expert json]] ${at}`
        : `${confident(confidence(at))} ${at}`;
    return requestLine(said, `doc-${at}`, { model: 'two' });
  });
  // Nothing was escalated before.
  const old = await run(lines, { 'spillway.accept_at': '0' });
  const body = { promise: { agreement: 0.9, certainty: 0.9 } };
  await assert.rejects(preview(old.id, body), { status: 400, param: 'preview' });
  const batch = await redecide(old.id, body);
  const [found] = (batch as unknown as BatchObject).spillway.thresholds;
  assert.equal(found?.outcome, 'certified');
  const [stage] = found.stages;
  const acceptAt = stage?.accept_at ?? Number.NaN;
  const results = await system.lines(batch.output_file_id);
  const sampled = results.filter(({ cascade }) => cascade?.sampled === true);
  assert.equal(sampled.length, found.sampled);
  const escalated = results.filter(({ cascade }) => cascade?.escalated === true && cascade.sampled !== true);
  assert.ok(escalated.length > 0);
  assert.deepEqual(newCalls(), { drafter: 0, middle: 0, expert: found.sampled + escalated.length });
  for (const { custom_id: name, cascade } of results) {
    // Through a logarithm and back it may be a hair's breadth off, and the threshold may lie there.
    const own = cascade?.stages[0]?.confidence ?? Number.NaN;
    assert.ok(Math.abs(own - confidence(Number(name.slice(4)))) < 1e-9, name);
    assert.equal(cascade?.escalated, cascade?.sampled === true || own < acceptAt, name);
    assert.deepEqual(cascade?.certificate, { agreement: 0.9, certainty: 0.9 });
  }
  await assert.rejects(redecide(batch.id, { promise: { agreement: 0.85, certainty: 0.9 } }), {
    status: 409,
    code: 'already_certified',
  });
  // What the expert was paid for stays, whatever threshold is found; of the sample only those are asked that it has not answered.
  const more = await redecide(batch.id, { promise: { agreement: 0.95, certainty: 0.9 } });
  const later = await system.lines(more.output_file_id);
  const isExperts = ({ cascade }: ResultLine): boolean => cascade?.role === 'expert';
  const paid = new Set(results.filter(isExperts).map(({ custom_id: name }) => name));
  assert.ok(later.every((line) => isExperts(line) || !paid.has(line.custom_id)));
  const anew = later.filter((line) => isExperts(line) && !paid.has(line.custom_id));
  assert.deepEqual(newCalls(), { drafter: 0, middle: 0, expert: anew.length });
  assert.equal((await redecide(old.id, body)).id, batch.id, 'there is one for each promise');
  assert.equal(batch.metadata?.['spillway.promise'], 'agreement=0.9,certainty=0.9,otherwise=expert');
  assert.deepEqual(newCalls(), NONE);
});

test('failed and bad lines, copies, and lines without annotation', async () => {
  const cold = { model: 'plain', body: { temperature: 0 } };
  const lines = [
    requestLine(`${confident(0.85)} a`, 'doc-0', cold),
    requestLine(`${confident(0.85)} a`, 'doc-1', cold),
    requestLine(`${confident(0.5)} b`, 'doc-2', cold),
    '{"custom_id": "doc-3"}',
    requestLine(`${confident(0.5)} [[expert status 400 x1]] c`, 'doc-4', cold),
    requestLine(`${confident(0.9)} d`, 'doc-5', cold),
  ];
  const first = await run(lines, { 'spillway.on_bad_lines': 'error_file', 'spillway.max_usd': '1', team: 'a' });
  assert.deepEqual(first.request_counts, { total: 6, completed: 4, failed: 2 });
  const { documents, stages } = await preview(first.id, { accept_at: 0.87 });
  assert.deepEqual(documents, { total: 6, kept: 2, asked: 2, drafted_again: 0, anew: 0, copied: 1, bad: 1 });
  assert.deepEqual(
    stages.map((one) => [one.stage, one.documents]),
    [[2, 2]],
  );
  const raised = await redecide(first.id, { accept_at: 0.87 });
  assert.deepEqual(newCalls(), { ...NONE, expert: 2 }, 'what failed has its draft, and the copy has its first');
  assert.deepEqual(raised.request_counts, { total: 6, completed: 5, failed: 1 });
  const own = { 'spillway.accept_at': '0.87', 'spillway.redecided_from': first.id };
  assert.deepEqual(raised.metadata, { ...first.metadata, ...own });
  const { output, errors } = await wholeResults(system, raised, docIds(6));
  assert.deepEqual(
    errors.map((line) => [line.custom_id, line.error?.line]),
    [['doc-3', 4]],
  );
  assert.ok(output.every((line) => line.cascade === undefined));
  assert.deepEqual(output[0]?.response?.body, output[1]?.response?.body);
  const report = await reportOf(raised.id);
  assert.deepEqual([report.documents.kept, report.documents.copied], [2, 1]);
  const lowered = await redecide(first.id, { accept_at: 0.5 });
  assert.deepEqual(newCalls(), NONE, 'the draft of what failed is final');
  assert.deepEqual(lowered.request_counts, { total: 6, completed: 5, failed: 1 });
});

test('a draft that was stopped early is drafted again where its bound does not decide', async () => {
  const lines = [0.01, 0.5, 0.9].map((one, at) =>
    requestLine(`${confident(one)} ${at}`, `doc-${at}`, { model: 'early' }),
  );
  const first = await run(lines);
  const lines0 = (await wholeResults(system, first, docIds(3))).output;
  const bounds = lines0.map(({ cascade }) => cascade?.stages[0]?.stopped?.score_at_most ?? null);
  assert.deepEqual(
    bounds.map((bound) => bound === null),
    [false, false, true],
    'the first two were stopped',
  );
  const raised = await redecide(first.id, { accept_at: 0.85 });
  assert.deepEqual(newCalls(), NONE, 'what was below is below a higher threshold, whatever it could have scored');
  await wholeResults(system, raised, docIds(3));
  const threshold = 0.4;
  const again = bounds.filter((bound) => bound !== null && Math.exp(bound) >= threshold).length;
  const seen = await preview(first.id, { accept_at: threshold });
  assert.ok(again > 0);
  assert.deepEqual([seen.documents['drafted_again'], seen.documents['asked']], [again, again]);
  const lowered = await redecide(first.id, { accept_at: threshold });
  assert.equal(newCalls().drafter, again);
  const { output } = await wholeResults(system, lowered, docIds(3));
  assert.deepEqual(
    output.map(({ cascade }) => cascade?.stage),
    [2, 1, 1],
  );
});

test('a shadow run holds everything; of three stages each has a threshold of its own', async () => {
  const pairs = [
    [0.2, 0.2],
    [0.2, 0.7],
    [0.6, 0.9],
    [0.95, 0.1],
  ] as const;
  const lines = pairs.map(([small, medium], at) =>
    requestLine(`${confident(small)} ${confident(medium, 'middle')} ${at}`, `doc-${at}`),
  );
  const ids = docIds(pairs.length);
  const shadow = await run(lines, { 'spillway.shadow': 'true' });
  const stages = async (batch: OpenAI.Batch) => [...stagesOf((await wholeResults(system, batch, ids)).output).values()];
  assert.deepEqual(await stages(shadow), [3, 3, 3, 3]);
  const decided = await redecide(shadow.id, { accept_at: [0.5, 0.6] });
  assert.equal(decided.metadata?.['spillway.shadow'], undefined);
  assert.deepEqual(await stages(decided), [3, 2, 1, 1]);
  assert.deepEqual(await stages(await redecide(decided.id, { stages: [{ accept_at: 0.9 }, {}] })), [3, 2, 2, 1]);
  assert.deepEqual(newCalls(), NONE);

  const first = await run(lines);
  assert.deepEqual(await stages(first), [3, 3, 2, 1]);
  const seen = await preview(first.id, { accept_at: [0.97, 0.95] });
  assert.deepEqual(
    seen.stages.map((one) => [one.stage, one.documents]),
    [
      [2, 1],
      [3, 1],
    ],
  );
  assert.ok(seen.usd !== null && seen.usd.most > seen.usd.least);
  const raised = await redecide(first.id, { accept_at: [0.97, 0.95] });
  assert.deepEqual(newCalls(), { drafter: 0, middle: 1, expert: 2 }, 'each is asked at the stage that it needs');
  assert.deepEqual(await stages(raised), [3, 3, 3, 3]);
});

test('an answer to unsure values stands while it has all that are unsure, and a kept draft is asked for them', async () => {
  const pairs = [
    [0.95, 0.5],
    [0.85, 0.5],
    [0.85, 0.95],
  ] as const;
  const lines = pairs.map(([type, total], at) =>
    requestLine(`${type} ${total}`, `doc-${at}`, { model: 'fields', body: { ...FORMAT, seed: at } }),
  );
  const first = await run(lines);
  const asked = async (batch: OpenAI.Batch) =>
    (await wholeResults(system, batch, docIds(3))).output.map(({ cascade }) =>
      cascade?.stages[1]?.asked_fields?.join(),
    );
  assert.deepEqual(await asked(first), ['/total', '/total', undefined]);
  assert.deepEqual(await asked(await redecide(first.id, { accept_at: 0.4 })), [undefined, undefined, undefined]);
  assert.deepEqual(await asked(await redecide(first.id, { accept_at: 0.6 })), ['/total', '/total', undefined]);
  assert.deepEqual(newCalls(), NONE);
  const raised = await redecide(first.id, { accept_at: 0.9 });
  assert.deepEqual(
    newCalls(),
    { ...NONE, expert: 2 },
    'all values of the second are unsure now, and the third has one',
  );
  assert.deepEqual(await asked(raised), ['/total', undefined, '/type']);
  const { output } = await wholeResults(system, raised, docIds(3));
  assert.equal(output[1]?.cascade?.stages[1]?.ask_reason, 'all_unsure');
  assert.match(JSON.stringify(output[2]?.response), /an expert's.*12/);
});

test('the pages of a batch stay while another one still decides by them, and go with its files after that', async () => {
  await using storage = await openStorage(`file://${system.directory}/data`);
  const log = openLog('garbage', 'silent');
  const collect = (): Promise<unknown> => {
    const nowMs = Date.now() + 2 * 3_600_000;
    return collectGarbage({ storage, log, nowMs, isShort: false, signal: new AbortController().signal });
  };
  const isThere = async (): Promise<boolean> => (await storage.size(KEYS.page(first.id, 0))) !== null;
  const lines = [0.85, 0.95].map((one, at) =>
    requestLine(`${confident(one)} [[expert hang]] ${at}`, `doc-${at}`, { model: 'two' }),
  );
  const first = await run(lines);
  const { received } = system.expertModel;
  const { id }: OpenAI.Batch = await system.client.post(`/batches/${first.id}/redecide`, { body: { accept_at: 0.9 } });
  await system.expertModel.waitForRequests(received + 1);
  await system.client.files.delete(String(first.output_file_id));
  await collect();
  assert.ok(await isThere(), 'after a loss of Redis it is read again');
  system.expertModel.release();
  const { output } = await wholeResults(system, await system.settled(id), docIds(2));
  assert.deepEqual([...stagesOf(output).values()], [2, 1]);
  await collect();
  assert.ok(!(await isThere()));
});

test('the drafts that a condition holds of go on, and nothing else is asked', async () => {
  const prompts = ['one', 'two', '[[unsure]] three', '[[expert status 400]] four', 'five'];
  const { id } = await system.submit(prompts, { model: 'two' });
  await system.settled(id);
  const decided = async (body: Body, query = ''): Promise<Preview & OpenAI.Batch> =>
    await system.client.post(`/batches/${id}/redecide${query}`, { body });
  const escalate = 'role = drafter and (custom_id = doc-0 or custom_id = doc-3 or custom_id = doc-2)';
  const looked = await decided({ escalate }, '?preview=true');
  assert.deepEqual([looked.documents['kept'], looked.documents['asked']], [3, 2]);
  assert.deepEqual(
    looked.stages.map(({ stage, documents }) => [stage, documents]),
    [[2, 2]],
  );
  const [drafts, answers] = [system.drafterModel.received, system.expertModel.received];
  const anew = await decided({ escalate });
  assert.equal(anew.id, looked.id);
  assert.equal((await decided({ escalate })).id, anew.id);
  const { output_file_id: output, request_counts: counts } = await system.settled(anew.id);
  assert.deepEqual({ ...counts }, { total: 5, completed: 4, failed: 1 });
  assert.deepEqual([system.drafterModel.received - drafts, system.expertModel.received - answers], [0, 2]);
  const roles = new Map((await system.lines(output)).map((line) => [line.custom_id, line.cascade?.role]));
  assert.deepEqual(
    [...roles],
    [
      ['doc-0', 'expert'],
      ['doc-1', 'drafter'],
      ['doc-2', 'expert'],
      ['doc-4', 'drafter'],
    ],
  );
  for (const wrong of [
    { escalate: 'reviewed' },
    { escalate: 'colour = red' },
    { escalate, accept_at: 0.5 },
    { escalate, ask_again: escalate },
  ])
    await assert.rejects(decided(wrong), { status: 400 });
});

test('the documents of a condition are asked about again from the first stage on, and nothing else is', async () => {
  const { id } = await system.submit(['six', 'seven', '[[unsure]] eight', '[[unsure]] nine', 'ten'], { model: 'two' });
  const first = await system.settled(id);
  const bytes = await bytesOf(first);
  const body = { ask_again: 'custom_id = doc-1 or custom_id = doc-2' };
  const looked = await preview(id, body);
  assert.deepEqual([looked.documents['kept'], looked.documents['asked'], looked.documents['drafted_again']], [3, 2, 2]);
  assert.deepEqual(
    looked.stages.map(({ stage, documents }) => [stage, documents]),
    [[1, 2]],
  );
  newCalls();
  const anew = await redecide(id, body);
  assert.equal(anew.id, looked.id);
  assert.deepEqual(newCalls(), { ...NONE, drafter: 2, expert: 1 });
  const { output } = await wholeResults(system, anew, docIds(5));
  assert.deepEqual(
    output.map(({ cascade }) => cascade?.kept_from === id),
    [true, false, false, true, true],
  );
  assert.deepEqual(await bytesOf(first), bytes);
  // Decided once more, it knows what was said the second time.
  await redecide(anew.id, { accept_at: 0 });
  assert.deepEqual(newCalls(), NONE);
});

test('an answer of the expert is nothing that could go on, also where it has values of a draft', async () => {
  const line = (at: number) => requestLine('0.99 0.2', `doc-${at}`, { model: 'fields', body: FORMAT });
  const { id } = await run([line(0), line(1)]);
  const [answered] = await system.lines((await system.client.batches.retrieve(id)).output_file_id);
  assert.deepEqual([answered?.cascade?.role, answered?.cascade?.stages[1]?.asked_fields], ['expert', ['/total']]);
  const { documents } = await preview(id, { escalate: 'role = expert' });
  assert.deepEqual([documents['kept'], documents['asked']], [2, 0]);
});

test('previews that nobody waits for, or that are too many, hold up nobody', async () => {
  const { id } = await run(linesOf('two'));
  const ask = (signal?: AbortSignal) =>
    system.client
      .post<Preview>(`/batches/${id}/redecide?preview=true`, { body: { accept_at: 0.5 }, signal, maxRetries: 0 })
      .then(
        () => 200,
        (error: { status?: number }) => error.status ?? 0,
      );
  const left = new AbortController();
  const leaving = Array.from({ length: 20 }, () => ask(left.signal));
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask()));
  left.abort();
  await Promise.all(leaving);
  assert.deepEqual(
    [...new Set(answers)].filter((one) => one !== 429 && one !== 200),
    [],
  );
  assert.ok(answers.includes(429), 'all at once are too many');
  await until(async () => (await ask()) === 200);
  assert.deepEqual(await Promise.all([ask(), ask(), ask(), ask()]), [200, 200, 200, 200], 'all places came back');
});
