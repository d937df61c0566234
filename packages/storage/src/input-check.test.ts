import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { KEYS } from '@spillway/core';
import { openStorage } from './address.ts';
import { InputCheck, type InputOrder } from './input-check.ts';

test('what is read again for the duplicates of a chunk is told one by one, so that others come in between', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'spillway-check-'));
  t.after(() => rm(directory, { recursive: true }));
  await using storage = await openStorage(`file://${directory}`);
  const inputFileId = 'file-a';
  const metadata = { 'spillway.on_bad_lines': 'error_file' };
  const order = { endpoint: '/v1/chat/completions', metadata, cascades: { a: {} } };
  const line = (id: number): string => {
    const messages = [{ role: 'user', content: 'x'.repeat(60_000) }];
    const body = { model: 'a', messages };
    return `${JSON.stringify({ custom_id: `${id}`, method: 'POST', url: '/v1/chat/completions', body })}\n`;
  };
  const ids = [0, 1, 2, 3, 4];
  const bytes = Buffer.from([...ids, ...ids].map(line).join(''));
  await storage.create(KEYS.fileBytes(inputFileId), bytes);
  const check = new InputCheck(
    (range) => storage.read(KEYS.fileBytes(inputFileId), range),
    order as unknown as InputOrder,
    {
      lines: 100,
      lineBytes: 1024 * 1024,
    },
  );
  const told = await Array.fromAsync(check.read(bytes));
  assert.deepEqual(
    told,
    ids.map(() => 64 * 1024),
  );
  const { total, badLines } = await check.finish();
  assert.deepEqual([total, badLines?.count], [10, 5]);
});
