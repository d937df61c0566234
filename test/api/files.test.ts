import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { KEYS, RECORD_VERSION, RECORDS } from '@spillway/core';
import { readRecord } from '@spillway/storage';
import OpenAI, { toFile } from 'openai';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { startTestApi, type TestApi } from './api-under-test.ts';
import { answerOf, BOUNDARY, errorOf, formOf, json, MULTIPART, send, type Answer, type FormPart } from './raw-http.ts';

const LINE = '{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{}}\n';

const purpose: FormPart = { name: 'purpose', value: 'batch' };
const file: FormPart = { name: 'file', value: LINE, filename: 'in.jsonl' };
const anchor: FormPart = { name: 'expires_after[anchor]', value: 'created_at' };
const seconds: FormPart = { name: 'expires_after[seconds]', value: '3600' };

let redis: RedisServer;
let api: TestApi;

before(async () => {
  redis = await startRedis();
  api = await startTestApi({ redisUrl: redis.url, limits: { uploadBytes: 200_000, uploadIdleMs: 400 } });
});
after(async () => {
  await api[Symbol.asyncDispose]();
  await redis.stop();
});

const upload = (parts: readonly FormPart[], headers = {}): Promise<Answer> =>
  send(`${api.url}/v1/files`, { method: 'POST', headers: { ...MULTIPART, ...headers }, body: formOf(parts) });

/** Whether anything of an upload that is not in `known` stays, once the API has tidied up. */
async function leavesNothing(known: readonly string[]): Promise<void> {
  for (let left = 100; left > 0; left -= 1) {
    const keys = (await api.keys()).filter((key) => !known.includes(key));
    if (keys.length === 0) return;
    await delay(20);
  }
  assert.deepEqual(await api.keys(), known);
}

function permutations<Item>(items: readonly Item[]): Item[][] {
  if (items.length <= 1) return [[...items]];
  return items.flatMap((item, at) => permutations(items.toSpliced(at, 1)).map((rest) => [item, ...rest]));
}

