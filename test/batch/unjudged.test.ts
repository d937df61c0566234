import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BatchObject, JsonObject, Report } from '@spillway/core';
import { startModelServer, type ModelRequest, type Scripted } from '../support/model-server.ts';
import { System, until, type ResultLine, type SystemOptions } from '../support/system.ts';

const KEY = 'sk-secret-of-the-drafter';
const DOCUMENTS = 60;

const error = (status: number, message: string): Scripted => ({ kind: 'status', status, body: { error: { message } } });

/** What drafters do of which nothing can be judged: the answer, and what is to be told of it. */
const DRAFTERS: Readonly<
  Record<
    string,
    {
      readonly answer: (request: ModelRequest) => Scripted;
      readonly confidence?: string;
      readonly model?: JsonObject;
      readonly reason: string;
      readonly said: string;
      /** What the warning's own text is, in log and batch: an error of the server, never an answer. */
      readonly error?: string;
    }
  >
> = {
  refuses: {
    answer: ({ body }) =>
      body['logprobs'] === true
        ? error(400, "'logprobs' is not supported by this model")
        : { kind: 'completion', text: 'an answer' },
    reason: 'no_logprobs',
    said: "'logprobs' is not supported by this model",
    error: "'logprobs' is not supported by this model",
  },
  silent: {
    answer: () => ({ kind: 'completion', text: 'an answer', logprobs: null }),
    reason: 'no_logprobs',
    said: 'an answer',
  },
  zeros: {
    answer: () => ({ kind: 'completion', text: 'an answer', logprobs: 0 }),
    reason: 'zero_logprobs',
    said: 'an answer',
  },
  talks: {
    answer: () => ({ kind: 'completion', text: `Well, it depends. ${'😀'.repeat(400)}` }),
    confidence: '{ signal: label, answers: [yes, no] }',
    reason: 'no_label',
    said: `Well, it depends. ${'😀'.repeat((300 - 'Well, it depends. '.length) / 2)}…`,
  },
  hums: {
    answer: ({ body }) =>
      JSON.stringify(body['messages']).includes('Is the answer above')
        ? { kind: 'completion', text: 'Hm' }
        : { kind: 'completion', text: 'an answer' },
    confidence: '{ signal: self_assessment }',
    reason: 'no_assessment',
    said: 'Hm',
  },
  rejects: {
    answer: ({ headers }) => error(422, `no field 'seed'\n(${headers.authorization})`),
    model: { api_key_env: 'REJECTS_KEY' },
    reason: 'drafter_rejected',
    said: "no field 'seed' (Bearer [redacted])",
    error: "no field 'seed' (Bearer [redacted])",
  },
};
const NAMES = Object.keys(DRAFTERS);

function optionsFor(baseURL: string, expert: SystemOptions['expert']): SystemOptions {
  const model = (name: string): string =>
    `  ${name}: ${JSON.stringify({ base_url: baseURL, model: name, ...DRAFTERS[name]?.model })}`;
  const cascade = (name: string): string => {
    const { confidence = '{ signal: mean_logprob }' } = DRAFTERS[name] ?? {};
    return `  by-${name}: { drafter: ${name}, expert: large, accept_at: 0.8, confidence: ${confidence} }`;
  };
  return {
    ...(expert === undefined ? {} : { expert }),
    moreModels: NAMES.map(model).join('\n'),
    moreCascades: NAMES.map(cascade).join('\n'),
    env: { REJECTS_KEY: KEY },
  };
}

type Shown = BatchObject['spillway'];
const shownOf = async (system: System, id: string): Promise<Shown> =>
  ((await system.client.batches.retrieve(id)) as unknown as BatchObject).spillway;

/** How often each reason stands in the lines of a batch, of its first stage. */
function reasonsIn(lines: readonly ResultLine[]): Record<string, number> {
  const reasons: Record<string, number> = {};
  for (const { cascade } of lines) {
    const reason = cascade?.stages[0]?.reason ?? 'none';
    reasons[reason] = (reasons[reason] ?? 0) + 1;
  }
  return reasons;
}

