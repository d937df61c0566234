import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import type { OpenAI } from 'openai';
import { System } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

/** What k8s/README.md says of backups. */

const DOCUMENTS = 1_200;
const prompts = Array.from({ length: DOCUMENTS }, (_, index) =>
  index % 3 === 0 ? `[[drafter unsure]] ${index}` : `${index}`,
);
const done = (batch: OpenAI.Batch): number => batch.request_counts?.completed ?? 0;

test('a copy of the storage made while it runs, and an empty Redis: the batch goes on and is whole', async () => {
  await using system = await System.start({ drafter: { latencyMs: 15 }, expert: { latencyMs: 25 } });
  const data = join(system.directory, 'data');
  const copy = await mkdtemp(join(tmpdir(), 'spillway-backup-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(copy, { recursive: true, force: true }));
  const { id } = await system.submit(prompts);
  const then = await system.settled(id, (batch) => done(batch) >= 300);
  assert.ok(done(then) < DOCUMENTS);
  await cp(data, copy, { recursive: true, filter: (path) => basename(path) !== '.tmp' });
  // What was done after the copy is lost with everything else.
  await system.settled(id, (batch) => done(batch) >= 700);
  await Promise.all(system.services.map((service) => service.kill()));
  await system.redis.client.flushall();
  await rm(data, { recursive: true });
  await cp(copy, data, { recursive: true });
  await Promise.all((['api', 'dispatcher', 'drafter', 'expert'] as const).map((name) => system.run(name)));
  const batch = await system.settled(id);
  assert.equal(batch.status, 'completed');
  await wholeResults(system, batch, docIds(DOCUMENTS));
});
