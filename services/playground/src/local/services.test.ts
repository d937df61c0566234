import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfiguration, type Configuration } from '@spillway/core';
import { playgroundMember, serviceMembers, wantedPlaygrounds } from './services.ts';

const webhooks = { billing: { url: 'https://billing.example', secret_env: 'HOOK_SECRET' } };

function configure(small: object, large: object): Configuration {
  const cascades = { c: { drafter: 'small', expert: 'large', accept_at: 0.9 } };
  const read = readConfiguration(JSON.stringify({ models: { small, large }, cascades, webhooks }));
  if (read.kind === 'invalid') throw new Error(JSON.stringify(read.problems));
  return read.configuration;
}

const embedded = { base_url: 'http://127.0.0.1:8377/v1', model: 'spillway-drafter' };
const hosted = { base_url: 'https://api.example.com/v1', model: 'big', api_key_env: 'BIG_KEY' };

test('the playground is wanted where a model of it is asked for on this machine', () => {
  const usual = ['spillway-drafter', 'spillway-expert'];
  const wanted = (small: object, large: object) => wantedPlaygrounds(configure(small, large));
  assert.deepEqual(wanted(embedded, { ...embedded, model: 'spillway-expert' }), [{ port: 8377, models: usual }]);
  assert.deepEqual(wanted({ ...embedded, base_url: 'http://localhost:9000/v1' }, hosted), [
    { port: 9000, models: usual },
  ]);
  assert.deepEqual(wanted({ ...embedded, model: 'qwen3' }, hosted), []);
  assert.deepEqual(wanted({ ...embedded, base_url: 'http://10.0.0.7:8377/v1' }, hosted), []);
});

test('the playground loads the pair for orders only where it is named', () => {
  const [wanted] = wantedPlaygrounds(configure({ ...embedded, model: 'spillway-orders-drafter' }, hosted));
  assert.deepEqual(wanted?.models, ['spillway-drafter', 'spillway-expert', 'spillway-orders-drafter']);
  const served = (models?: readonly string[]) => playgroundMember({}, 8377, models).env['SERVED_MODELS'];
  assert.equal(served(wanted?.models), 'spillway-drafter,spillway-expert,spillway-orders-drafter');
  assert.equal(served(), '');
});

test('each service is given what it reads, and no secret of another', () => {
  const members = serviceMembers(
    {
      env: {
        BIG_KEY: 'k',
        HOOK_SECRET: 'h',
        AWS_SECRET_ACCESS_KEY: 's',
        GITHUB_TOKEN: 'g',
        SPILLWAY_API_KEYS: '/keys',
        SPILLWAY_LOCK_MS: '900',
        OTEL_EXPORTER_OTLP_ENDPOINT: 'http://o',
        LOG_LEVEL: 'error',
        PORT: '1',
      },
      configPath: '/c.yaml',
      configuration: configure(embedded, hosted),
      redisUrl: 'redis://r',
      storage: { SPILLWAY_DATA_DIR: '/d' },
    },
    { host: '127.0.0.1', port: 8080 },
  );
  const env = Object.fromEntries(members.map((member) => [member.service, member.env]));
  const shared = {
    SPILLWAY_LOCK_MS: '900',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://o',
    LOG_LEVEL: 'info',
    SPILLWAY_CONFIG: '/c.yaml',
    REDIS_URL: 'redis://r',
  };
  const stored = { ...shared, AWS_SECRET_ACCESS_KEY: 's', SPILLWAY_DATA_DIR: '/d' };
  assert.deepEqual(env, {
    // Answers at once are the API's own calls.
    api: { ...stored, HOST: '127.0.0.1', PORT: '8080', SPILLWAY_API_KEYS: '/keys', BIG_KEY: 'k' },
    dispatcher: { ...stored, HOOK_SECRET: 'h' },
    drafter: { ...shared, BIG_KEY: 'k' },
    expert: { ...shared, BIG_KEY: 'k' },
  });
});