test('a drafter of which nothing can be judged is told of once, while the batch runs, with what its server said', async () => {
  const answered = Promise.withResolvers<Scripted>();
  const refusing = DRAFTERS['refuses'] ?? assert.fail();
  await using drafter = await startModelServer({
    answer: (request) => DRAFTERS[request.body['model'] as string]?.answer(request) ?? { kind: 'completion' },
    check: (request) =>
      request.body['model'] === 'refuses' ? refusing.answer({ ...request, attempt: 1 }) : { kind: 'completion' },
  });
  await using system = await System.start(optionsFor(drafter.baseURL, { answer: () => answered.promise }));
  await system.run('drafter');
  const prompts = Array.from({ length: DOCUMENTS }, (_, at) => `document ${at}`);
  const ids = new Map<string, string>();
  for (const name of NAMES) {
    ids.set(name, (await system.submit(prompts, { model: `by-${name}` })).id);
  }
  const idOf = (name: string): string => ids.get(name) ?? '';
  // The expert has answered nobody yet: nothing was paid for in vain.
  await until(async () => {
    const all = await Promise.all(NAMES.map((name) => shownOf(system, idOf(name))));
    return all.every(({ warnings }) => warnings.length > 0);
  });
  answered.resolve({ kind: 'completion', text: 'the expert' });
  for (const name of NAMES) {
    const { reason, said, error: words = null } = DRAFTERS[name] ?? assert.fail();
    const batch = await system.settled(idOf(name));
    assert.equal(batch.request_counts?.completed, DOCUMENTS, name);
    const { escalations, warnings, failures, waiting } = await shownOf(system, batch.id);
    const reasons = [{ reason, count: DOCUMENTS, said }];
    assert.deepEqual(escalations, [{ cascade: `by-${name}`, stage: 1, model: name, reasons }], name);
    assert.deepEqual([failures, waiting], [[], []]);
    const tier = `drafter.${name}`;
    assert.equal(warnings.length, 1);
    const { message, ...warning } = warnings[0] ?? assert.fail();
    const own = { cascade: `by-${name}`, stage: 1, reasons: [{ reason, count: 50 }], said: words };
    assert.deepEqual(warning, { code: 'no_draft_judged', tier, ...own });
    assert.match(message, new RegExp(`first 50 drafts of ${tier} could be judged \\(${reason} 50\\)`));
    const report: Report & Pick<Shown, 'warnings'> = await system.client.get(`/batches/${batch.id}/report`);
    assert.deepEqual(report.warnings, warnings);
    assert.deepEqual(report.stages[0]?.reasons, reasons);
    assert.deepEqual([report.stages[0]?.calibrated, report.stages[1]?.calibrated], [false, null]);
    const lines = await system.lines(batch.output_file_id);
    assert.deepEqual(reasonsIn(lines), { [reason]: DOCUMENTS });
    for (const { response, cascade } of lines) {
      assert.match(String((response as { request_id?: string } | null)?.request_id), /^req_[0-9a-f]{24}$/);
      assert.equal(cascade?.stages[0]?.calibrated, false);
    }
    assert.doesNotMatch(JSON.stringify([batch, report, lines]), new RegExp(KEY));
  }
  const all = system.services.flatMap(({ lines }) => lines);
  const told = all.filter(({ msg }) => msg === 'none of the first drafts could be judged');
  const summed = told.map(({ level, batch, tier, said }) => JSON.stringify([level, batch, tier, said]));
  const expected = NAMES.map((name) =>
    JSON.stringify(['warn', idOf(name), `drafter.${name}`, DRAFTERS[name]?.error ?? null]),
  );
  assert.deepEqual(summed.toSorted(), expected.toSorted(), 'once each, by two drafters');
  const text = JSON.stringify(all);
  for (const content of [KEY, 'it depends', 'document 7']) assert.ok(!text.includes(content), content);
  const checked = all.filter(({ msg, tier }) => msg === 'every document will escalate' && tier === 'drafter.refuses');
  assert.ok(checked.length > 0 && checked.every(({ reason }) => String(reason).includes(`(${refusing.said})`)));
});

