import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { OpenAI } from 'openai';
import { requestLine, type SubmitOptions } from '../support/request-line.ts';
import { metricsOf } from '../support/scrapes.ts';
import type { Service, ServiceName } from '../support/service.ts';
import { signal } from '../support/signal.ts';
import { System, until, type ResultLine } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';
import { plainEnv } from '../support/plain-env.ts';

type Report = {
  readonly documents: Readonly<Record<string, number>>;
  readonly escalated_share: number;
  readonly progress: { readonly spent_usd: number | null };
  readonly saved_by_copies: Readonly<Record<'documents' | 'input_tokens' | 'output_tokens' | 'usd', number>>;
  readonly stages: readonly { readonly model: string; readonly usd: number; readonly documents: object }[];
};

const reportOf = (system: System, id: string): Promise<Report> => system.client.get(`/batches/${id}/report`);

/** How often the two models were asked since this was last called. */
function newCalls(system: System): { readonly drafter: number; readonly expert: number } {
  const [drafter, expert] = [system.drafterModel, system.expertModel].map(({ requests }) => requests.splice(0).length);
  return { drafter: drafter ?? 0, expert: expert ?? 0 };
}

async function create(
  system: System,
  lines: readonly string[],
  metadata: Record<string, string> | null = null,
): Promise<OpenAI.Batch> {
  const file = await system.client.files.create({ file: new File([lines.join('\n')], 'a.jsonl'), purpose: 'batch' });
  const order = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
  return await system.client.batches.create({ ...order, metadata });
}

const COLD: SubmitOptions = { body: { temperature: 0 } };

/** Other cascades over the same models, and one of other ones. */
const SET = 'request: { override: { temperature: 0 } }';
const CASCADES = `  cold: { stages: [{ model: small, accept_at: 0.8, ${SET} }, { model: large, ${SET} }] }
  half: { stages: [{ model: small, accept_at: 0.8, ${SET} }, { model: large }] }
  plain: { drafter: small, expert: large, accept_at: 0.8, annotate: false }`;

let system: System;

before(async () => {
  system = await System.start({
    models: { large: { max_attempts: 1 } },
    moreCascades: CASCADES,
    env: { HEALTH_PORT: '0' },
  });
});

after(() => system[Symbol.asyncDispose]());

const serviceOf = (name: ServiceName): Service =>
  system.services.find((service) => service.name === name) ?? assert.fail();

/** What the terminal says of a document. */
async function traced(id: string, customId: string): Promise<string> {
  const script = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));
  const env = { ...plainEnv(), SPILLWAY_URL: system.client.baseURL.replace(/\/v1$/, '') };
  return (await promisify(execFile)(process.execPath, [script, 'show', id, customId], { env })).stdout;
}

