import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfiguration } from './configuration.ts';

const GOOD = `
models:
  small: { base_url: http://drafter-model:8000/v1, model: qwen3-4b, api_key_env: SMALL_KEY, price: { input: 0.05, output: 0.2 } }
  large: { base_url: http://expert-model:8000/v1, model: qwen3-235b, concurrency: 4, timeout_s: 60, max_tries: 2 }
cascades:
  invoices:
    drafter: small
    expert: large
    confidence: { signal: min_logprob }
    accept_at: 0.9
    on_deadline: draft
`;

test('a good file is read, defaults are filled in', () => {
  const read = readConfiguration(GOOD);
  assert.equal(read.kind, 'valid');
  const { models, cascades } = read.configuration;
  assert.equal(models['small']?.concurrency, 16);
  assert.equal(models['large']?.timeout_s, 60);
  assert.equal(cascades['invoices']?.on_deadline, 'draft');
});

test('all problems at once, each with its path and what was expected', () => {
  const read = readConfiguration(`
models:
  small: { base_url: "ftp://x", model: "", concurency: 3 }
  "bad:name": { base_url: http://x/v1, model: m }
cascades:
  a: { drafter: small, expert: huge, accept_at: 1.5 }
`);
  assert.equal(read.kind, 'invalid');
  const paths = read.problems.map((problem) => problem.path);
  for (const path of [
    'models.small.base_url',
    'models.small.model',
    'models.small',
    'models.bad:name',
    'cascades.a.accept_at',
  ]) {
    assert.ok(paths.includes(path), `${path} in ${paths.join(', ')}`);
  }
  const unknown = read.problems.find((problem) => problem.path === 'models.small');
  assert.match(unknown?.expected ?? '', /concurency/);
});

test('a cascade that names no model, no cascades at all, YAML that is none', () => {
  const dangling = readConfiguration(GOOD.replace('expert: large', 'expert: huge'));
  assert.deepEqual(dangling, {
    kind: 'invalid',
    problems: [{ path: 'cascades.invoices.expert', expected: 'expected one of models (small, large), got "huge"' }],
  });
  assert.equal(readConfiguration('').kind, 'invalid');
  const broken = readConfiguration('models:\n  a: [1\ncascades: {}');
  assert.equal(broken.kind, 'invalid');
  assert.match(broken.problems[0]?.path ?? '', /^line \d+, column \d+$/);
});
