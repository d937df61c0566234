import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  addCounts,
  KEYS,
  keptText,
  NO_COUNTS,
  RECORDS,
  resultFileId,
  resultOf,
  writePage,
  type Ending,
  type Manifest,
} from '@spillway/core';
import { readRecord } from '@spillway/storage';
import OpenAI from 'openai';
import { redecisionPreview } from '../../services/api/src/batches/redecide-preview.ts';
import { acceptedDraftOf, jobOf } from '../support/jobs.ts';
import { requestLine } from '../support/request-line.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { startTestApi, type TestApi } from './api-under-test.ts';

let redis: RedisServer;
let api: TestApi;

before(async () => {
  redis = await startRedis();
  api = await startTestApi({
    redisUrl: redis.url,
    keys: [
      { key: 'a', tenant: 'default' },
      { key: 'b', tenant: 'other' },
    ],
  });
});
after(async () => {
  await api[Symbol.asyncDispose]();
  await redis.stop();
});

type Body = Readonly<Record<string, unknown>>;

const redecide = <Made = OpenAI.Batch>(id: string, body: unknown, { key = 'a', query = '' } = {}): Promise<Made> =>
  api.client(key).post(`/batches/${id}/redecide${query}`, { body });

/** A batch of two documents, of the cascades `invoices` and `letters`. */
async function create(): Promise<string> {
  const lines = ['invoices', 'letters'].map((model, at) => requestLine('a', `doc-${at}`, { model }));
  const file = await api
    .client('a')
    .files.create({ file: new File([`${lines.join('\n')}\n`], 'a.jsonl'), purpose: 'batch' });
  const order = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
  return (await api.client('a').batches.create({ ...order, metadata: { team: 'x' } })).id;
}

const manifestOf = async (id: string): Promise<Manifest> =>
  (await readRecord(api.storage, KEYS.manifest(id), RECORDS.manifest)) ?? assert.fail();

/** Writes what a dispatcher writes that ends a batch whose drafts were all final; an older one keeps nothing of them. */
async function end(id: string, { isOlder = false } = {}): Promise<void> {
  const { inputFileId, cascades } = await manifestOf(id);
  const input = Buffer.from((await api.storage.read(KEYS.fileBytes(inputFileId))) ?? []).toString();
  const ending: Ending = { kind: 'accepted', draft: acceptedDraftOf() };
  const documents = Object.keys(cascades).map((cascade, document) => ({
    job: jobOf({ batch: id, document, cascade }),
    rules: cascades[cascade] ?? assert.fail(),
  }));
  const lines = documents.map((document) => resultOf(document, ending).line);
  const drafts = isOlder ? [] : documents.map((document) => keptText(document, ending));
  const counts = addCounts(NO_COUNTS, { completed: 2, accepted: 2 });
  const { bytes, footer } = writePage(0, lines, { counts, waits: {}, drafts });
  await api.storage.create(KEYS.page(id, 0), bytes);
  const pages = [[0, 2, 0, Buffer.byteLength(input), 0]];
  await api.put(KEYS.validated(id), { validatedAtMs: 1, total: 2, cascades: ['invoices', 'letters'], pages });
  const outputFileId = resultFileId(id, 'output');
  const source = { kind: 'batch', batch: id, part: 'output' };
  const file = { filename: 'o.jsonl', purpose: 'batch_output', bytes: footer.outputBytes, createdAtMs: 1 };
  await api.put(KEYS.fileRecord(outputFileId), {
    id: outputFileId,
    tenant: 'default',
    ...file,
    expiresAtMs: null,
    source,
  });
  const times = { inProgressAtMs: 1, closedAtMs: 2, endedAtMs: 3 };
  const sizes = [[footer.outputBytes, footer.errorBytes]];
  const files = { outputFileId, errorFileId: null };
  await api.put(KEYS.final(id), {
    outcome: 'completed',
    total: 2,
    model: null,
    counts,
    ...times,
    errors: [],
    pages: sizes,
    ...files,
  });
  await api.store.client.del(api.store.keys.batch(id));
}

async function ended(options?: { isOlder?: boolean }): Promise<string> {
  const id = await create();
  await end(id, options);
  return id;
}