test('equal documents are asked about once and answered each, within a page and across pages', async () => {
  // 40 bodies: every fifth is escalated, one fails at the expert the first three times.
  const isFailing = (at: number): boolean => at % 40 === 7;
  const promptOf = (at: number): string =>
    isFailing(at)
      ? '[[drafter unsure]] [[expert status 400 x3]] 7'
      : `${at % 5 === 0 ? '[[drafter unsure]] ' : ''}${at % 40}`;
  const { id } = await system.submit(
    Array.from({ length: 700 }, (_, at) => promptOf(at)),
    COLD,
  );
  const batch = await system.settled(id);
  assert.equal(batch.status, 'completed');
  const { output, errors } = await wholeResults(system, batch, docIds(700));
  assert.deepEqual([errors.length, errors[0]?.custom_id], [3, 'doc-7']);
  assert.ok(errors.every((line) => isFailing(Number(line.custom_id.slice(4)))));
  assert.deepEqual(newCalls(system), { drafter: 39 + 18, expert: 8 + 18 }, 'copies of what failed are asked about');
  const lines = new Map(output.map((line) => [line.custom_id, line]));
  for (const [at, line] of output.map((one) => [Number(one.custom_id.slice(4)), one] as const)) {
    const { cascade } = line;
    const isCopy = at >= 40 && !isFailing(at);
    assert.equal(cascade?.copy_of, isCopy ? `doc-${at % 40}` : undefined);
    assert.equal(cascade?.escalated, at % 5 === 0 || isFailing(at));
    if (!isCopy) continue;
    const first = lines.get(`doc-${at % 40}`) as ResultLine;
    assert.deepEqual(line.response, first.response);
    const { stages, wait_ms: _wait, copy_of: _of, ...decided } = cascade ?? assert.fail();
    const { stages: firsts, wait_ms: _waited, ...ofFirst } = first.cascade ?? assert.fail();
    assert.deepEqual(decided, ofFirst);
    for (const [stage, one] of stages.entries()) {
      assert.deepEqual([one.attempts, one.usage.input_tokens, one.usage.output_tokens], [0, 0, 0]);
      assert.deepEqual([one.confidence, one.outcome], [firsts[stage]?.confidence, firsts[stage]?.outcome]);
    }
  }
  const report = await reportOf(system, id);
  const copied = 700 - 40 - 17;
  const documents = {
    total: 700,
    completed: 697,
    failed: 3,
    accepted: 31,
    escalated: 8 + 18,
    copied,
    kept: 0,
    unfinished: 0,
  };
  assert.deepEqual(report.documents, documents);
  const saved = output.flatMap((line) => lines.get(line.cascade?.copy_of ?? '') ?? []);
  const sum = (of: 'input_tokens' | 'output_tokens'): number =>
    saved.flatMap((line) => line.cascade?.stages ?? []).reduce((all, { usage }) => all + usage[of], 0);
  const [input, written] = [sum('input_tokens'), sum('output_tokens')];
  const usd = (input + 2 * written) / 1e6;
  assert.ok(usd > 0);
  assert.deepEqual(report.saved_by_copies, { documents: copied, input_tokens: input, output_tokens: written, usd });
  assert.equal(report.escalated_share, Math.round((26 / 57) * 1e4) / 1e4);
  const spent = report.stages.reduce((all, stage) => all + stage.usd, 0);
  assert.equal(Math.round(spent * 1e9), Math.round((report.progress.spent_usd ?? 0) * 1e9), 'copies cost nothing');

  const metrics = await metricsOf(serviceOf('dispatcher'));
  assert.match(metrics, new RegExp(`^cascade_documents_copied_total\\{cascade="test"[^}]*\\} ${copied}( |$)`, 'm'));
  assert.match(await traced(id, 'doc-45'), /^doc-45: a copy of doc-5, which was asked about, escalated to large/);
  const again: OpenAI.Batch = await system.client.post(`/batches/${id}/retry`);
  const { output: retried } = await wholeResults(
    system,
    await system.settled(again.id),
    errors.map((line) => line.custom_id),
  );
  assert.deepEqual(
    retried.map((line) => line.cascade?.copy_of),
    [undefined, 'doc-7', 'doc-7'],
  );
  assert.deepEqual(newCalls(system), { drafter: 1, expert: 1 });
});

