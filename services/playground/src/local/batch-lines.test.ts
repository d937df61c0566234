import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Screen } from '../demo/screen.ts';
import { BatchLines } from './batch-lines.ts';
import type { ProcessLine } from './process.ts';

const logged = (message: string, fields: Readonly<Record<string, unknown>>): ProcessLine => ({
  kind: 'log',
  service: 'dispatcher',
  level: 'info',
  message,
  fields,
});

test('a batch is told of when it is validated and when it ends, and how far it is in between', async () => {
  let text = '';
  const batches = new BatchLines(new Screen({ isTTY: true, columns: 100, write: (more) => (text += more) }));
  const read = () => Promise.resolve({ atMs: 0, status: 'in_progress', total: 1000, done: 400, split: null });
  await batches.look(read);
  batches.see(logged('validated', { batch: 'batch_1', documents: 1000, pages: 4 }));
  await batches.look(read);
  batches.see(logged('validated', { batch: 'batch_2', documents: 2 }));
  await batches.look(read);
  const done = {
    batch: 'batch_2',
    outcome: 'completed',
    total: 2,
    completed: 1,
    failed: 1,
    escalated: 1,
    tookMs: 1234,
  };
  batches.see(logged('ended', { ...done, final: 'created' }));
  batches.see(logged('ended', { ...done, final: 'exists' }));
  batches.see(logged('refused', { batch: 'batch_3', errors: 3 }));
  batches.see(logged('leading', {}));
  batches.see({ ...logged('validated', { batch: 'x' }), service: 'api' });
  await batches.look(() => Promise.reject(new Error('away')));
  assert.deepEqual(
    text
      .replaceAll('\u001B[K', '\n')
      .replaceAll('\r', '\n')
      .split('\n')
      .filter((line) => line !== ''),
    [
      'batch_1  validated: 1,000 documents',
      '  [########------------] batch_1…  400 of 1,000 documents',
      'batch_2  validated: 2 documents',
      '  [########------------] batch_2…  400 of 1,000 documents · 1 more in work',
      'batch_2  completed after 1.2 s: 1 of 2 answered, 1 escalated, 1 failed',
      'batch_3  refused: its file has 3 errors, which the batch names',
    ],
  );
});