describe('upload', () => {
  test('the SDK uploads, looks, downloads and deletes', async () => {
    const client = api.client();
    const created = await client.files.create({
      file: await toFile(Buffer.from(LINE), 'docs.jsonl'),
      purpose: 'batch',
    });
    assert.match(created.id, /^file-[0-9a-f]{32}$/);
    const now = Date.now() / 1000;
    assert.ok(Math.abs(created.created_at - now) < 5);
    assert.equal(created.expires_at, created.created_at + 2_592_000);
    const { id, created_at, expires_at, ...rest } = created as unknown as Record<string, unknown>;
    assert.deepEqual(rest, {
      object: 'file',
      bytes: LINE.length,
      filename: 'docs.jsonl',
      purpose: 'batch',
      status: 'processed',
      status_details: null,
    });
    assert.deepEqual(await client.files.retrieve(String(id)), created);
    assert.ok(typeof created_at === 'number' && typeof expires_at === 'number');
    const content = await client.files.content(created.id);
    assert.equal(await content.text(), LINE);
    assert.deepEqual(await client.files.delete(created.id), { id: created.id, object: 'file', deleted: true });
    await assert.rejects(client.files.retrieve(created.id), OpenAI.NotFoundError);
    await assert.rejects(client.files.content(created.id), OpenAI.NotFoundError);
    await assert.rejects(client.files.delete(created.id), OpenAI.NotFoundError);
    assert.ok((await api.keys()).includes(KEYS.fileBytes(created.id)), 'bytes go later, no batch may need them');
  });

  test('the SDK asks for an expiry', async () => {
    const body = { file: await toFile(Buffer.from(LINE), 'docs.jsonl'), purpose: 'batch' } as const;
    const created = await api
      .client()
      .files.create({ ...body, expires_after: { anchor: 'created_at', seconds: 7_200 } });
    assert.equal(created.expires_at, created.created_at + 7_200);
  });

  test('fields come in any order', async () => {
    for (const parts of permutations([purpose, file, anchor, seconds])) {
      const answer = await upload([...parts, { name: 'stranger', value: 'x' }]);
      assert.equal(answer.status, 200, answer.body.toString());
      const { expires_at: expires, created_at: created, bytes } = json(answer);
      assert.equal(Number(expires) - Number(created), 3_600);
      assert.equal(bytes, LINE.length);
    }
  });

  test('the record is written with the bytes and the index key', async () => {
    const { id } = json(await upload([purpose, file])) as { id: string };
    const record = await readRecord(api.storage, KEYS.fileRecord(id), RECORDS.file);
    assert.equal(record?.tenant, 'default');
    assert.deepEqual(record?.source, { kind: 'upload' });
    const keys = await api.keys();
    assert.ok(keys.includes(KEYS.fileBytes(id)));
    assert.ok(keys.includes(KEYS.tenantFile('default', record?.createdAtMs ?? 0, id)));
  });

  test('file names are made harmless', async () => {
    const cases = {
      '../../../etc/passwd': 'passwd',
      'C:\\\\temp\\\\in.jsonl': 'in.jsonl',
      'a\u0007b.jsonl': 'ab.jsonl',
      'Rechnung März.jsonl': 'Rechnung März.jsonl',
      '': 'upload.jsonl',
    };
    for (const [filename, safe] of Object.entries(cases)) {
      const answer = await upload([purpose, { ...file, filename }]);
      assert.equal(json(answer)['filename'], safe, answer.body.toString());
    }
    const long = json(await upload([purpose, { ...file, filename: `${'x'.repeat(10_240)}.jsonl` }]));
    assert.equal(String(long['filename']).length, 255);
    const content = await send(`${api.url}/v1/files/${String(long['id'])}/content`);
    assert.match(content.headers['content-disposition'] ?? '', /^attachment; filename="x{249}\.jsonl"$/);
  });

  test('what is wrong with an upload is named, and nothing of it stays', async () => {
    const known = await api.keys();
    const text = (value: string | Buffer): FormPart => ({ ...file, value });
    const format = (name: string, reason: string): RegExp =>
      new RegExp(`^Invalid file format for Batch API\\. Must be \\.jsonl: '${name}'\\. .*${reason}`);
    const cases: [string, FormPart[], string | null, string | null, RegExp | string][] = [
      ['no file', [purpose], 'file', 'missing_required_parameter', "Missing required parameter: 'file'."],
      ['no purpose', [file], 'purpose', 'missing_required_parameter', "Missing required parameter: 'purpose'."],
      ['nothing', [], 'file', 'missing_required_parameter', /file/],
      ['purpose first', [{ ...purpose, value: 'user_data' }, file], 'purpose', 'invalid_value', /'user_data'/],
      ['purpose last', [file, { ...purpose, value: 'fine-tune' }], 'purpose', 'invalid_value', /'fine-tune'/],
      ['extension', [purpose, { ...file, filename: 'in.json' }], null, null, format('in.json', 'must end with .jsonl')],
      ['empty', [purpose, text('')], null, null, format('in.jsonl', 'is empty')],
      ['CSV', [purpose, text('custom_id,body\n')], null, null, format('in.jsonl', 'CSV')],
      ['not JSON', [purpose, text('hello\n')], null, null, format('in.jsonl', 'not JSON')],
      ['array', [purpose, text(`[\n  ${LINE}]`)], null, null, format('in.jsonl', 'JSON array')],
      ['array on a line', [purpose, text(`[${LINE.trim()}]`)], null, null, format('in.jsonl', 'JSON array')],
      ['commas', [purpose, text(`${LINE.trim()},\n`)], null, null, format('in.jsonl', 'end with a comma')],
      ['CSV, file first', [text('custom_id,body'), purpose], null, null, format('in.jsonl', 'CSV')],
      ['UTF-16', [purpose, text(Buffer.from(LINE, 'utf16le'))], null, null, format('in.jsonl', 'UTF-16.* UTF-8')],
      ['UTF-16', [purpose, text(Buffer.from(`\uFEFF${LINE}`, 'utf16le').swap16())], null, null, /UTF-16.* UTF-8/],
      [
        'long name',
        [purpose, { ...file, filename: `a/${'x'.repeat(200)}\u0007.csv` }],
        null,
        null,
        format(`${'x'.repeat(100)}…`, 'must end with .jsonl'),
      ],
      [
        'two files',
        [purpose, file, { ...file, filename: 'b.jsonl' }],
        'file',
        null,
        "Only one 'file' can be uploaded at a time: 'b.jsonl' came after 'in.jsonl'.",
      ],
      ['anchor', [purpose, file, { ...anchor, value: 'now' }, seconds], 'expires_after.anchor', 'invalid_value', /now/],
      ['no anchor', [purpose, file, seconds], 'expires_after.anchor', 'missing_required_parameter', /anchor/],
      ['no seconds', [purpose, file, anchor], 'expires_after.seconds', 'missing_required_parameter', /seconds/],
      [
        'seconds',
        [purpose, file, anchor, { ...seconds, value: 'x' }],
        'expires_after.seconds',
        'invalid_type',
        /integer/,
      ],
      [
        'short',
        [purpose, file, anchor, { ...seconds, value: '3599' }],
        'expires_after.seconds',
        'integer_below_min_value',
        /3600/,
      ],
      [
        'long',
        [anchor, { ...seconds, value: '2592001' }, file, purpose],
        'expires_after.seconds',
        'integer_above_max_value',
        /2592000/,
      ],
    ];
    for (const [name, parts, param, code, message] of cases) {
      const answer = await upload(parts);
      const error = errorOf(answer);
      assert.deepEqual(
        [answer.status, error.type, error.param, error.code],
        [400, 'invalid_request_error', param, code],
        name,
      );
      if (typeof message === 'string') assert.equal(error.message, message, name);
      else assert.match(error.message, message, name);
    }
    await leavesNothing(known);
  });

  test('a broken or foreign body is a 4xx', async () => {
    const known = await api.keys();
    const whole = formOf([purpose, file]);
    const post = (body: Buffer, headers: Record<string, string>): Promise<Answer> =>
      send(`${api.url}/v1/files`, { method: 'POST', headers, body });
    const noBoundary = await post(whole, { 'content-type': 'multipart/form-data' });
    assert.equal(noBoundary.status, 400);
    for (const end of [1, 30, 60, 120, whole.length - 6]) {
      const answer = await post(whole.subarray(0, end), MULTIPART);
      assert.equal(answer.status, 400, `${end}: ${answer.body.toString()}`);
      assert.equal(errorOf(answer).code, 'invalid_multipart');
    }
    assert.equal((await post(Buffer.from('{}'), { 'content-type': 'application/json' })).status, 415);
    assert.equal((await post(Buffer.from(LINE), { 'content-type': 'text/plain' })).status, 415);
    assert.equal((await post(Buffer.alloc(0), {})).status, 415);
    const proto = formOf([purpose, { name: '__proto__', value: 'x' }, file]);
    assert.equal((await post(proto, MULTIPART)).status, 400);
    const many = formOf(Array.from({ length: 100 }, (_, at) => ({ name: `f${at}`, value: 'x' })));
    assert.equal((await post(many, MULTIPART)).status, 400);
    await leavesNothing(known);
    assert.equal((await upload([purpose, file])).status, 200);
  });

  test('a file over the limit is refused by its length', async () => {
    const known = await api.keys();
    const call = request(`${api.url}/v1/files`, {
      method: 'POST',
      agent: false,
      headers: { ...MULTIPART, 'content-length': String(5 * 1024 * 1024) },
    });
    call.on('error', () => undefined);
    call.write(`--${BOUNDARY}\r\n`);
    const answer = await answerOf(call);
    assert.equal(answer.status, 413);
    assert.equal(errorOf(answer).code, 'file_too_large');
    call.destroy();
    await leavesNothing(known);
  });

  test('a file over the limit is refused mid-stream when its length is not declared', async () => {
    const known = await api.keys();
    const call = request(`${api.url}/v1/files`, { method: 'POST', agent: false, headers: MULTIPART });
    call.on('error', () => undefined);
    const answered = answerOf(call);
    call.write(formOf([purpose, file]).subarray(0, -BOUNDARY.length - 8));
    for (let sent = 0; sent < 300; sent += 1) call.write(Buffer.alloc(1_000, 'x'));
    const answer = await answered;
    assert.equal(answer.status, 413);
    assert.equal(errorOf(answer).message, "The file 'in.jsonl' is too large: at most 200000 bytes can be uploaded.");
    call.destroy();
    await leavesNothing(known);
  });

  test('a file of just the limit is taken, one byte more is not', async () => {
    const fill = (bytes: number): FormPart => ({ ...file, value: `"${'x'.repeat(bytes - 3)}"\n` });
    assert.equal(json(await upload([purpose, fill(200_000)]))['bytes'], 200_000);
    assert.equal((await upload([purpose, fill(200_001)])).status, 413);
  });

  test('the SDK sees a file that is too large as an error of its own, not as a broken connection', async () => {
    const large = await toFile(Buffer.from(LINE.repeat(60_000)), 'large.jsonl');
    await assert.rejects(api.client().files.create({ file: large, purpose: 'batch' }), (error: unknown) => {
      assert.ok(error instanceof OpenAI.APIError);
      assert.equal(error.status, 413);
      return true;
    });
  });

  test('an aborted upload leaves nothing, wherever it stops', async () => {
    const known = await api.keys();
    const whole = formOf([purpose, { ...file, value: LINE.repeat(1_000) }]);
    for (const share of [0.01, 0.5, 0.99]) {
      const call = request(`${api.url}/v1/files`, {
        method: 'POST',
        agent: false,
        headers: { ...MULTIPART, 'content-length': String(whole.length) },
      });
      call.on('error', () => undefined);
      await new Promise((resolve) => {
        call.write(whole.subarray(0, Math.floor(whole.length * share)), resolve);
      });
      await delay(20);
      call.destroy();
    }
    await leavesNothing(known);
  });

  test('a sender that is gone before its body is read leaves nothing', async () => {
    const known = await api.keys();
    const part = formOf([purpose, { ...file, value: LINE.repeat(1_000) }]).subarray(0, 5_000);
    for (let round = 0; round < 20; round += 1) {
      const call = request(`${api.url}/v1/files`, { method: 'POST', agent: false, headers: MULTIPART });
      call.on('error', () => undefined);
      await new Promise((resolve) => {
        call.write(part, resolve);
      });
      await delay(round % 5);
      call.destroy();
    }
    await leavesNothing(known);
  });

  test('a sender that falls silent, or drips, is not waited for', async () => {
    const known = await api.keys();
    const whole = formOf([purpose, { ...file, value: LINE.repeat(100) }]);
    for (const dripMs of [null, 50]) {
      const call = request(`${api.url}/v1/files`, { method: 'POST', agent: false, headers: MULTIPART });
      call.on('error', () => undefined);
      const answered = answerOf(call);
      call.write(whole.subarray(0, 1_000));
      const drip = dripMs === null ? null : setInterval(() => call.write('x'), dripMs);
      const answer = await answered;
      if (drip !== null) clearInterval(drip);
      assert.equal(answer.status, 408);
      assert.equal(errorOf(answer).code, 'upload_stalled');
      assert.match(errorOf(answer).message, /^The upload of 'in\.jsonl' stalled: less than 16384 bytes came/);
      call.destroy();
    }
    await leavesNothing(known);
  });
});

