import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { openModelCheck } from '@spillway/cascade';
import type { BegunCheck, JsonObject, ModelFindings } from '@spillway/core';
import { configurationOf } from '../api/api-under-test.ts';
import { KEY } from '../support/model-client.ts';
import { startModelServer, type ModelServer, type Scripted } from '../support/model-server.ts';

type Checked = { begun: BegunCheck | null; found: ModelFindings | null };

/** Checks the drafter of a configuration with these lines of YAML in its model. */
async function check(
  t: TestContext,
  baseURL: string,
  { model = '', cascade = '', signal = new AbortController().signal } = {},
): Promise<Checked> {
  const configuration = configurationOf(`
models:
  small: { base_url: "${baseURL}", model: s${model} }
  large: { base_url: "${baseURL}", model: l }
cascades:
  test: { stages: [{ model: small, accept_at: 0.5${cascade} }, { model: large }] }
`);
  const spec = configuration.models['small'];
  assert.ok(spec !== undefined);
  const opened = openModelCheck({ name: 'small', spec, apiKey: KEY }, { role: 'drafter', configuration });
  t.after(() => opened[Symbol.asyncDispose]());
  const begun = await opened.begin(signal);
  return { begun, found: begun?.kind === 'answered' ? await opened.complete(begun, signal) : null };
}

async function serve(t: TestContext, answer?: (body: JsonObject) => Scripted): Promise<ModelServer> {
  const server = await startModelServer(answer === undefined ? {} : { check: ({ body }) => answer(body) });
  t.after(() => server[Symbol.asyncDispose]());
  return server;
}

const refusal = (message: string): Scripted => ({ kind: 'status', status: 400, body: { error: { message } } });

test('a server is asked a handful of small calls that it can tell from those of documents', async (t) => {
  const server = await serve(t);
  const { found } = await check(t, server.baseURL);
  // This one streams and gives log-probs, without alternatives; it knows neither flags nor echo.
  assert.deepEqual(found && { ...found, ms: null }, {
    reachable: true,
    known: true,
    ms: null,
    log_probs: true,
    alternatives: false,
    streamed_log_probs: true,
    scoring: 'no',
    continuation: 'no',
    json_mode: false,
    refused: [],
    problem: null,
  });
  assert.ok(found?.ms !== null && found !== null && found.ms >= 0);
  assert.equal(server.checks.length, 5);
  assert.deepEqual([server.received, server.requests.length, server.peakInFlight], [0, 0, 0]);
  for (const { headers, body } of server.checks) {
    assert.equal(headers['user-agent'], 'spillway-check');
    assert.equal(headers['authorization'], `Bearer ${KEY}`);
    assert.equal(body['model'], 's');
    assert.ok(Number(body['max_tokens']) <= 12);
  }
});

test("the calls go through the settings of the model and of its stage; its limit is the check's own", async (t) => {
  const server = await serve(t);
  await check(t, server.baseURL, {
    model: ', rename: { max_tokens: max_new }, request: { override: { max_new: 4000, seed: 7 } }',
    cascade: ', request: { default: { top_k: 1 } }',
  });
  for (const { body } of server.checks) {
    assert.deepEqual([body['max_tokens'], body['seed'], body['top_k']], [undefined, 7, 1]);
    assert.ok(Number(body['max_new']) <= 12);
  }
});

test('a refusal of log-probs is found, whatever else the server can', async (t) => {
  const server = await serve(t, (body) =>
    'logprobs' in body ? refusal("'logprobs' is not supported by this model") : { kind: 'completion' },
  );
  const { found } = await check(t, server.baseURL);
  assert.deepEqual([found?.known, found?.log_probs, found?.refused], [true, false, ['logprobs', 'top_logprobs']]);
  assert.equal(found?.said, "'logprobs' is not supported by this model");
});

test('a server that is down, or silent, or is not asked any more', async (t) => {
  const server = await serve(t, () => ({ kind: 'hang' }));
  const silent = await check(t, server.baseURL, { model: ', timeout_s: 0.2' });
  assert.equal(silent.begun?.kind, 'absent');
  assert.match(silent.begun.found.problem ?? '', /^timeout: no answer within 200 ms/);
  const stop = new AbortController();
  const given = check(t, server.baseURL, { signal: stop.signal });
  stop.abort('shutdown');
  assert.deepEqual(await given, { begun: null, found: null });
  await server.stop();
  const down = await check(t, server.baseURL);
  assert.equal(down.begun?.kind, 'absent');
  assert.match(down.begun.found.problem ?? '', /^unreachable: /);
});

test('what somebody must mend is told, without the key and without what an address holds', async (t) => {
  const server = await serve(t, () => ({
    kind: 'status',
    status: 401,
    body: { error: { message: `Incorrect API key provided: ${KEY}.` } },
  }));
  const wrongKey = await check(t, server.baseURL);
  assert.equal(wrongKey.begun?.kind, 'wrong');
  assert.match(wrongKey.begun.found.problem ?? '', /does not take the API key.*\[redacted\]/);
  const withoutV1 = `http://me:secret@127.0.0.1:${server.port}`;
  const wrongPath = await check(t, withoutV1);
  assert.equal(wrongPath.begun?.kind, 'wrong');
  assert.match(
    wrongPath.begun.found.problem ?? '',
    /base_url answered 404 to \/chat\/completions: should it end in \/v1/,
  );
  assert.doesNotMatch(JSON.stringify([wrongKey, wrongPath]), /sk-very|secret/);
});

test('an answer that is no completion, and a page for people with a 200', async (t) => {
  for (const body of [
    '{"hello":"world"}',
    '<html>It works!</html>',
    '{"error":{"message":"Provider disconnected"}}',
    '',
  ]) {
    const server = await serve(t, () => ({ kind: 'raw', body }));
    const { begun } = await check(t, server.baseURL);
    assert.equal(begun?.kind, 'wrong', body);
    assert.match(begun.found.problem ?? '', /^garbled: /);
  }
});