const refusal =
  (status: number, param: string | null, code: string | null, message = /./) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof OpenAI.APIError);
    assert.deepEqual([error.status, error.param, error.code], [status, param, code]);
    assert.match(error.message, message);
    return true;
  };

test('a batch that is decided anew has the old one’s input and rules, and the thresholds that were asked for', async () => {
  const id = await ended();
  const old = await manifestOf(id);
  const made = await redecide(id, { accept_at: { letters: [0.95] }, completion_window: '2h' });
  const { cascades, ...manifest } = await manifestOf(made.id);
  const acceptAt = (name: string) => cascades[name]?.stages[0]?.judge?.acceptAt;
  assert.deepEqual([acceptAt('invoices'), acceptAt('letters')], [0.9, 0.95]);
  assert.deepEqual(
    [manifest.inputFileId, manifest.redecided, manifest.completionWindow],
    [old.inputFileId, { from: id }, '2h'],
  );
  assert.deepEqual(made.metadata, {
    team: 'x',
    'spillway.accept_at': 'invoices: 0.9; letters: 0.95',
    'spillway.redecided_from': id,
  });
  assert.notEqual(await api.storage.size(KEYS.redecision(id, made.id)), null, 'the old batch knows that it is needed');
  const same: Body[] = [
    { accept_at: { letters: 0.95 } },
    { accept_at: { letters: [0.95], invoices: null } },
    { accept_at: { invoices: 0.9, letters: 0.95 }, completion_window: '3h' },
  ];
  for (const body of same) assert.equal((await redecide(id, body)).id, made.id);
  const all = await redecide(id, { accept_at: 0.95 });
  assert.notEqual(all.id, made.id);
  assert.equal((await redecide(id, { stages: [{ accept_at: 0.95 }] })).id, all.id);
  const [one, other] = await Promise.all([redecide(id, { accept_at: 0.1 }), redecide(id, { accept_at: 0.1 })]);
  assert.equal(one.id, other.id);
});

test('a preview says what would be asked, and makes nothing', async () => {
  const id = await ended();
  const keys = await api.keys();
  const seen = redecisionPreview.parse(
    await redecide(id, { accept_at: { letters: 0.96 } }, { query: '?preview=true' }),
  );
  const documents = { total: 2, kept: 1, asked: 1, drafted_again: 0, anew: 0, copied: 0, bad: 0 };
  assert.deepEqual([seen.redecided_from, seen.documents, seen.usd], [id, documents, null], 'large has no price');
  assert.deepEqual(seen.stages, [{ cascade: 'letters', stage: 2, model: 'large', documents: 1 }]);
  assert.deepEqual(await api.keys(), keys);
  await assert.rejects(
    redecide(id, { accept_at: 0.5 }, { query: '?preview=yes' }),
    refusal(400, 'preview', 'invalid_value'),
  );
});

