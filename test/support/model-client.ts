import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { decideFault, type Fault, type FaultDecision, type JsonObject } from '@spillway/core';
import { openModel, type Attempt, type ModelCall, type ModelNotice, type ModelOptions } from '@spillway/models';
import { startModelServer, type ModelServerOptions, type Scripted } from './model-server.ts';

/** What the tests look for in whatever comes back. */
export const KEY = 'sk-very-secret-0123456789';

/** Far above what a call to this machine takes; only the tests of the deadline choose a short one. */
const TIMEOUT_MS = 20_000;

/** A model client for a test, closed with it. */
export function openAt(t: TestContext, baseURL: string, options: Partial<ModelOptions> = {}) {
  const notices: ModelNotice[] = [];
  const client = openModel({
    baseURL,
    model: 'small-model',
    apiKey: KEY,
    timeoutMs: TIMEOUT_MS,
    connections: 4,
    onNotice: (notice) => notices.push(notice),
    ...options,
  });
  t.after(() => client[Symbol.asyncDispose]());
  const ask = (prompt: string, call: Partial<ModelCall> = {}, more: JsonObject = {}): Promise<Attempt> =>
    client.complete({
      endpoint: '/v1/chat/completions',
      body: { model: 'invoices', messages: [{ role: 'user', content: prompt }], ...more },
      logprobs: true,
      timeoutMs: TIMEOUT_MS,
      signal: new AbortController().signal,
      ...call,
    });
  return { client, ask, notices };
}

/** A model server and a client for it, closed with the test. */
export async function setUp(t: TestContext, options: ModelServerOptions = {}) {
  const server = await startModelServer(options);
  t.after(() => server[Symbol.asyncDispose]());
  return { server, ...openAt(t, server.baseURL) };
}

export const always = (scripted: Scripted): ModelServerOptions => ({ answer: () => scripted });

export function completed(attempt: Attempt): Extract<Attempt, { kind: 'completed' }> {
  assert.equal(attempt.kind, 'completed', JSON.stringify(attempt));
  return attempt;
}

export function failed(attempt: Attempt): Fault {
  assert.equal(attempt.kind, 'failed', JSON.stringify(attempt));
  return attempt.fault;
}

/** What follows for a document that has attempts left. */
export const decide = (fault: Fault): FaultDecision => decideFault(fault, { usedAttempts: 1, refusals: 0, jitter: 1 });

export const choiceOf = (body: JsonObject) => (body['choices'] as unknown as JsonObject[])[0];
