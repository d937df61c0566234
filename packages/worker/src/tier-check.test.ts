import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { setImmediate as aMoment } from 'node:timers/promises';
import { NOTHING_FOUND, type BegunCheck, type DatedFindings, type ModelFindings } from '@spillway/core';
import { openLog } from '@spillway/runtime';
import { TierCheck, type CheckedTier } from './tier-check.ts';

const FIT: ModelFindings = { ...NOTHING_FOUND, reachable: true, known: true, ms: 5, log_probs: true };

const answered = (found: ModelFindings): BegunCheck => ({
  kind: 'answered',
  found,
  manner: { endpoint: '/v1/chat/completions', logprobs: true, alternatives: true, limit: 'max_tokens' },
});
const absent = (problem: string): BegunCheck => ({ kind: 'absent', found: { ...NOTHING_FOUND, problem } });
const wrong = (problem: string): BegunCheck => ({
  kind: 'wrong',
  found: { ...NOTHING_FOUND, reachable: true, problem },
});

/** The check of a drafter whose server answers as given, one beginning after the other; after the last: given up. */
function checking(
  begins: readonly (BegunCheck | Promise<BegunCheck> | Error)[],
  { signals = ['sum_logprob'], stopsAfter = Infinity }: Partial<CheckedTier> & { stopsAfter?: number } = {},
) {
  const stop = new AbortController();
  const lines: Record<string, unknown>[] = [];
  const log = openLog('drafter', 'info', { write: (line) => void lines.push(JSON.parse(line) as never) });
  const written: DatedFindings[] = [];
  const known: unknown[] = [];
  const ended = Promise.withResolvers<void>();
  let asked = 0;
  const begin = async (): Promise<BegunCheck | null> => {
    asked += 1;
    const next = begins[asked - 1];
    if (next instanceof Error) throw next;
    if (next === undefined) ended.resolve();
    return (await next) ?? null;
  };
  const check = new TierCheck(
    { log, signal: stop.signal, defer: () => undefined },
    {
      tier: 'drafter.small',
      signals,
      asks: [],
      check: {
        begin,
        complete: ({ found }) => Promise.resolve({ ...found, scoring: 'no' }),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      },
      model: { know: (findings) => void known.push(findings) },
      write: async (findings) => {
        written.push(findings);
        if (written.length >= stopsAfter) stop.abort('shutdown');
        if (findings.found.scoring !== null) ended.resolve();
      },
    },
  );
  const said = (): unknown[] => lines.map(({ level, msg, reason }) => [level, msg, ...(reason ? [reason] : [])]);
  return { start: () => check.start(), ended: ended.promise, said, written, known, lines };
}

test('one line says all that was found, and it is written', async () => {
  const { start, ended, lines, said, written, known } = checking([answered(FIT)]);
  await start();
  await ended;
  await aMoment();
  assert.deepEqual(said(), [['info', 'the model was checked']]);
  const { level: _level, time: _time, service: _service, pid: _pid, msg: _msg, ...fields } = lines[0] ?? {};
  assert.deepEqual(fields, { tier: 'drafter.small', ...FIT, scoring: 'no' });
  assert.deepEqual(written.at(-1)?.found, { ...FIT, scoring: 'no' });
  assert.deepEqual(known, [FIT, { ...FIT, scoring: 'no' }], 'what is known at first, and all of it');
});

test('what drafts cannot be judged without is said before documents are taken, and what is refused is not sent', async () => {
  const found = { ...FIT, log_probs: false, refused: ['logprobs', 'top_logprobs'], said: 'no logprobs here' };
  const { start, said, known } = checking([answered(found)]);
  await start();
  const reason = 'the server refuses log-probs (no logprobs here): without them sum_logprob cannot judge a draft';
  assert.deepEqual(said()[0], ['warn', 'every document will escalate', reason]);
  assert.deepEqual(known[0], found);
});

test('a server that is not up is waited for, which is said once, and once that it is there', async () => {
  const { start, ended, said, written } = checking([absent('unreachable: a'), absent('timeout: b'), answered(FIT)]);
  await start();
  assert.deepEqual(said(), [['info', 'waiting for the model server', 'unreachable: a']]);
  await ended;
  await aMoment();
  assert.deepEqual(said().slice(1), [
    ['info', 'the model server is there'],
    ['info', 'the model was checked'],
  ]);
  assert.equal(written.length, 4);
});

test('a server that is not up for long is a warning, once', async (t) => {
  const now = performance.now();
  const clock = t.mock.method(performance, 'now', () => now);
  const { start, ended, said } = checking([absent('a'), absent('b')], { stopsAfter: 2 });
  await start();
  clock.mock.mockImplementation(() => now + 5_001);
  await ended;
  assert.deepEqual(said().at(-1), ['warn', 'waiting for the model server', 'b']);
});

test('what somebody must mend is said loudly, once; documents are taken, as the circuit breaker keeps them', async () => {
  const { start, ended, said } = checking([wrong('no key')], { stopsAfter: 1 });
  await start();
  await ended;
  assert.deepEqual(said(), [['error', 'the model cannot be asked', 'no key']]);
});

test('a server that says nothing holds up the first documents for a moment only, and an expert none', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const silent = Promise.withResolvers<BegunCheck>();
  await checking([silent.promise], { signals: [] }).start();
  let hasBegun = false;
  const started = checking([silent.promise])
    .start()
    .then(() => (hasBegun = true));
  mock.timers.tick(4_999);
  await aMoment();
  assert.equal(hasBegun, false);
  mock.timers.tick(1);
  await started;
});

test('a check that breaks off holds up nobody', async () => {
  const { start, said } = checking([new Error('unforeseen')]);
  await start();
  assert.deepEqual(said(), [['warn', 'the check of a model broke off']]);
});