test('what is wrong with a body is said of its key', async () => {
  const id = await ended();
  const wrong: [unknown, string, string | null, RegExp?][] = [
    [{}, 'accept_at', 'missing_required_parameter'],
    [{ accept_at: null }, 'accept_at', 'missing_required_parameter'],
    [{ accept_at: 1.5 }, 'accept_at', 'invalid_value', /from 0 to 1, but got 1\.5/],
    [{ accept_at: '0.9' }, 'accept_at', 'invalid_type'],
    [{ accept_at: [] }, 'accept_at', 'invalid_value', /expected 1, one for each stage of 'invoices'/],
    [{ accept_at: [0.5, 0.5] }, 'accept_at', 'invalid_value'],
    [{ accept_at: [-1] }, 'accept_at.0', 'invalid_value'],
    [{ accept_at: { nobody: 0.5 } }, 'accept_at.nobody', 'unknown_parameter', /invoices.*letters/],
    [{ accept_at: { letters: [true] } }, 'accept_at.letters.0', 'invalid_type'],
    [{ accept_at: 0.5, stages: [{ accept_at: 0.5 }] }, 'stages', null],
    [{ stages: {} }, 'stages', 'invalid_type'],
    [{ stages: [{}, {}] }, 'stages', 'invalid_value'],
    [{ stages: [0.5] }, 'stages.0', 'invalid_type'],
    [{ stages: [{ accept_at: 2 }] }, 'stages.0.accept_at', 'invalid_value'],
    [{ stages: [{ model: 'large' }] }, 'stages.0.model', 'unknown_parameter'],
    [{ promise: { agreement: 'x' } }, 'promise.agreement', 'invalid_type', /a number from 0\.000001 to 0\.999999/],
    [{ promise: { agreement: 0.9, certainty: 1e-20 } }, 'promise.certainty', 'invalid_value', /from 0\.000001/],
    [{ promise: { accuracy: 0.9 } }, 'promise.agreement', 'missing_required_parameter'],
    [{ budget: 0.2 }, 'budget', 'invalid_type'],
    [{ accept_at: 0.5, budget: { expert_share: 0.2 } }, 'accept_at', null, /either 'budget' or 'accept_at'/],
    [{ promise: { agreement: 0.9 }, budget: { expert_share: 0.2 } }, 'budget', null],
    [{ accept_at: 0.5, completion_window: '1s' }, 'completion_window', 'invalid_value'],
  ];
  for (const [body, param, code, message] of wrong) {
    await assert.rejects(redecide(id, body), refusal(400, param, code, message), JSON.stringify(body));
  }
  for (const query of ['?previw=true', '?Preview=true', '?dry_run=true']) {
    const param = /\w+/.exec(query)?.[0] ?? '';
    await assert.rejects(
      redecide(id, { accept_at: 0.5 }, { query }),
      refusal(400, param, 'unknown_parameter', /Did you mean '(?:preview)'/),
    );
  }
  const asked = api.client('a').post(`/batches/${id}/redecide`, { body: { accept_at: 0.5, acept_at: 0.4 } });
  assert.equal((await asked.asResponse()).headers.get('x-spillway-ignored'), 'acept_at');
});

test('a batch that is not there, is another’s, has not ended, or of which something is gone', async () => {
  const body = { accept_at: 0.5 };
  const id = await ended();
  await assert.rejects(redecide(id, body, { key: 'b' }), refusal(404, null, null));
  await assert.rejects(redecide(`batch_${'0'.repeat(32)}`, body), refusal(404, null, null));
  const open = await create();
  await assert.rejects(redecide(open, body), refusal(409, null, null, /with status 'validating'/));
  const older = await ended({ isOlder: true });
  await assert.rejects(
    redecide(older, body),
    refusal(409, null, 'no_drafts', /older Spillway.*new batch of its input file/),
  );
  const lost = await ended();
  await api.storage.remove(KEYS.page(lost, 0));
  await assert.rejects(redecide(lost, body), refusal(409, null, 'results_gone'));
  const deleted = await ended();
  await api.client('a').files.delete(resultFileId(deleted, 'output'));
  await assert.rejects(redecide(deleted, body), refusal(409, null, 'results_gone'));
  const inputless = await ended();
  await api.client('a').files.delete((await manifestOf(inputless)).inputFileId);
  await assert.rejects(redecide(inputless, body), refusal(409, null, 'input_gone'));
  const renamed = await create();
  const record = await manifestOf(renamed);
  const stages = record.cascades['letters']?.stages.map((stage) => ({ ...stage, model: `old-${stage.model}` })) ?? [];
  const letters = { ...(record.cascades['letters'] ?? assert.fail()), stages };
  await api.storage.remove(KEYS.manifest(renamed));
  await api.put(KEYS.manifest(renamed), { ...record, cascades: { ...record.cascades, letters } });
  await using other = await startTestApi({ redisUrl: redis.url });
  await end(renamed);
  for (const key of await api.keys()) {
    const bytes =
      key.includes(renamed) || key.includes(record.inputFileId) || key.includes(resultFileId(renamed, 'output'))
        ? await api.storage.read(key)
        : null;
    if (bytes !== null) await other.storage.create(key, bytes);
  }
  const asked = other.client().post(`/batches/${renamed}/redecide`, { body });
  await assert.rejects(asked, refusal(409, null, 'model_gone', /'old-small'/));
});