describe('content', () => {
  const bytes = Buffer.from(`${LINE}{"last":"line without an end"}`);

  async function uploaded(): Promise<string> {
    const { id } = json(
      await upload([purpose, { ...file, value: bytes, filename: 'a "b".jsonl'.replaceAll('"', '%22') }]),
    );
    return `${api.url}/v1/files/${String(id)}/content`;
  }

  test('comes as it was sent', async () => {
    const answer = await send(await uploaded());
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.body, bytes);
    assert.equal(answer.headers['content-type'], 'application/octet-stream');
    assert.equal(answer.headers['content-length'], String(bytes.length));
    assert.equal(answer.headers['accept-ranges'], 'bytes');
    assert.match(answer.headers['content-disposition'] ?? '', /^attachment; filename="a .*\.jsonl"/);
  });

  test('comes in part when a range is asked for', async () => {
    const url = await uploaded();
    const part = async (range: string): Promise<Answer> => send(url, { headers: { range } });
    const middle = await part('bytes=5-14');
    assert.equal(middle.status, 206);
    assert.deepEqual(middle.body, bytes.subarray(5, 15));
    assert.equal(middle.headers['content-range'], `bytes 5-14/${bytes.length}`);
    assert.equal(middle.headers['content-length'], '10');
    assert.deepEqual((await part('bytes=90-')).body, bytes.subarray(90));
    assert.deepEqual((await part('bytes=-7')).body, bytes.subarray(-7));
    const several = await part('bytes=0-1,5-6');
    assert.equal(several.status, 200);
    assert.deepEqual(several.body, bytes);
    const beyond = await part(`bytes=${bytes.length}-`);
    assert.equal(beyond.status, 416);
    assert.equal(beyond.headers['content-range'], `bytes */${bytes.length}`);
    assert.equal(errorOf(beyond).code, 'range_not_satisfiable');
  });

  test('is not sent for HEAD', async () => {
    const answer = await send(await uploaded(), { method: 'HEAD' });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['content-length'], String(bytes.length));
    assert.equal(answer.body.length, 0);
  });
});

