import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DELAY_REASONS, ESCALATION_REASONS, readConfiguration } from '@spillway/core';
import { Meters } from '@spillway/runtime';
import { beginDocumentCounters } from './document-counters.ts';

const read = readConfiguration(`
models:
  small: { base_url: http://127.0.0.1:1/v1, model: s }
  medium: { base_url: http://127.0.0.1:1/v1, model: m }
  large: { base_url: http://127.0.0.1:1/v1, model: l }
cascades:
  three: { stages: [{ model: small, accept_at: 0.9 }, { model: medium, accept_at: 0.9 }, { model: large }] }
  two: { drafter: small, expert: medium, accept_at: 0.9 }
`);
assert.ok(read.kind === 'valid');
const { cascades } = read.configuration;

/** What a process that serves these tiers shows of a counter before any document: labels in the order of the samples. */
async function begun(serves: (tier: string) => boolean): Promise<(metric: string) => string[]> {
  await using meters = new Meters('test');
  beginDocumentCounters(meters, cascades, serves);
  const text = await meters.text();
  return (metric) => {
    const samples = [...text.matchAll(new RegExp(`^${metric}\\{(.*)\\} (\\d+)$`, 'gm'))];
    for (const [sample, , value] of samples) assert.equal(value, '0', sample);
    return samples.map(([, labels = '']) => labels.replaceAll(/\w+="([^"]*)"/g, '$1'));
  };
}

test('a worker shows at 0 what can be counted with the documents that end with it', async () => {
  const shown = await begun((tier) => tier === 'expert.large');
  assert.deepEqual(shown('cascade_documents_total'), ['three,3,completed', 'three,3,failed']);
  assert.deepEqual(
    shown('cascade_escalations_total'),
    ['1', '2'].flatMap((stage) => ESCALATION_REASONS.map(({ reason }) => `three,${stage},${reason}`)),
  );
  assert.deepEqual(shown('cascade_cost_usd_total'), [
    'three,drafter.small,drafter',
    'three,drafter.medium,drafter',
    'three,expert.large,expert',
  ]);
  assert.equal(shown('cascade_tokens_total').length, 6);
  assert.deepEqual(shown('cascade_wasted_cost_usd_total'), ['three']);
  assert.equal(shown('cascade_queue_wait_seconds_count').length, 3);
  assert.equal(shown('cascade_delay_seconds_count').length, 3 * DELAY_REASONS.length);
  assert.deepEqual(shown('cascade_sequential_wait_seconds_count'), ['three']);
  assert.deepEqual(shown('cascade_document_duration_seconds_count'), ['three,3']);
});

test('a drafter in two cascades ends documents in both, and one model in two roles is two tiers', async () => {
  const drafter = await begun((tier) => ['drafter.small', 'drafter.medium'].includes(tier));
  assert.deepEqual(drafter('cascade_documents_total'), [
    'three,1,completed',
    'three,1,failed',
    'three,2,completed',
    'three,2,failed',
    'two,1,completed',
    'two,1,failed',
  ]);
  assert.ok(drafter('cascade_escalations_total').every((labels) => labels.startsWith('three,1,')));
  const expert = await begun((tier) => tier === 'expert.medium');
  assert.deepEqual(expert('cascade_documents_total'), ['two,2,completed', 'two,2,failed']);
});

test('whoever serves no tier of a cascade shows nothing of it', async () => {
  const shown = await begun(() => false);
  assert.deepEqual(shown('cascade_documents_total'), []);
  assert.deepEqual(shown('cascade_wasted_cost_usd_total'), []);
});
