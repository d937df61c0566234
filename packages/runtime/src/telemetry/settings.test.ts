import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EnvReader, SetupError, type Env } from '../env.ts';
import { readTracing } from './settings.ts';

const AT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' };

function read(env: Env) {
  const reader = new EnvReader(env);
  const settings = readTracing(reader);
  reader.check();
  return settings;
}

test('no address, no traces; switched off, none either', () => {
  assert.equal(read({}), null);
  assert.equal(read({ ...AT, OTEL_SDK_DISABLED: 'true' }), null);
  assert.equal(read({ ...AT, OTEL_TRACES_EXPORTER: 'none' }), null);
  assert.notEqual(read({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://x/v1/traces' }), null);
});

test('a budget for each batch, unless the standard sampler says otherwise', () => {
  assert.deepEqual(read(AT)?.sampling, { kind: 'budget', perBatch: 1_000, slowMs: 10_000 });
  assert.deepEqual(read({ ...AT, OTEL_TRACES_SAMPLER: 'parentbased_always_on' })?.sampling, {
    kind: 'share',
    share: 1,
  });
  assert.deepEqual(read({ ...AT, OTEL_TRACES_SAMPLER: 'always_off' })?.sampling, { kind: 'share', share: 0 });
  const ratio = { ...AT, OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' };
  assert.deepEqual(read(ratio)?.sampling, { kind: 'share', share: 0.25 });
});

test('what is wrong is told with the name of its variable', () => {
  const wrong: [Env, RegExp][] = [
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'not a url' }, /OTEL_EXPORTER_OTLP_ENDPOINT: expected an http/],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'ftp://x' }, /OTEL_EXPORTER_OTLP_ENDPOINT: expected an http/],
    [{ ...AT, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, /OTEL_EXPORTER_OTLP_PROTOCOL: expected one of/],
    [{ ...AT, OTEL_TRACES_SAMPLER: 'weird' }, /OTEL_TRACES_SAMPLER: expected one of/],
    [{ ...AT, OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' }, /OTEL_TRACES_SAMPLER_ARG: expected/],
    [{ ...AT, OTEL_TRACES_EXPORTER: 'zipkin' }, /OTEL_TRACES_EXPORTER: expected otlp or none/],
    [{ ...AT, OTEL_BSP_MAX_QUEUE_SIZE: '-1' }, /OTEL_BSP_MAX_QUEUE_SIZE: expected a whole number/],
  ];
  for (const [env, message] of wrong) {
    assert.throws(
      () => read(env),
      (error) => error instanceof SetupError && message.test(error.message),
    );
  }
});