describe('list', () => {
  let client: OpenAI;
  let other: TestApi;
  const ids: string[] = [];

  before(async () => {
    other = await startTestApi({ redisUrl: redis.url });
    client = other.client();
    for (let number = 0; number < 7; number += 1) {
      const created = await client.files.create({
        file: await toFile(Buffer.from(LINE), `${number}.jsonl`),
        purpose: 'batch',
      });
      ids.unshift(created.id);
      await delay(2);
    }
  });
  after(() => other[Symbol.asyncDispose]());

  const idsOf = async (query: OpenAI.FileListParams): Promise<string[]> => {
    const found: string[] = [];
    for await (const listed of client.files.list(query)) found.push(listed.id);
    return found;
  };

  test('pages lead through all files, in either order', async () => {
    for (const limit of [1, 2, 3, 7, 8, undefined]) {
      const bounded = limit === undefined ? {} : { limit };
      assert.deepEqual(await idsOf(bounded), ids);
      assert.deepEqual(await idsOf({ ...bounded, order: 'asc' }), ids.toReversed());
    }
    assert.deepEqual(await idsOf({ after: ids[2] ?? '' }), ids.slice(3));
    assert.deepEqual(await idsOf({ after: ids[2] ?? '', order: 'asc' }), ids.slice(0, 2).toReversed());
    const last = await client.files.list({ after: ids[6] ?? '', limit: 1 });
    assert.equal(last.has_more, false);
    assert.deepEqual(last.data, []);
  });

  test('only the purpose that was asked for', async () => {
    assert.deepEqual(await idsOf({ purpose: 'batch' }), ids);
    assert.deepEqual(await idsOf({ purpose: 'batch_output' }), []);
  });

  test('a page has the ids at its ends', async () => {
    const page = json(await send(`${other.url}/v1/files?limit=2`));
    assert.deepEqual(
      [page['object'], page['first_id'], page['last_id'], page['has_more']],
      ['list', ids[0], ids[1], true],
    );
  });

  test('what cannot be asked for is refused by name', async () => {
    const cases = {
      'limit=0': 'integer_below_min_value',
      'limit=10001': 'integer_above_max_value',
      'limit=x': 'invalid_type',
      'order=up': 'invalid_value',
    };
    for (const [query, code] of Object.entries(cases)) {
      const answer = await send(`${other.url}/v1/files?${query}`);
      assert.deepEqual([answer.status, errorOf(answer).code], [400, code], query);
    }
    assert.equal((await send(`${other.url}/v1/files?after=file-${'0'.repeat(32)}`)).status, 404);
    assert.equal((await send(`${other.url}/v1/files?after=../../x`)).status, 404);
  });

  test('a deleted file is listed no more, and still holds its place for who was paging', async () => {
    const gone = ids[3] ?? '';
    await client.files.delete(gone);
    const rest = ids.filter((id) => id !== gone);
    for (const limit of [1, 3]) assert.deepEqual(await idsOf({ limit }), rest);
    assert.deepEqual(await idsOf({ after: gone }), ids.slice(4));
  });

  test('an expired file is gone', async () => {
    const id = `file-${'e'.repeat(32)}`;
    const createdAtMs = Date.now() - 10_000;
    const record = {
      v: RECORD_VERSION,
      id,
      tenant: 'default',
      filename: 'x.jsonl',
      purpose: 'batch',
      bytes: 3,
      createdAtMs,
    };
    const expired = { ...record, expiresAtMs: Date.now() - 1_000, source: { kind: 'upload' } };
    await other.storage.create(KEYS.tenantFile('default', createdAtMs, id), Buffer.from('{}'));
    await other.storage.create(KEYS.fileRecord(id), Buffer.from(JSON.stringify(expired)));
    await assert.rejects(client.files.retrieve(id), OpenAI.NotFoundError);
    assert.ok(!(await idsOf({})).includes(id));
  });
});