test('what fails is counted as the error file has it, and a tier that waits is shown', async () => {
  await using system = await System.start({ models: { large: { max_attempts: 1 }, small: { max_attempts: 1 } } });
  const failing = ['[[drafter unsure]] [[expert status 400]]', '[[drafter unsure]] [[expert status 500]]'];
  const prompts = [
    ...Array.from({ length: 12 }, (_, at) => `sure ${at}`),
    ...Array.from({ length: 9 }, (_, at) => `${failing[at % 3 === 0 ? 1 : 0]} ${at}`),
    ...Array.from({ length: 4 }, (_, at) => `[[hang]] ${at}`),
  ];
  const { id } = await system.submit(prompts);
  await system.settled(id, ({ request_counts: counts }) => counts?.completed === 12 && counts.failed === 9);
  const during = await shownOf(system, id);
  const failures = [
    { status: 400, code: null, count: 6, said: 'scripted 400' },
    { status: 500, code: null, count: 3, said: 'scripted 500' },
  ];
  assert.deepEqual(during.failures, failures);
  const reasons = [{ reason: 'low_confidence', count: 9, said: null }];
  assert.deepEqual(during.escalations, [{ cascade: 'test', stage: 1, model: 'small', reasons }]);
  await system.client.batches.cancel(id);
  const batch = await system.settled(id);
  const cancelled = { status: null, code: 'batch_cancelled', count: 4, said: null };
  const ended = await shownOf(system, id);
  // How fast it is, and what it will cost, goes on.
  assert.deepEqual(
    { ...ended, progress: null },
    { ...during, progress: null, failures: [failures[0], cancelled, failures[1]] },
  );
  const report: Report = await system.client.get(`/batches/${id}/report`);
  assert.deepEqual(report.failures, ended.failures);
  const lines = await system.lines(batch.error_file_id);
  for (const { status, code, count } of ended.failures) {
    const own = lines.filter(
      (line) => (line.response?.status_code ?? null) === status && (line.error?.code ?? null) === code,
    );
    assert.equal(own.length, count, `${status} ${code}`);
  }
  assert.equal(lines.length, 13);
});

test('a batch whose model server does not take the key says what it waits for, and so does a worker that starts', async () => {
  let isRefused = true;
  await using system = await System.start({
    drafter: { answer: () => (isRefused ? error(401, 'Incorrect API key provided') : { kind: 'completion' }) },
  });
  const { id } = await system.submit(['a', 'b']);
  await until(async () => (await shownOf(system, id)).waiting.length > 0);
  const { data } = await system.client.batches.list();
  const report: Pick<Shown, 'waiting'> = await system.client.get(`/batches/${id}/report`);
  for (const waiting of [(data[0] as unknown as BatchObject).spillway.waiting, report.waiting]) {
    assert.deepEqual(
      waiting.map(({ tier }) => tier),
      ['drafter.small'],
    );
    assert.match(waiting[0]?.state ?? '', /^(open|half_open)$/);
    assert.match(waiting[0]?.reason ?? '', /key/);
  }
  const second = await system.run('drafter');
  const first = second.lines.find(({ tier }) => tier !== undefined);
  assert.deepEqual([first?.['msg'], first?.['tier']], ['this worker waits for its model server', 'drafter.small']);
  assert.match(String(first?.['reason']), /key/);
  isRefused = false;
  const batch = await system.settled(id);
  assert.equal(batch.status, 'completed');
  assert.deepEqual((await shownOf(system, id)).waiting, []);
});
