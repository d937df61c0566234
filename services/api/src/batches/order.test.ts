import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../errors.ts';
import { digest, runAtOnce } from '@spillway/core';
import { digestingOrder, readOrder } from './order.ts';

const good = { input_file_id: 'file-1', endpoint: '/v1/chat/completions', completion_window: '24h' };

function problemOf(body: unknown): [string | null, string | null] {
  try {
    readOrder(body);
  } catch (error) {
    if (error instanceof ApiError && error.status === 400)
      return [error.envelope.error.param, error.envelope.error.code];
    throw error;
  }
  return assert.fail('was accepted');
}

const entries = (count: number): object =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, 'v']));

test('what a batch needs is read, the rest is ignored', () => {
  assert.deepEqual(readOrder({ ...good, stranger: true, metadata: null, output_expires_after: null }), {
    input: { fileId: 'file-1' },
    endpoint: '/v1/chat/completions',
    completionWindow: '24h',
    windowMs: 86_400_000,
    metadata: null,
    outputExpiresAfterSeconds: null,
    thresholds: { kind: 'settings', settings: [] },
  });
  const metadata = { ['k'.repeat(64)]: '🙂'.repeat(512) };
  const expiry = { anchor: 'created_at', seconds: 3_600 };
  const order = readOrder({ ...good, completion_window: '90m', metadata, output_expires_after: expiry });
  assert.equal(order.windowMs, 5_400_000);
  assert.deepEqual(order.metadata, metadata);
  assert.equal(order.outputExpiresAfterSeconds, 3_600);
});

test('each bad field is named, with its code', () => {
  const cases: [unknown, string | null, string][] = [
    [undefined, null, 'invalid_type'],
    [[], null, 'invalid_type'],
    [{}, 'input_file_id', 'missing_required_parameter'],
    [{ ...good, input_file_id: null }, 'input_file_id', 'missing_required_parameter'],
    [{ ...good, input_file_id: 7 }, 'input_file_id', 'invalid_type'],
    [{ ...good, input_file_id: '' }, 'input_file_id', 'empty_string'],
    [{ ...good, input_file_id: 'f'.repeat(257) }, 'input_file_id', 'string_above_max_length'],
    [{ ...good, endpoint: undefined }, 'endpoint', 'missing_required_parameter'],
    [{ ...good, endpoint: ['/v1/chat/completions'] }, 'endpoint', 'invalid_type'],
    [{ ...good, endpoint: '/v1/embeddings' }, 'endpoint', 'invalid_value'],
    [{ ...good, completion_window: undefined }, 'completion_window', 'missing_required_parameter'],
    [{ ...good, completion_window: 24 }, 'completion_window', 'invalid_type'],
    [{ ...good, completion_window: '8d' }, 'completion_window', 'invalid_value'],
    [{ ...good, completion_window: '30s' }, 'completion_window', 'invalid_value'],
    [{ ...good, metadata: 'x' }, 'metadata', 'invalid_type'],
    [{ ...good, metadata: entries(17) }, 'metadata', 'object_above_max_properties'],
    [{ ...good, metadata: { ['k'.repeat(65)]: 'v' } }, 'metadata', 'string_above_max_length'],
    [{ ...good, metadata: { k: 'v'.repeat(513) } }, 'metadata.k', 'string_above_max_length'],
    [{ ...good, metadata: { k: 1 } }, 'metadata.k', 'invalid_type'],
    [{ ...good, metadata: { 'spillway.deduplicate': 'no' } }, 'metadata.spillway.deduplicate', 'invalid_value'],
    [{ ...good, output_expires_after: 5 }, 'output_expires_after', 'invalid_type'],
    [{ ...good, output_expires_after: {} }, 'output_expires_after.anchor', 'missing_required_parameter'],
    [{ ...good, output_expires_after: { anchor: 'now', seconds: 1 } }, 'output_expires_after.anchor', 'invalid_value'],
    ...(
      [
        [undefined, 'missing_required_parameter'],
        ['3600', 'invalid_type'],
        [3600.5, 'invalid_type'],
        [3_599, 'integer_below_min_value'],
        [2_592_001, 'integer_above_max_value'],
      ] as const
    ).map(([seconds, code]): [unknown, string, string] => [
      { ...good, output_expires_after: { anchor: 'created_at', seconds } },
      'output_expires_after.seconds',
      code,
    ]),
  ];
  for (const [body, param, code] of cases) assert.deepEqual(problemOf(body), [param, code], JSON.stringify(body));
});

test('an order has one digest, however its body is written', () => {
  const digestOf = (body: object): string => runAtOnce(digestingOrder(readOrder(body), null));
  assert.equal(
    digestOf({ ...good, metadata: { a: '1', b: '2' } }),
    digestOf({ metadata: { b: '2', a: '1' }, ...good }),
  );
  assert.notEqual(digestOf(good), digestOf({ ...good, metadata: {} }));
  assert.notEqual(digestOf(good), digestOf({ ...good, completion_window: '1d' }));
});

test('the digest of an order with requests is that of the version before, which read them at once', () => {
  const { input_file_id: _, ...rest } = good;
  const requests = [{ custom_id: 'a', body: { x: [1, 'é\u2028'] } }, { custom_id: 'b' }];
  const texts = requests.map((request) => JSON.stringify(request));
  const order = readOrder({ ...rest, requests: [{}], metadata: { b: '2', a: '1' } });
  const pairs = [
    ['a', '1'],
    ['b', '2'],
  ];
  assert.equal(
    runAtOnce(digestingOrder(order, texts)),
    digest('order', JSON.stringify([requests, rest.endpoint, '24h', pairs, null])),
  );
});
