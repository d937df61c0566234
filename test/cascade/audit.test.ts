import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStageModel, runStage } from '@spillway/cascade';
import { askedWhole, auditEntryOf, readConfiguration, snapshotRules, type CascadeDocument } from '@spillway/core';
import { jobOf } from '../support/jobs.ts';
import { startModelServer } from '../support/model-server.ts';
import { says } from '../support/verdict-server.ts';

test('where the expert judges what means the same, an audit asks it about a draft that is worded otherwise', async () => {
  const asked: string[] = [];
  await using server = await startModelServer({
    role: 'expert',
    answer: (request) => {
      const text = JSON.stringify(request.body);
      asked.push(text);
      if (!text.includes('Does it say the same')) return { kind: 'completion', text: 'twelve' };
      return says(text.includes('a dozen') ? 'Y' : 'N', 0.9);
    },
  });
  const read = readConfiguration(`models:
  small: { base_url: "${server.baseURL}", model: small }
  large: { base_url: "${server.baseURL}", model: large }
cascades:
  test: { drafter: small, expert: large, accept_at: 0.8, ask: verdict, verdict: { accept_at: 0.8 }, agreement: judge, audit: {} }
`);
  assert.ok(read.kind === 'valid', JSON.stringify(read));
  const { configuration } = read;
  const rules = snapshotRules(configuration, new Map(), false)['test'];
  const spec = configuration.models['large'];
  assert.ok(rules !== undefined && spec !== undefined);
  await using model = openStageModel(
    { name: 'large', spec, apiKey: null },
    { role: 'expert', configuration, propagates: false, onCall: () => undefined },
  );
  for (const [draft, outcome, calls] of [
    ['Twelve.', 'agreed', 1],
    ['a dozen', 'agreed', 2],
    ['thirteen', 'disagreed', 2],
  ] as const) {
    asked.length = 0;
    const document: CascadeDocument = { job: jobOf({ stage: 1, audit: { draft } }), rules: askedWhole(rules) };
    const done = await runStage(model, document, { signal: new AbortController().signal, stalls: 0 });
    assert.ok(done.kind === 'settle', done.kind);
    assert.deepEqual([auditEntryOf(document, done.ending).outcome, asked.length], [outcome, calls], draft);
  }
});
