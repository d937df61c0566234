import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DraftedDocument } from './drafts.ts';
import { fieldDrafts, refuseField } from './field.ts';

const tokens = { inputTokens: 1, cachedTokens: 0, outputTokens: 1 };
const drafted = (customId: string, more: Partial<DraftedDocument>): DraftedDocument => ({
  customId,
  model: 'small',
  format: 'json_object',
  draft: null,
  expert: null,
  isStopped: false,
  score: -3,
  scores: { '{"name":"sum_logprob"}': -3 },
  features: [1],
  values: null,
  draftTokens: tokens,
  expertTokens: tokens,
  acceptBefore: [],
  acceptAt: 0.9,
  isAcceptedToday: true,
  ...more,
});

const both = (draft: unknown, expert: unknown) => ({ draft: JSON.stringify(draft), expert: JSON.stringify(expert) });
const shown = (documents: readonly DraftedDocument[]) =>
  documents.map(({ customId, draft, expert, score }) => [customId, draft, expert, score]);

test('a value is a draft of its own, with its score and what the expert has in its place', () => {
  const { drafts, labels } = fieldDrafts(
    [
      drafted('a', { ...both({ total: 1, to: 'x' }, { total: 2 }), values: { '/total': -0.5, '/to': -1 } }),
      drafted('b', { ...both({ total: '7' }, { sum: '7' }), values: { '/total': -0.1 } }),
      drafted('c', { draft: '{"total": 3}', expert: 'no idea', values: { '/total': -0.2 } }),
      drafted('d', { draft: '{"total": 3', expert: '{"total": 3}', values: { '/total': -0.2 } }),
      drafted('e', both({ total: 3 }, { total: 3 })),
    ],
    null,
    '/total',
  );
  assert.deepEqual(shown(drafts), [
    ['a /total', '1', '2', -0.5],
    ['b /total', '"7"', '', -0.1],
    ['c /total', '3', null, -0.2],
  ]);
  assert.deepEqual([labels, drafts[0]?.scores, drafts[0]?.isAcceptedToday], [null, {}, false]);
});

test('a star and an object stand for all that they cover, and labels are taken apart like answers', () => {
  const answer = { items: [{ price: 1 }, { price: 2, name: 'x' }] };
  const values = { '/items/0/price': -0.1, '/items/1/price': -0.2, '/items/1/name': -0.3 };
  const labels = new Map([['a', { answer: '{"items":[{"price":1},{"price":3}]}' }]]);
  const of = (field: string) => fieldDrafts([drafted('a', { ...both(answer, answer), values })], labels, field);
  const prices = of('/items/*/price');
  assert.deepEqual(
    prices.drafts.map(({ customId }) => customId),
    ['a /items/0/price', 'a /items/1/price'],
  );
  assert.deepEqual(
    [...(prices.labels ?? [])],
    [
      ['a /items/0/price', { answer: '1' }],
      ['a /items/1/price', { answer: '3' }],
    ],
  );
  assert.equal(of('/items').drafts.length, 3);
  assert.deepEqual(of('/items/1/name').labels?.get('a /items/1/name'), { answer: '' }, 'the label has no such value');
  assert.throws(() => of('/total'), /no line shows a score of the value \/total/);
});

test('what says nothing of one value is refused', () => {
  assert.throws(() => refuseField({ name: 'self_assessment' }, null), /self_assessment does not score each value/);
  assert.throws(() => refuseField({ name: 'sum_logprob' }, new Map([['a', { correct: true }]])), /"answer" does/);
  refuseField({ name: 'sum_logprob' }, new Map([['a', { answer: '{}' }]]));
});