test('only where every answer is the same and the client wants it', async () => {
  let batches = 0;
  /** Ten equal documents: how often they were asked about. */
  const callsFor = async (options: SubmitOptions, metadata: Record<string, string> | null = null) => {
    batches += 1;
    const lines = docIds(10).map((id) => requestLine(`${batches}`, id, options));
    const { id } = await create(system, lines, metadata);
    const batch = await system.settled(id);
    await wholeResults(system, batch, docIds(10));
    return { ...newCalls(system), copied: (await reportOf(system, id)).documents['copied'] };
  };
  const once = { drafter: 1, expert: 0, copied: 9 };
  const each = { drafter: 10, expert: 0, copied: 0 };
  assert.deepEqual(await callsFor(COLD), once);
  assert.deepEqual(await callsFor(COLD, { 'spillway.deduplicate': 'true' }), once);
  assert.deepEqual(await callsFor(COLD, { 'spillway.deduplicate': 'false' }), each);
  assert.deepEqual(await callsFor({}), each, 'servers take another temperature by themselves');
  assert.deepEqual(await callsFor({ body: { temperature: 0.1 } }), each);
  assert.deepEqual(
    await callsFor({ model: 'cold', body: { temperature: 1 } }),
    once,
    'what the servers are told counts',
  );
  assert.deepEqual(await callsFor({ model: 'half' }), each, 'the expert may answer otherwise');
  assert.deepEqual(await callsFor({ model: 'half', ...COLD }), once);
  assert.deepEqual(await callsFor(COLD, { 'spillway.shadow': 'true' }), { drafter: 10, expert: 10, copied: 0 });
  await assert.rejects(
    create(system, ['{}'], { 'spillway.deduplicate': 'no' }),
    /Invalid value: 'no'.*'true' and 'false'/,
  );

  // Several cascades in one batch, of which one says nothing in its lines; names in another order are the same body.
  const body = { temperature: 0, metadata: { a: '1', b: '2' } };
  const turned = { metadata: { b: '2', a: '1' }, temperature: 0 };
  const models = ['test', 'plain', 'cold'];
  const lines = docIds(30).map((id, at) =>
    requestLine('mixed', id, { model: models[at % 3] as string, body: at % 2 === 0 ? body : turned }),
  );
  const { id } = await create(system, lines);
  const { output } = await wholeResults(system, await system.settled(id), docIds(30));
  assert.deepEqual(newCalls(system), { drafter: 3, expert: 0 });
  const { saved_by_copies: saved, stages } = await reportOf(system, id);
  assert.equal(saved.documents, 27);
  const spent = stages.reduce((sum, { usd }) => sum + usd, 0);
  assert.equal(Math.round(saved.usd * 1e9), Math.round(9 * spent * 1e9), 'a line without an annotation says it, too');
  const plain = output.filter((_, at) => at % 3 === 1);
  assert.ok(plain.every((line) => !('cascade' in line) && line.response !== null));
});

test('while a first is asked about, its copies are no work for anybody; cancelled, nothing is copied any more', async () => {
  const prompts = Array.from({ length: 600 }, () => '[[hang x1]] waits');
  const { id } = await system.submit(prompts, COLD);
  await until(async () => system.drafterModel.inFlight === 1);
  const enqueued = async (): Promise<number> =>
    Number(await system.redis.client.hget(`{test}:batch:${id}`, 'enqueued'));
  await until(async () => (await enqueued()) === 600);
  assert.equal((await signal(serviceOf('api'), 'drafter/small')).body.backlog, 1);
  await delay(1_500);
  assert.equal(newCalls(system).drafter, 1, 'nor does the sweep take them for lost');
  assert.deepEqual(
    system.logged('dispatcher', ({ msg }) => msg.includes('lost its job')),
    [],
  );
  system.drafterModel.release();
  const batch = await system.settled(id);
  await wholeResults(system, batch, docIds(600));
  assert.deepEqual(newCalls(system), { drafter: 0, expert: 0 });

  const other = await system.submit(
    prompts.map((prompt) => `${prompt} too`),
    COLD,
  );
  await until(async () => system.drafterModel.inFlight === 1);
  await system.client.batches.cancel(other.id);
  const cancelled = await system.settled(other.id);
  const { errors } = await wholeResults(system, cancelled, docIds(600));
  assert.ok(errors.every((line) => line.error?.code === 'batch_cancelled'));
  newCalls(system);
});

test('20,000 documents with one body: one call, and not much later each has its line', async () => {
  const { id } = await system.submit(
    Array.from({ length: 20_000 }, () => 'the same'),
    COLD,
  );
  const batch = await system.settled(id, undefined, 60_000);
  await wholeResults(system, batch, docIds(20_000));
  assert.deepEqual(newCalls(system), { drafter: 1, expert: 0 });
  const { documents, saved_by_copies: saved } = await reportOf(system, id);
  assert.deepEqual([documents['accepted'], documents['copied'], saved.documents], [1, 19_999, 19_999]);
});
